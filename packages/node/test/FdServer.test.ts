import * as FdServer from "@socketserver/node/FdServer"
import * as Conformance from "@socketserver/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { selfSigned } from "./support/certificates.ts"
import { inet, unix } from "./support/descriptors.ts"
import { policies } from "./support/policies.ts"

const directory = mkdtempSync(join(tmpdir(), "fd-"))
afterAll(() => rmSync(directory, { recursive: true }))
let paths = 0
const path = () => join(directory, `${++paths}.sock`)

/** Each time it is built, on a socket of its own. */
const over =
  (make: () => number, more?: Omit<FdServer.FdListenOptions, "fd">): Conformance.Options["layer"] =>
  (tag, options) =>
    Layer.unwrap(Effect.sync(() => FdServer.layer(tag, { ...options, ...more, fd: make() })))

if (process.platform === "linux") {
  const certificate = selfSigned(directory, "fd")
  const tls = { cert: certificate.cert, key: certificate.key }

  Conformance.suite({ name: "FdServer of TCP", layer: over(() => inet("stream")), policies, live: true })
  Conformance.datagrams({ name: "FdServer of UDP", layer: over(() => inet("datagrams")), policies, live: true })
  // The same code as under the transports' own names: once, not under every policy.
  Conformance.suite({ name: "FdServer of TLS", layer: over(() => inet("stream"), { tls }), policies: [], live: true })
  Conformance.suite({ name: "FdServer of a path", layer: over(() => unix("stream", path())), policies: [], live: true })
  Conformance.datagrams({
    name: "FdServer of datagrams on a path",
    layer: over(() => unix("datagrams", path())),
    policies: [],
    live: true
  })
} else console.log("skipped: inherited sockets can be made for a test on Linux only")
