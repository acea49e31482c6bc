import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Outcome, Protocol, RateLimit as Core, Response, Server } from "@socketserver/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as TestClock from "effect/testing/TestClock"
import * as RateLimit from "../src/RateLimit.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const limiter = Effect.provide(
  RateLimiter.RateLimiter.use(Effect.succeed),
  RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
)

/** A store that cannot be asked while `isDown`. */
const flaky = (isDown: () => boolean) =>
  Effect.map(limiter, (limiter) => ({
    ...limiter,
    consume: (options: Parameters<typeof limiter.consume>[0]) =>
      isDown()
        ? Effect.fail(
            new RateLimiter.RateLimiterError({
              reason: new RateLimiter.RateLimitStoreError({ message: "it is down\n\u009b2J\u202e", cause: undefined })
            })
          )
        : limiter.consume(options)
  }))

const serving = (limiter: RateLimiter.RateLimiter, options: RateLimit.Options<string, string>) =>
  Layer.provideMerge(
    Echo.serve(
      RateLimit.middleware<string, string>(limiter, options)(({ body }) => Effect.succeed(Response.make(body)))
    ),
    MemoryServer.layer(Echo)
  )

describe("a rate that a RateLimiter counts", () => {
  it.effect("is kept for each key, and for all who ask the same one", () =>
    Effect.gen(function* () {
      const shared = yield* limiter
      const options = {
        limit: 2,
        per: "1 minute",
        key: ({ body }: { readonly body: string }) => body.slice(0, 1),
        onLimited: (_: unknown, millis: number) => Response.make(`wait ${millis}`)
      } as const
      const ask = (...lines: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const client = yield* Echo.client
          const answers = yield* Effect.forEach(lines, client.send)
          const { refusals, counts } = yield* Echo
          return { answers, refused: (yield* refusals).RateLimit, completed: (yield* counts).Completed }
        }).pipe(Effect.scoped, Effect.provide(serving(shared, options)))
      assert.deepStrictEqual(yield* ask("a1", "b1", "a2", "a3"), {
        answers: ["a1", "b1", "a2", "wait 30000"],
        refused: 1,
        completed: 3
      })
      // Another server of the same store.
      assert.deepStrictEqual((yield* ask("a4", "b2", "b3")).answers, ["wait 30000", "b2", "wait 30000"])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual((yield* ask("a5", "a6")).answers, ["a5", "wait 30000"])
    })
  )

  it.effect("delays who may wait, and no longer", () =>
    Effect.gen(function* () {
      const { take } = RateLimit.make(yield* limiter, { limit: 1, per: "1 second", maxDelay: "1500 millis" })
      assert.strictEqual(yield* take("a"), 0)
      const second = yield* Effect.forkChild(take("a"), { startImmediately: true })
      yield* TestClock.adjust(999)
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(second), 0)
      const { take: hurried } = RateLimit.make(yield* limiter, { limit: 1, per: "10 seconds", maxDelay: "1 second" })
      assert.strictEqual(yield* hurried("b"), 0)
      assert.strictEqual(yield* hurried("b"), -10_000)
    })
  )

  it.effect.each([
    { whenUnavailable: undefined, before: [0, 0], during: 0 },
    { whenUnavailable: "allow" as const, before: [0, 0], during: 0 },
    { whenUnavailable: "refuse" as const, before: [0, 0], during: -60_000 }
  ])("lets in or refuses while the store is down: $whenUnavailable", ({ during, whenUnavailable }) =>
    Effect.gen(function* () {
      let isDown = false
      const store = yield* flaky(() => isDown)
      const { take } = RateLimit.make(store, { limit: 1, per: Duration.minutes(1), whenUnavailable })
      assert.strictEqual(yield* take("a"), 0)
      isDown = true
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], () => take("a")), [during, during, during])
      isDown = false
      assert.strictEqual(yield* take("a"), -60_000)
    })
  )

  it.effect("says that the store is down once, and once that it has worked for ten seconds", () => {
    const said: Array<string> = []
    const logger = Logger.make<unknown, void>(
      ({ logLevel, message }) => void said.push(`${logLevel}: ${String(message)}`)
    )
    return Effect.gen(function* () {
      let isDown = false
      const store = yield* flaky(() => isDown)
      const { take } = RateLimit.make(store, { limit: 1_000 })
      const takes = (down: boolean) => Effect.suspend(() => ((isDown = down), take("a")))
      yield* takes(false)
      assert.deepStrictEqual(said, [])
      for (let i = 0; i < 100; i++) {
        yield* takes(true)
        yield* takes(false)
      }
      const down =
        "Warn: The store of a rate limit cannot be asked; who comes meanwhile is let in: it is down\\n\\x9b2J\\u202e"
      assert.deepStrictEqual(said.splice(0), [down])
      yield* TestClock.adjust("9999 millis")
      yield* takes(false)
      assert.deepStrictEqual(said, [])
      yield* TestClock.adjust("1 millis")
      yield* takes(false)
      assert.deepStrictEqual(said.splice(0), [
        "Info: The store of a rate limit can be asked again; 100 times it could not"
      ])
      yield* takes(false)
      yield* takes(true)
      assert.deepStrictEqual(said, [down])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("bounds how often a peer may connect", () =>
    Effect.gen(function* () {
      const rate = { limit: 2, per: "1 minute" } as const
      const verify = Core.verify({ ...rate, by: RateLimit.make(yield* limiter, rate) })
      yield* Effect.gen(function* () {
        const ask = Effect.scoped(Effect.flatMap(Echo.client, (client) => client.send("hello")))
        assert.deepStrictEqual(
          [yield* ask, yield* ask, Exit.isFailure(yield* Effect.exit(ask))],
          ["hello", "hello", true]
        )
        const { refusals } = yield* Echo
        assert.strictEqual((yield* refusals).RateLimit, 1)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Echo.serve(({ body }) => Effect.succeed(Response.make(body))),
            MemoryServer.layer(Echo, { verify })
          )
        )
      )
    })
  )

  it("says why one is refused", () =>
    Effect.runPromise(
      Effect.map(limiter, (limiter) =>
        assert.strictEqual(
          Outcome.describe(RateLimit.make(limiter, { limit: 3, per: "1 minute" }).refused),
          "refused: more than 3 in 60000 ms"
        )
      )
    ))

  it.effect("is refused where it is written, with times that are none", () =>
    Effect.gen(function* () {
      const store = yield* limiter
      for (const [option, rate] of [
        ["per", { limit: 1, per: "soon" as never }],
        ["per", { limit: 1, per: 0 }],
        ["maxDelay", { limit: 1, maxDelay: -1 }]
      ] as const) {
        assert.throws(() => RateLimit.make(store, rate), new RegExp(`${option}: it must be a positive time`))
      }
    })
  )
})
