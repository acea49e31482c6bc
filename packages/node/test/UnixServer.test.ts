import * as UnixServer from "@socketserver/node/UnixServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { policies } from "./support/policies.ts"

const directory = mkdtempSync(join(tmpdir(), "unix-"))
afterAll(() => rmSync(directory, { recursive: true }))
let paths = 0

Conformance.suite({
  name: "UnixServer",
  layer: (tag, options) => UnixServer.layer(tag, { ...options, path: join(directory, `${++paths}.sock`) }),
  policies,
  live: true
})
