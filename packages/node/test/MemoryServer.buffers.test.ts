/** In memory as over a socket: what was written is what arrives, whatever the writer does with its bytes. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.bytes() }) {}

const test = (arrived: Deferred.Deferred<void>, changed: Deferred.Deferred<void>) =>
  Effect.gen(function* () {
    const client = yield* Echo.rawClient
    const buffer = Buffer.from("one")
    yield* client.write(buffer)
    yield* Deferred.await(arrived)
    buffer.write("two")
    yield* Deferred.succeed(changed, undefined)
    assert.strictEqual(Buffer.from(yield* client.take).toString(), "one")
  })

describe("a buffer of Node that is used again", () => {
  it.effect.each([
    { over: "a connection", layer: MemoryServer.layer(Echo) },
    { over: "datagrams", layer: MemoryServer.layerDatagrams(Echo) }
  ])("does not change what was written: over $over", ({ layer }) =>
    Effect.gen(function* () {
      const [arrived, changed] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const served = Echo.serve(({ body }) =>
        Effect.as(Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(changed)), Response.make(body))
      )
      yield* test(arrived, changed).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(served, layer)))
    })
  )
})
