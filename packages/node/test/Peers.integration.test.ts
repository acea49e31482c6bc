import { assert, describe, it } from "@effect/vitest"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Policy from "@socketserver/core/Policy"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as WorkerPolicy from "@socketserver/node/WorkerPolicy"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as tls from "node:tls"
import { Certified, certified } from "./support/certified.ts"
import { directory, selfSigned, signed } from "./support/certificates.ts"
import { entryOf } from "./support/bundles.ts"

const home = directory()
const own = selfSigned(home, "own")
const authority = selfSigned(home, "authority")
const device = signed(home, "device", authority)

/** The line that a server answers to a client with a certificate, and the client's own address. */
const asked = (port: number) =>
  Effect.callback<{ readonly line: string; readonly from: string }, Error>((resume) => {
    const socket = tls.connect({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: fs.readFileSync(own.cert),
      cert: fs.readFileSync(device.cert),
      key: fs.readFileSync(device.key)
    })
    let line = ""
    socket.setEncoding("utf8").on("data", (text) => (line += text))
    socket.on("error", (error) => resume(Effect.fail(error)))
    const from = () => `127.0.0.1:${socket.localPort}`
    socket.once("secureConnect", () => {
      const name = from()
      socket.on("end", () => resume(Effect.succeed({ line, from: name })))
      socket.end("who am I\n")
    })
    return Effect.sync(() => socket.destroy())
  })

const entry = entryOf("certified.ts")

describe("the peer that a handler sees", () => {
  it.live.each([
    { policy: Policy.fiber(), worker: /^fiber-/ },
    { policy: WorkerPolicy.thread({ size: 1, entry }), worker: /^thread-\d+$/ },
    { policy: WorkerPolicy.pool({ size: 1, entry }), worker: /^\d+$/ },
    { policy: WorkerPolicy.process({ max: 1, spares: 1, entry }), worker: /^\d+$/ }
  ])("has the certificate that it has shown to the server, under $policy.name", ({ policy, worker }) => {
    const options = { ...own, host: "127.0.0.1", port: 0, ca: authority.cert, clientCertificate: "required" } as const
    const live = Layer.provideMerge(Certified.serve(certified, { policy }), TlsServer.layer(Certified, options))
    return Effect.gen(function* () {
      const { address } = yield* Certified
      const { from, line } = yield* asked((address as Endpoint.Tls).port)
      const peer = JSON.parse(line)
      assert.match(peer.worker, worker)
      assert.deepInclude(peer, { transport: "tls", name: from })
      assert.deepInclude(peer.tls, { protocol: "TLSv1.3", serverName: "localhost" })
      const shown = new X509Certificate(fs.readFileSync(device.cert))
      const { certificate } = peer.tls
      assert.deepStrictEqual(certificate.subject, { CN: "device", O: "Test" })
      assert.deepStrictEqual(certificate.issuer, { CN: "authority", O: "Test" })
      assert.strictEqual(certificate.subjectAltName, shown.subjectAltName)
      assert.strictEqual(certificate.serialNumber, shown.serialNumber)
      assert.strictEqual(certificate.fingerprint256, shown.fingerprint256)
      assert.strictEqual(certificate.validTo, Date.parse(shown.validTo))
      assert.strictEqual(certificate.raw, shown.raw.toString("hex"))
    }).pipe(Effect.scoped, Effect.provide(live))
  })
})
