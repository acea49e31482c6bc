import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { policies } from "./support/policies.ts"

const directory = mkdtempSync(join(tmpdir(), "unixgram-"))
afterAll(() => rmSync(directory, { recursive: true }))
let paths = 0

if (process.platform === "linux") {
  Conformance.datagrams({
    name: "UnixDatagramServer",
    layer: (tag, options) => UnixDatagramServer.layer(tag, { ...options, path: join(directory, `${++paths}.sock`) }),
    policies,
    live: true
  })

  Conformance.datagrams({
    name: "UnixDatagramServer on an abstract name",
    layer: (tag, options) =>
      UnixDatagramServer.layer(tag, { ...options, path: `@socketserver-${process.pid}-${++paths}` }),
    policies: [],
    live: true
  })
}
