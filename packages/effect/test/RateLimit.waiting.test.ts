/** Who waits for a rate that a store counts: in line, for no longer than said, and refused at once. */
import { assert, describe, it } from "@effect/vitest"
import {
  MemoryServer,
  Middleware,
  Policy,
  Protocol,
  RateLimit as Core,
  Response,
  Server,
  Session
} from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, TokenLines } from "../src/internal/tokenLines.ts"
import * as RateLimit from "../src/RateLimit.ts"
import { until } from "./support.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines(), key: ({ body }) => body }) {}

type Consume = RateLimiter.RateLimiter["consume"]

/** A store in memory, whose every question goes through `how`, by its number. */
const store = (how: (consumed: ReturnType<Consume>, number: number) => ReturnType<Consume> = (consumed) => consumed) =>
  Effect.gen(function* () {
    const limiter = yield* Effect.provide(
      RateLimiter.RateLimiter.use(Effect.succeed),
      RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
    )
    const asked = { times: 0 }
    const consume: Consume = (options) => Effect.suspend(() => how(limiter.consume(options), ++asked.times))
    return { asked, limiter: { ...limiter, consume } }
  })

const down = Effect.fail(
  new RateLimiter.RateLimiterError({
    reason: new RateLimiter.RateLimitStoreError({ message: "it is down", cause: undefined })
  })
)

/** Many come at once: when each had what answer, of those that have one. */
const come = (take: Effect.Effect<number>, times: number) =>
  Effect.gen(function* () {
    const answers: Array<readonly [at: number, millis: number]> = []
    const one = Effect.flatMap(take, (millis) =>
      Effect.map(Clock.currentTimeMillis, (now) => void answers.push([now, millis]))
    )
    const fibers = yield* Effect.forEach(Array.from({ length: times }), () =>
      Effect.forkChild(one, { startImmediately: true })
    )
    return { answers, fibers }
  })

const rate = { limit: 10, per: "1 second", maxDelay: "2 seconds" } as const

