import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Middleware, Protocol, Response, Server } from "@socketserver/core"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A wall clock that somebody sets, over a time that passes as ever. */
const settable = Effect.map(Clock.Clock, (clock) => {
  let by = 0
  const set: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + by,
    currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + by)
  })
  return { clock: set, set: (millis: number) => (by = millis) }
})

const hour = 3_600_000

describe.each([
  { by: hour, set: "an hour ahead" },
  { by: -hour, set: "an hour back" }
])("a wall clock that is set $set", ({ by }) => {
  it.effect("ends no connection that is not idle, and spares none that is", () =>
    Effect.gen(function* () {
      const { clock, set } = yield* settable
      yield* Effect.gen(function* () {
        const served = Lines.serve((request) => Effect.succeed(Response.make(request.body)))
        const context = yield* Layer.build(
          Layer.provideMerge(served, MemoryServer.layer(Lines, { idleTimeout: "20 seconds" }))
        )
        const client = yield* Effect.provide(Lines.client, context)
        yield* client.send("hello")
        const ended = yield* Effect.forkChild(Effect.exit(client.take))
        set(by)
        yield* TestClock.adjust("19 seconds")
        assert.isUndefined(ended.pollUnsafe())
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(ended)
      }).pipe(Effect.provideService(Clock.Clock, clock))
    })
  )

  it.effect("changes no time that a report or a log line has measured", () =>
    Effect.gen(function* () {
      const { clock, set } = yield* settable
      const [entries, layer] = logs()
      const begun = Deferred.makeUnsafe<void>()
      yield* Effect.gen(function* () {
        let received: readonly [number, number] | undefined
        const handler: Server.HandlerOf<typeof Lines> = (request) =>
          Effect.gen(function* () {
            set(by)
            yield* Deferred.succeed(begun, undefined)
            yield* Effect.sleep("1 second")
            received = [(yield* Clock.currentTimeMillis) - request.receivedAt, request.receivedAt]
            assert.strictEqual(request.receivedAt, received[1])
            return Response.make("done")
          })
        const context = yield* Layer.build(
          Layer.provideMerge(Lines.serve(Middleware.logging(handler)), MemoryServer.layer(Lines))
        )
        const server = yield* Effect.provide(Lines, context)
        const client = yield* Effect.provide(Lines.client, context)
        const answer = yield* Effect.forkChild(client.send("hello"))
        yield* Deferred.await(begun)
        yield* TestClock.adjust("500 millis")
        const stopped = yield* Effect.forkChild(server.shutdown)
        set(-by)
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(yield* Fiber.join(answer), "done")
        assert.deepStrictEqual(received?.[0], 1_000)
        assert.strictEqual((yield* Fiber.join(stopped)).millis, 500)
        assert.strictEqual(
          entries.find(({ message }) => message.endsWith("was answered"))?.annotations["millis"],
          1_000
        )
      }).pipe(Effect.provideService(Clock.Clock, clock), Effect.provide(layer))
    })
  )
})
