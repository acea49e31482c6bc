/** New keys of TLS 1.3, as a program of others takes them. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TlsServer from "@socketserver/node/TlsServer"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { directory, selfSigned } from "./support/certificates.ts"
import { start } from "./support/programs.ts"

const own = selfSigned(directory(), "localhost")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const live = Layer.provideMerge(
  Lines.serve(({ body }) => Effect.succeed(Response.make(body))),
  TlsServer.layer(Lines, { host: "127.0.0.1", port: 0, drainTimeout: 0, ...own })
)

const portOf = Effect.map(Lines, ({ address }) => (address as Endpoint.Tls).port)

describe("a peer over TLS 1.3", () => {
  it.live("that takes a new key now and then is served", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      const client = yield* start("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-tls1_3"])
      for (let i = 0; i < 5; i++) {
        yield* client.write(`line ${i}\n`)
        yield* client.prints(new RegExp(`^line ${i}$`, "m"))
        // As openssl's manual has it: a new key, and the question for one.
        yield* client.write("K\n")
        yield* client.complains(new RegExp(`(?:KEYUPDATE[^]*){${i + 1}}`))
      }
      assert.strictEqual((yield* (yield* Lines).counts).Malformed, 0)
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})