describe("who waits for a rate of a store", () => {
  it.effect("has its token when it is there, and is refused at once where that is too late", () =>
    Effect.gen(function* () {
      const { asked, limiter } = yield* store()
      const { take } = RateLimit.make(limiter, rate)
      const { answers } = yield* come(take("a"), 600)
      const at = (moment: number) => answers.filter(([now]) => now === moment)
      assert.strictEqual(at(0).filter(([, millis]) => millis === 0).length, 10)
      assert.strictEqual(at(0).filter(([, millis]) => millis === -2_100).length, 570)
      // Of those in line only the first one has asked.
      assert.strictEqual(asked.times, 11)
      for (let token = 1; token <= 20; token++) {
        yield* TestClock.adjust(99)
        assert.strictEqual(answers.length, 580 + token - 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(answers.length, 580 + token)
      }
      assert.strictEqual(answers.filter(([, millis]) => millis === 0).length, 30)
      assert.strictEqual(asked.times, 31)
    })
  )

  it.effect("waits for a window that opens for many", () =>
    Effect.gen(function* () {
      const { asked, limiter } = yield* store()
      const { take } = RateLimit.make(limiter, { ...rate, algorithm: "fixed-window" })
      const { answers } = yield* come(take("a"), 40)
      // Ten at once, ten in each of two windows, and those after them are too late.
      assert.deepStrictEqual(
        answers.filter(([, millis]) => millis < 0),
        Array.from({ length: 10 }, () => [0, -3_000] as const)
      )
      for (const [millis, answered] of [
        [999, 20],
        [1, 30],
        [999, 30],
        [1, 40]
      ] as const) {
        yield* TestClock.adjust(millis)
        assert.strictEqual(answers.length, answered)
      }
      assert.strictEqual(asked.times, 31)
    })
  )

  it.effect("waits so long at most, to the millisecond", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store()
      const one = { limit: 1, per: "1 second" } as const
      const { take } = RateLimit.make(limiter, { ...one, maxDelay: 1_999 })
      assert.strictEqual((yield* come(take("a"), 3)).answers.filter(([, millis]) => millis === -2_000).length, 1)
      const { take: patient } = RateLimit.make(limiter, { ...one, maxDelay: 2_000 })
      const { answers } = yield* come(patient("b"), 4)
      assert.deepStrictEqual(answers, [
        [0, 0],
        [0, -3_000]
      ])
      yield* TestClock.adjust(999)
      // It comes a millisecond too early for the third token, and just in time after that.
      assert.strictEqual(yield* patient("b"), -2_001)
      yield* TestClock.adjust(1)
      const late = yield* Effect.forkChild(patient("b"), { startImmediately: true })
      yield* TestClock.adjust(1_999)
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(late), 0)
      assert.deepStrictEqual(answers.slice(2), [
        [1_000, 0],
        [2_000, 0]
      ])
    })
  )

  it.effect("is in a line of its own for each key", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store()
      const { take } = RateLimit.make(limiter, { limit: 1, per: "1 second", maxDelay: "1 second" })
      for (const key of ["a", "b"]) {
        const { answers } = yield* come(take(key), 3)
        assert.deepStrictEqual(answers, [
          [0, 0],
          [0, -2_000]
        ])
      }
    })
  )

  it.effect("is refused at once where no token can ever be", () =>
    Effect.gen(function* () {
      const { asked, limiter } = yield* store()
      for (const algorithm of ["token-bucket", "fixed-window"] as const) {
        const { take } = RateLimit.make(limiter, { algorithm, limit: 0.5, per: "1 second", maxDelay: "1 minute" })
        assert.strictEqual(yield* take("a"), -1_000)
      }
      assert.strictEqual(asked.times, 2)
    })
  )

  it.effect.each([0, 1, 2])("moves up where one before it goes: number %s of three", (gone) =>
    Effect.gen(function* () {
      const { limiter } = yield* store()
      const { take } = RateLimit.make(limiter, { limit: 1, per: "1 second", maxDelay: "3 seconds" })
      assert.strictEqual(yield* take("a"), 0)
      const { answers, fibers } = yield* come(take("a"), 3)
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(fibers[gone]!)
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(answers, [])
      yield* TestClock.adjust(1_001)
      assert.deepStrictEqual(answers, [
        [1_000, 0],
        [2_000, 0]
      ])
      // It has taken nothing.
      yield* TestClock.adjust(1_000)
      assert.strictEqual(yield* take("a"), 0)
    })
  )

  it.effect("waits no longer for a store that is slow", () =>
    Effect.gen(function* () {
      // A question is on its way for longer than a token takes.
      const { asked, limiter } = yield* store((consumed) => Effect.delay(consumed, 250))
      const { take } = RateLimit.make(limiter, rate)
      const { answers } = yield* come(take("a"), 600)
      yield* TestClock.adjust(250)
      assert.strictEqual(answers.filter(([, millis]) => millis === 0).length, 10)
      const first = answers.length
      // Whoever waits comes in as often as the rate allows, and not after one another's questions.
      yield* TestClock.adjust(1_100)
      assert.approximately(answers.length - first, 8, 2)
      yield* TestClock.adjust(2_000)
      assert.strictEqual(answers.length, 600)
      assert.isAtMost(asked.times, 640)
    })
  )

  it.effect("is not held up by a question that is never answered", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store((consumed, number) => (number === 3 ? Effect.never : consumed))
      const { take } = RateLimit.make(limiter, { limit: 1, per: "1 second", maxDelay: "5 seconds" })
      assert.strictEqual(yield* take("a"), 0)
      const { answers, fibers } = yield* come(take("a"), 3)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(answers.length, 2)
      assert.isUndefined(fibers[0]!.pollUnsafe())
    })
  )

  it.effect.each([
    { whenUnavailable: "allow" as const, answer: 0 },
    { whenUnavailable: "refuse" as const, answer: -1_000 }
  ])("is let in or refused when the store fails: $whenUnavailable", ({ answer, whenUnavailable }) =>
    Effect.gen(function* () {
      let isDown = false
      const { limiter } = yield* store((consumed) => (isDown ? down : consumed))
      const { take } = RateLimit.make(limiter, { ...rate, whenUnavailable })
      const { answers } = yield* come(take("a"), 30)
      assert.strictEqual(answers.length, 10)
      isDown = true
      // The first finds out, for all.
      yield* TestClock.adjust(99)
      assert.strictEqual(answers.length, 10)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        answers.slice(10),
        Array.from({ length: 20 }, () => [100, answer] as const)
      )
      // So do those who come then, however many they are.
      assert.deepStrictEqual(
        (yield* come(take("a"), 100)).answers,
        Array.from({ length: 100 }, () => [100, answer])
      )
    })
  )

  it.effect("waits on where the store fails now and then", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store((consumed, number) => (number % 2 === 0 ? down : consumed))
      const { take } = RateLimit.make(limiter, { ...rate, limit: 1, whenUnavailable: "refuse" })
      const { answers } = yield* come(take("a"), 100)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(answers.length, 100)
      assert.isAtMost(answers.filter(([, millis]) => millis === 0).length, 4)
    })
  )

  it.effect("dies with the store, and holds up nobody", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store((consumed, number) => (number === 3 ? Effect.die(new Error("a bug")) : consumed))
      const { take } = RateLimit.make(limiter, { limit: 1, per: "1 second", maxDelay: "3 seconds" })
      assert.strictEqual(yield* take("a"), 0)
      const { answers, fibers } = yield* come(take("a"), 3)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(answers, [
        [1_000, 0],
        [2_000, 0]
      ])
      const died = yield* Effect.exit(Fiber.join(fibers[0]!))
      assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
    })
  )

  it.effect("shares the tokens with those who wait elsewhere, and is refused once it would wait too long", () =>
    Effect.gen(function* () {
      const { asked, limiter } = yield* store()
      const programs = [RateLimit.make(limiter, rate), RateLimit.make(limiter, rate)]
      const all = yield* Effect.forEach(programs, ({ take }) => come(take("a"), 100))
      yield* TestClock.adjust(1_999)
      // Each line knows of its own only, so that one of two is told late.
      yield* TestClock.adjust(1)
      const answers = all.flatMap(({ answers }) => answers)
      assert.strictEqual(answers.length, 200)
      assert.strictEqual(answers.filter(([, millis]) => millis === 0).length, 30)
      assert.isAtMost(Math.max(...answers.map(([now]) => now)), 2_000)
      assert.isAtMost(asked.times, 60)
    })
  )

  it.effect("is forgotten with its key", () =>
    Effect.gen(function* () {
      let answer: Answer = { _tag: "Early", millis: 1_000 }
      const lines = new TokenLines(() => Effect.succeed(answer), { atOnce: 1, millis: 1_000 }, 2_000)
      const strangers = Array.from({ length: 100 }, (_, number) => `${number}`)
      for (const key of strangers) yield* come(lines.take(key), 3)
      assert.strictEqual(lines.size, 100)
      const { fibers } = yield* come(lines.take("gone"), 2)
      assert.strictEqual(lines.size, 101)
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(lines.size, 100)
      answer = { _tag: "Taken", left: 0 }
      yield* TestClock.adjust("1 second")
      assert.strictEqual(lines.size, 100)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(lines.size, 0)
      // Who is refused at once never had one.
      answer = { _tag: "Early", millis: 3_000 }
      assert.strictEqual(yield* lines.take("late"), -3_000)
      assert.strictEqual(lines.size, 0)
    })
  )
})

