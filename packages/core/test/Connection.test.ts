import { assert, describe, it } from "@effect/vitest"
import * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
class Short extends Server.Service<Short>()("Short", {
  protocol: Protocol.connection(Protocol.lines({ maxFrameBytes: 8 }))
}) {}
class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

type Lined = Connection.Connection<string, string>

const talking = (speaker: (connection: Lined) => Effect.Effect<unknown, unknown>) => {
  const handler: Handler.Handler<Lined, never> = ({ body }) => Effect.as(Effect.orDie(speaker(body)), Response.empty)
  const layer = Layer.provideMerge(Talk.serve(handler), MemoryServer.layer(Talk))
  return <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.provide(Effect.scoped(body), layer)
}

describe("a connection that was kept for too long", () => {
  it.effect("fails to write and has nothing to read, rather than hang", () => {
    const kept = Deferred.makeUnsafe<Lined>()
    return Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["bye"])
      yield* client.close
      const connection = yield* Deferred.await(kept)
      const server = yield* Talk
      while ((yield* server.connections).length > 0) yield* Effect.yieldNow
      assert.strictEqual((yield* Effect.flip(connection.write("late"))).reason._tag, "Closed")
      assert.strictEqual((yield* Effect.flip(connection.take))._tag, "Done")
      assert.deepStrictEqual(yield* Stream.runCollect(connection.stream), [])
      yield* Effect.andThen(connection.end, connection.close)
    }).pipe(talking((connection) => Effect.andThen(Deferred.succeed(kept, connection), connection.write("bye"))))
  })

  it.effect("fails to push", () => {
    const kept = Deferred.makeUnsafe<Connection.Ref<string>>()
    const handler: Handler.Handler<string, string> = ({ connection }) =>
      Effect.as(Deferred.succeed(kept, connection), Response.andClose(Response.make("bye")))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("quit"), "bye")
      yield* client.close
      const connection = yield* Deferred.await(kept)
      assert.strictEqual((yield* Effect.flip(connection.push("late"))).reason._tag, "Closed")
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
  })
})

describe("a connection", () => {
  it.effect("can have its functions passed on", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["one", "two"])
    }).pipe(talking(({ write }) => Effect.forEach(["one", "two"], write)))
  )

  it.effect("can have its push passed on", () => {
    const handler: Handler.Handler<string, string> = ({ connection: { push } }) =>
      Effect.as(Effect.ignore(Effect.forEach(["one", "two"], push)), Response.make("three"))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("go"), "one")
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["two", "three"])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
  })

  it.effect("half-closes with end and goes on reading", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["I listen"])
      yield* Effect.andThen(client.write("first"), client.write("second"))
      yield* client.end
      assert.deepStrictEqual(yield* Deferred.await(heard), ["first", "second"])
    }).pipe(
      talking((connection) =>
        Effect.gen(function* () {
          yield* connection.write("I listen")
          yield* connection.end
          assert.strictEqual((yield* Effect.flip(connection.write("no"))).reason._tag, "Closed")
          yield* Deferred.succeed(heard, yield* Stream.runCollect(connection.stream))
        })
      )
    )
  )
  const heard = Deferred.makeUnsafe<ReadonlyArray<string>>()

  it.effect("closed by a handler sends what was written, and not the reply that follows", () => {
    const handler: Handler.Handler<string, string> = ({ connection }) =>
      Effect.andThen(Effect.ignore(connection.push("written")), Effect.as(connection.close, Response.make("too late")))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("quit")
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["written"])
      yield* client.close
      const { Cancelled, Completed } = yield* Effect.flatMap(Lines, (server) => server.counts)
      assert.deepStrictEqual([Cancelled, Completed], [1, 0])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))))
  })

  it.effect("fails its reading when a frame is too large, after what came before", () => {
    const read = Deferred.makeUnsafe<unknown>()
    const handler: Handler.Handler<Lined, never> = ({ body }) =>
      Effect.gen(function* () {
        const first = yield* body.take
        const { reason } = yield* Effect.flip(Stream.runDrain(body.stream))
        yield* Deferred.succeed(read, [first, reason])
        return Response.empty
      }).pipe(Effect.orDie)
    return Effect.gen(function* () {
      const client = yield* Short.rawClient
      yield* client.write(new TextEncoder().encode("fine\nmuch too long\n"))
      assert.deepStrictEqual(yield* Deferred.await(read), ["fine", { _tag: "FrameTooLarge", limitBytes: 8, offset: 5 }])
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Short.serve(handler), MemoryServer.layer(Short))))
  })
})

describe("ConnectionError", () => {
  const peer = Peer.make({ transport: "tcp", name: "127.0.0.1:5000" })

  it.effect.each<{ readonly reason: Connection.Reason; readonly text: string }>([
    { reason: { _tag: "Closed" }, text: "it is closed" },
    { reason: { _tag: "Reset", cause: new Error("ECONNRESET") }, text: "it was reset: ECONNRESET" },
    { reason: { _tag: "EncodeFailed", problem: "too big" }, text: "the message cannot be encoded: too big" }
  ])("says $text", ({ reason, text }) =>
    Effect.sync(() =>
      assert.strictEqual(
        new Connection.ConnectionError({ reason, peer }).message,
        `Connection with 127.0.0.1:5000: ${text}`
      )
    )
  )
})
