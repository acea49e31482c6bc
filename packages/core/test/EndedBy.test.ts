/** What has ended a connection, as its handlers can know. */
import { assert, describe, it } from "@effect/vitest"
import { type Connection, Handler, MemoryServer, Protocol, Response, Server } from "@socketserver/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

type Seen = Array<Connection.EndedBy | undefined>

describe("the handler of a request that is interrupted", () => {
  /** Runs a test once a handler waits, and returns what it has seen at its beginning and when it was interrupted. */
  const interrupted = (place: Layer.Layer<Lines, unknown>, end: Effect.Effect<unknown, unknown, Lines>) => {
    const seen: Seen = []
    const begun = Deferred.makeUnsafe<void>()
    const serving = Lines.serve(({ connection }) =>
      Effect.suspend(() => {
        seen.push(connection.endedBy)
        Deferred.doneUnsafe(begun, Effect.void)
        const ended = Effect.sync(() => void seen.push(connection.endedBy))
        return Effect.onInterrupt(Effect.never, () => ended)
      })
    )
    return Effect.gen(function* () {
      yield* Effect.andThen(Deferred.await(begun), end).pipe(Effect.forkScoped, Effect.flatMap(Fiber.join))
      return seen
    }).pipe(
      (test) => Effect.andThen(Effect.forkScoped(Effect.flatMap(Lines.client, (client) => client.send("wait"))), test),
      Effect.scoped,
      Effect.provide(Layer.provideMerge(serving, place))
    )
  }

  const stop = Effect.gen(function* () {
    const stopped = yield* Effect.forkChild(Effect.flatMap(Lines, (server) => server.shutdown))
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(stopped)
  })

  it.effect.each([
    { what: "a stop", place: MemoryServer.layer(Lines), end: stop, by: "stop" },
    { what: "a stop, over datagrams", place: MemoryServer.layerDatagrams(Lines), end: stop, by: "stop" }
  ] as const)("knows that it was $what", ({ by, end, place }) =>
    Effect.map(interrupted(place, end), (seen) => assert.deepStrictEqual(seen, [undefined, by]))
  )

  it.effect("knows that it was its peer", () => {
    const seen: Seen = []
    const begun = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* Lines.client
          yield* client.write("wait")
          yield* Deferred.await(begun)
          yield* client.reset
          yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        })
      )
      assert.deepStrictEqual(seen, ["peer"])
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(({ connection }) =>
            Effect.andThen(
              Deferred.succeed(begun, undefined),
              Effect.onInterrupt(Effect.never, () => Effect.sync(() => void seen.push(connection.endedBy)))
            )
          ),
          MemoryServer.layer(Lines)
        )
      )
    )
  })
})

describe("a handler that closes its connection", () => {
  it.effect("knows that it was itself", () => {
    const seen: Seen = []
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* Effect.exit(client.send("close"))
      assert.deepStrictEqual(seen, [undefined, "self"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(({ connection }) =>
            Effect.gen(function* () {
              seen.push(connection.endedBy)
              yield* connection.close
              seen.push(connection.endedBy)
              return Response.make("said in vain")
            })
          ),
          MemoryServer.layer(Lines)
        )
      )
    )
  })
})

describe("a dialogue whose input has ended", () => {
  it.effect.each([
    {
      what: "its peer has half-closed",
      end: (client: { readonly end: Effect.Effect<void> }) => client.end,
      by: "peer"
    },
    { what: "the server stops", end: () => Effect.flatMap(Talk, (server) => server.shutdown), by: "stop" }
  ] as const)("knows that $what, and what it says last arrives", ({ by, end }) =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      const heard = yield* Effect.forkChild(Stream.runCollect(client.stream))
      yield* client.write("hello")
      const server = yield* Talk
      while ((yield* server.connections)[0]?.bytesWritten !== 6) yield* Effect.yieldNow
      yield* Effect.forkChild(end(client))
      assert.deepStrictEqual(yield* Fiber.join(heard), ["hello", `ended by ${by}`])
      assert.strictEqual(client.endedBy, "peer")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(
            Handler.dialogue((connection: Server.ConnectionOf<typeof Talk>) =>
              Effect.gen(function* () {
                assert.strictEqual(connection.endedBy, undefined)
                yield* Stream.runForEach(connection.stream, (line) => connection.write(line))
                yield* connection.write(`ended by ${connection.endedBy}`)
              })
            )
          ),
          MemoryServer.layer(Talk)
        )
      )
    )
  )
})
