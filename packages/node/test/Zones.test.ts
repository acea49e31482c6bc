/** Addresses that hold on one link only, where nobody has said on which. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as NodeClient from "@socketserver/node/NodeClient"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { networkInterfaces } from "node:os"
import { connectFailed } from "../src/internal/errors.ts"
import { directory, selfSigned } from "./support/certificates.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const noIpv6 = !Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === "IPv6"))
if (noIpv6) console.log("skipped: there is no IPv6")

const needs = "a link-local address needs a zone, which says on which interface: [fe80::1%eth0]"

describe.skipIf(noIpv6)("a link-local address without a zone", () => {
  const { cert, key } = selfSigned(directory(), "localhost")

  it.live.each(["tcp", "tls", "udp"])("cannot be bound, and what is missing is said: %s", (scheme) =>
    Effect.gen(function* () {
      const endpoint = `${scheme}://[fe80::1]:0`
      const layer = NodeServer.layer(Lines, endpoint, { tls: { cert, key } })
      const { message, reason } = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(message, `Cannot bind ${endpoint}: ${needs}`)
      assert(reason._tag === "BindFailed")
      assert.strictEqual(reason.kind, "InvalidOption")
    })
  )

  it.live("cannot be connected to over UDP, and what is missing is said", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Effect.scoped(NodeClient.connect(Lines, "udp://[fe80::1]:9")))
      assert(failure._tag === "ConnectFailed")
      assert.strictEqual(failure.message, `Cannot connect to udp://[fe80::1]:9: ${needs}`)
    })
  )

  it.live.each(["udp://[fe80::1%nosuch0]:0", "tcp://198.51.100.1:0"])("is not what is wrong with %s", (endpoint) =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(Effect.scoped(Layer.build(NodeServer.layer(Lines, endpoint))))
      assert.notInclude(message, "zone")
    })
  )
})

const failed = (code: string) => Object.assign(new Error(code), { code })

describe("a client that reaches nobody", () => {
  it.each(["tcp", "tls"] as const)(
    "is told where its address lacks a zone, for the platform takes any: %s",
    (scheme) => {
      const endpoint = `${scheme}://[fe80::1]:9`
      const says = `Cannot connect to ${endpoint}: ${needs}`
      assert.strictEqual(connectFailed(endpoint, "TimedOut", new Error("no answer in time")).message, says)
      assert.strictEqual(connectFailed(endpoint, "Unreachable", failed("EHOSTUNREACH")).message, says)
      assert.strictEqual(connectFailed(endpoint, "Other", failed("EINVAL")).message, says)
      const refused = connectFailed(endpoint, "Refused", failed("ECONNREFUSED")).message
      assert.strictEqual(refused, `Cannot connect to ${endpoint}: nothing listens there`)
    }
  )

  it.each(["[fe80::1%eth0]", "[fd00::1]", "[::1]", "192.0.2.1"])("is told nothing of it with %s", (host) => {
    const { message } = connectFailed(`tcp://${host}:9`, "TimedOut", new Error("no answer in time"))
    assert.strictEqual(message, `Cannot connect to tcp://${host}:9: no answer in time`)
  })
})