describe("a server whose rate a store counts", () => {
  const policies = {
    fiber: Policy.fiber({ max: 8 }),
    keyed: Policy.keyed({ max: 8 }),
    sequential: Policy.sequential
  }
  const axes = Object.keys(policies).flatMap((policy) =>
    [false, true].map((session) => ({ policy: policy as keyof typeof policies, session }))
  )

  it.effect.each(axes)("delays and refuses under $policy, with a session: $session", ({ policy, session }) =>
    Effect.gen(function* () {
      const { asked, limiter } = yield* store()
      const shared = { limit: 1, per: "1 second", maxDelay: "2 seconds" } as const
      const options = { ...shared, by: RateLimit.make(limiter, shared), onLimited: () => Response.make("later") }
      const echo = ({ body }: { readonly body: string }) => Effect.succeed(Response.make(body))
      const served = session
        ? Echo.serve(
            Middleware.rateLimit(
              Session.make(() => Effect.succeed(echo)),
              options
            ),
            { policy: policies[policy] }
          )
        : Echo.serve(Middleware.rateLimit(echo, options), { policy: policies[policy] })
      yield* Effect.gen(function* () {
        const answers: Array<string> = []
        const clients = yield* Effect.forEach(Array.from({ length: 6 }), () => Echo.client)
        const fibers = yield* Effect.forEach(clients, (client, number) =>
          Effect.forkChild(
            Effect.map(client.send(`${number}`), (answer) => void answers.push(answer)),
            { startImmediately: true }
          )
        )
        const { counts } = yield* Echo
        const answered = (times: number) => until(Effect.sync(() => answers.length >= times))
        // One at a time waits before others come; together one has its token, two wait, and three are refused.
        yield* answered(policy === "sequential" ? 1 : 4)
        yield* TestClock.adjust(999)
        assert.strictEqual(answers.length, policy === "sequential" ? 1 : 4)
        yield* TestClock.adjust(1)
        yield* answered(policy === "sequential" ? 2 : 5)
        yield* Effect.forEach([1, 2, 3, 4], () => TestClock.adjust("1 second"))
        yield* Fiber.joinAll(fibers)
        const refused = policy === "sequential" ? 0 : 3
        assert.strictEqual(answers.filter((answer) => answer === "later").length, refused)
        assert.strictEqual((yield* counts).Completed, 6 - refused)
        assert.isAtMost(asked.times, 11)
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(served, MemoryServer.layer(Echo))))
    })
  )

  it.effect("delays connections, and refuses them at once", () =>
    Effect.gen(function* () {
      const { limiter } = yield* store()
      const shared = { limit: 1, per: "1 second", maxDelay: "2 seconds" } as const
      const verify = Core.verify({ ...shared, by: RateLimit.make(limiter, shared) })
      yield* Effect.gen(function* () {
        const answers: Array<string> = []
        const one = Effect.scoped(
          Effect.flatMap(Echo.client, (client) =>
            Effect.match(client.send("hello"), { onFailure: () => "refused", onSuccess: (answer) => answer })
          )
        ).pipe(Effect.map((answer) => void answers.push(answer)))
        const fibers = yield* Effect.forEach(Array.from({ length: 6 }), () =>
          Effect.forkChild(one, { startImmediately: true })
        )
        yield* until(Effect.sync(() => answers.length >= 4))
        assert.deepStrictEqual(answers.toSorted(), ["hello", "refused", "refused", "refused"])
        yield* TestClock.adjust(999)
        assert.strictEqual(answers.length, 4)
        yield* TestClock.adjust(1)
        yield* until(Effect.sync(() => answers.length >= 5))
        yield* TestClock.adjust("1 second")
        yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual(answers.slice(4), ["hello", "hello"])
        const { refusals } = yield* Echo
        assert.strictEqual((yield* refusals).RateLimit, 3)
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
})
