/** What can go wrong at the ends of connections: half a message, half a close, half a request. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import { BindFailed, ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { decode, serverOf } from "./support/decoding.ts"
import { logs } from "./support/serving.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
class Large extends Server.Service<Large>()("Large", { protocol: Protocol.lines({ maxFrameBytes: 1_000_000 }) }) {}
class Bytes extends Server.Service<Bytes>()("Bytes", { protocol: Protocol.bytes() }) {}

const [, quiet] = logs()

const talking = (speaker: (connection: Connection.Connection<string, string>) => Effect.Effect<unknown, unknown>) => {
  const layer = Layer.provideMerge(
    Talk.serve(({ body }) => Effect.as(Effect.orDie(speaker(body)), Response.empty)),
    MemoryServer.layer(Talk)
  )
  return <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.provide(Effect.scoped(test), layer)
}

/** Fails instead of hanging when something does not come, in turns of the event loop rather than in time. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const turns = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })
  return Effect.raceFirst(effect, Effect.andThen(turns, Effect.die(new Error("it did not come"))))
}

const utf8 = new TextEncoder()

describe("a stop", () => {
  it.effect("does not make a message of the half that has arrived on a whole connection", () => {
    const messages: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Talk.rawClient
      yield* client.write(utf8.encode("first\ntransfer 100"))
      while (messages.length === 0) yield* Effect.yieldNow
      yield* Effect.flatMap(Talk, (server) => soon(server.shutdown))
      // The peer never said that this was the end of its message: it may have been "transfer 1000".
      assert.deepStrictEqual(messages, ["first"])
    }).pipe(
      talking((connection) => Stream.runForEach(connection.stream, (line) => Effect.sync(() => messages.push(line))))
    )
  })

  it.effect("does not wait for the deadline where a handler half-closed long before it ended", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["hello"])
      const { millis } = yield* Effect.flatMap(Talk, (server) => soon(server.shutdown))
      assert.strictEqual(millis, 0)
    }).pipe(
      talking((connection) =>
        Effect.andThen(Effect.andThen(connection.write("hello"), connection.end), Stream.runDrain(connection.stream))
      )
    )
  )
})

describe("a write", () => {
  it.effect("fails once the handler of its connection has ended, though the peer has not closed yet", () => {
    const kept = Deferred.makeUnsafe<Connection.Connection<string, string>>()
    return Effect.gen(function* () {
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["bye"])
      const connection = yield* Deferred.await(kept)
      const { reason } = yield* Effect.flip(connection.write("never sent"))
      assert.strictEqual(reason._tag, "Closed")
    }).pipe(talking((connection) => Effect.andThen(Deferred.succeed(kept, connection), connection.write("bye"))))
  })
})

describe("a client", () => {
  it.effect("that is interrupted while a request leaves never takes its answer for that of the next", () => {
    const latch = Latch.makeUnsafe()
    const layer = Layer.provideMerge(
      Large.serve(({ body }) => Effect.as(latch.await, Response.make(body.slice(0, 3)))),
      MemoryServer.layer(Large, { maxPipelined: 1 })
    )
    return Effect.gen(function* () {
      const client = yield* Large.client
      // The server reads no further than its pipelining limit, so that the next request cannot leave.
      yield* client.write("one")
      yield* client.write("two")
      yield* Effect.flatMap(Large, (server) =>
        Effect.repeat(Effect.andThen(Effect.yieldNow, server.connections), { until: ([info]) => info?.inFlight === 1 })
      )
      const sending = yield* Effect.forkScoped(client.send("AAA".repeat(100_000)), { startImmediately: true })
      yield* Fiber.interrupt(sending)
      yield* latch.open
      assert.strictEqual((yield* Effect.flip(soon(client.send("BBB")))).reason._tag, "Closed")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("an encoder", () => {
  it.effect("that returns neither text nor bytes fails its request", () =>
    Effect.gen(function* () {
      const client = yield* Bytes.client
      yield* client.write(utf8.encode("x"))
      yield* Effect.exit(client.take)
      const { Completed, Failed } = yield* Effect.flatMap(Bytes, (server) => server.counts)
      assert.deepStrictEqual({ Completed, Failed }, { Completed: 0, Failed: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Bytes.serve(() => Effect.succeed(Response.make(new ArrayBuffer(3) as never))),
          MemoryServer.layer(Bytes)
        )
      ),
      Effect.provide(quiet)
    )
  )
})

describe("a conversion that throws", () => {
  it("names the place of the message at fault", () => {
    const same = { decode: Result.succeed<string>, encode: Result.succeed<string> }
    const request = {
      decode: (line: string) => {
        if (line === "bad") throw new Error("a bug")
        return Result.succeed(line)
      },
      encode: Result.succeed<string>
    }
    const protocol = Protocol.transform(Protocol.lines(), { request, response: same })
    const decoder = serverOf(protocol).decoder()
    assert.doesNotThrow(() => decoder.push(utf8.encode("ok\nbad\nmore\n"), []))
    const { error, messages } = decode(serverOf(protocol), ["ok\nbad\nmore\n"])
    assert.deepStrictEqual(messages, ["ok"])
    assert.deepStrictEqual(error, { _tag: "Malformed", offset: 3, reason: "the decoder threw: a bug" })
  })
})

describe("what is said to a peer whose input cannot be decoded", () => {
  it.effect("closes the connection also where the function that says it throws", () =>
    Effect.gen(function* () {
      const client = yield* Large.rawClient
      yield* client.write(Uint8Array.of(255, 10))
      assert.strictEqual((yield* Effect.flip(soon(client.take)))._tag, "Done")
      const { Malformed, ...others } = yield* Effect.flatMap(Large, (server) => server.counts)
      assert.strictEqual(Malformed, 1)
      assert.strictEqual(
        Object.values(others).reduce((sum, count) => sum + count, 0),
        0
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Large.serve(({ body }) => Effect.succeed(Response.make(body)), {
            onUndecodable: () => {
              throw new Error("a bug")
            }
          }),
          MemoryServer.layer(Large, { drainTimeout: 0 })
        )
      ),
      Effect.provide(quiet)
    )
  )
})

describe("a server that could not bind", () => {
  it.effect("leaves no timer behind", () => {
    let asleep = 0
    return Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        sleep: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
          Effect.acquireUseRelease(
            Effect.sync(() => asleep++),
            () => clock.sleep(duration),
            () => Effect.sync(() => asleep--)
          )
      })
      const reason = new BindFailed({ endpoint: "memory:nowhere", kind: "Other", cause: new Error("no") })
      const transport = Transport.layer(Talk, { idleTimeout: "1 minute" }, () =>
        Effect.fail(new ServerError({ reason }))
      )
      const exit = yield* Layer.build(transport).pipe(
        Effect.scoped,
        Effect.provideService(Clock.Clock, counting),
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(asleep, 0)
    })
  })
})
