import { assert, describe, it } from "@effect/vitest"
import { Handler, MemoryServer, Middleware, Outcome, type Request, Response } from "@socketserver/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { counts, type LineHandler, Lines, logs, peer, rest, serving, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** The outcome of one request, whose handler runs meanwhile. */
const outcomeOf = (handler: LineHandler, line: string, during: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    yield* tell(yield* peer, line)
    const [outcome] = yield* Effect.all([Lines.handleRequest(handler), during], { concurrency: "unbounded" })
    return Option.getOrThrow(outcome)
  }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))

describe("Middleware.timeout", () => {
  /** Answers lines in as many seconds as they say. */
  const slow =
    (begun: Deferred.Deferred<void>, log: Array<string> = []): LineHandler =>
    (request) =>
      Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(Effect.sleep(Number(request.body) * 1_000)),
        Effect.as(Response.make(request.body)),
        Effect.onInterrupt(() => Effect.sync(() => log.push("interrupted")))
      )

  for (const [form, timeout] of [
    ["data first", (self: LineHandler): LineHandler => Middleware.timeout(self, "5 seconds")],
    ["data last", Middleware.timeout<string, string>("5 seconds")]
  ] as const) {
    it.effect(`interrupts a handler that takes too long, answers nothing and closes (${form})`, () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const log: Array<string> = []
        yield* serving(
          timeout(slow(begun, log)),
          Effect.gen(function* () {
            const client = yield* peer
            yield* tell(client, "60")
            yield* Deferred.await(begun)
            yield* TestClock.adjust("4999 millis")
            assert.deepStrictEqual([log, yield* counts], [[], {}])
            yield* TestClock.adjust("1 millis")
            assert.deepStrictEqual(yield* rest(client), [])
            assert.deepStrictEqual([log, yield* counts], [["interrupted"], { TimedOut: 1 }])
          })
        )
      })
    )
  }

  it.effect("answers what it is told to, and the connection goes on", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const handler = Middleware.timeout(slow(begun), "5 seconds", {
        onTimeout: (request) => Response.make(`no ${request.body}`)
      })
      yield* serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "60", "1")
          yield* Deferred.await(begun)
          yield* TestClock.adjust("5 seconds")
          assert.deepStrictEqual([yield* client.take, yield* client.take], ["no 60", "1"])
          assert.deepStrictEqual(yield* counts, { TimedOut: 1, Completed: 1 })
        })
      )
    })
  )

  it.effect("says in its outcome how long it has waited", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const during = Effect.andThen(Deferred.await(begun), TestClock.adjust("5 seconds"))
      const outcome = yield* outcomeOf(Middleware.timeout(slow(begun), "5 seconds"), "60", during)
      assert.deepStrictEqual(outcome, Outcome.timedOut(5_000))
    })
  )

  it.effect("leaves an answer alone that comes in time", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const during = Effect.andThen(Deferred.await(begun), TestClock.adjust("4 seconds"))
      const outcome = yield* outcomeOf(Middleware.timeout(slow(begun), "5 seconds"), "4", during)
      assert.deepStrictEqual(outcome, Outcome.completed)
      assert.deepStrictEqual(yield* outcomeOf(Middleware.timeout(echo, "5 seconds"), "now"), Outcome.completed)
    })
  )

  it.effect("counts from when the handler begins, not from when the request came", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const handler = Middleware.timeout(slow(begun), "5 seconds")
      const outcome = yield* Effect.gen(function* () {
        yield* tell(yield* peer, "4")
        yield* settled
        yield* TestClock.adjust("1 hour")
        const waiting = yield* Effect.forkChild(Lines.handleRequest(handler))
        yield* Deferred.await(begun)
        yield* TestClock.adjust("4 seconds")
        return Option.getOrThrow(yield* Fiber.join(waiting))
      }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
      assert.deepStrictEqual(outcome, Outcome.completed)
    })
  )

  it.effect("does not time the stream that a handler has returned", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const late = Stream.fromEffect(
        Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(Effect.sleep("1 hour"), "late"))
      )
      const handler = Middleware.timeout((() => Effect.succeed(Response.stream(late))) as LineHandler, "5 seconds")
      yield* serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "go")
          yield* Deferred.await(begun)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(yield* client.take, "late")
          assert.deepStrictEqual(yield* counts, { Completed: 1 })
        })
      )
    })
  )
})

describe("Middleware.filter", () => {
  const named = (request: Request.Request<string>) => Effect.succeed(request.body.startsWith("me:"))

  for (const [form, verify] of [
    ["data first", (self: LineHandler): LineHandler => Middleware.filter(self, named)],
    ["data last", Middleware.filter<string, string>(named)]
  ] as const) {
    it.effect(`lets no refused request reach the handler, answers nothing and closes (${form})`, () => {
      const handled: Array<string> = []
      const handler: LineHandler = (request) => {
        handled.push(request.body)
        return echo(request)
      }
      return serving(
        verify(handler),
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "me:a", "you:b", "me:c")
          assert.deepStrictEqual(yield* rest(client), ["me:a"])
          const { Cancelled: _, Completed, ...others } = yield* counts
          assert.deepStrictEqual([others, handled[0]], [{ Refused: 1 }, "me:a"])
          assert.isAtLeast(Completed ?? 0, 1)
          assert.notInclude(handled, "you:b")
        })
      )
    })
  }

  it.effect("answers what it is told to, and the connection goes on", () =>
    serving(
      Middleware.filter(echo, named, { onRefused: (request) => Response.make(`not ${request.body}`) }),
      Effect.gen(function* () {
        const client = yield* peer
        assert.deepStrictEqual([yield* client.send("you"), yield* client.send("me:")], ["not you", "me:"])
        assert.deepStrictEqual(yield* counts, { Refused: 1, Completed: 1 })
      })
    )
  )

  it.effect("says in its outcome why it refused", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* outcomeOf(Middleware.filter(echo, named), "you"), Outcome.refused("not verified"))
      const handler = Middleware.filter(echo, named, { reason: "who are you" })
      assert.deepStrictEqual(yield* outcomeOf(handler, "you"), Outcome.refused("who are you"))
      assert.deepStrictEqual(yield* outcomeOf(handler, "me:"), Outcome.completed)
    })
  )

  for (const [how, check] of [
    ["dies", () => Effect.die(new Error("bug"))],
    [
      "throws",
      () => {
        throw new Error("bug")
      }
    ]
  ] as const) {
    it.effect(`refuses that request and nothing more when the check ${how}, and logs it`, () => {
      const [entries, layer] = logs()
      const handler = Middleware.filter(echo, (request) => (request.body === "bad" ? check() : Effect.succeed(true)))
      return serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "bad")
          assert.deepStrictEqual(yield* rest(client), [])
          assert.strictEqual(yield* (yield* peer).send("good"), "good")
          assert.deepStrictEqual(yield* counts, { Refused: 1, Completed: 1 })
          const errors = entries.filter(({ level }) => level === "Error")
          assert.strictEqual(errors.length, 1)
          assert.match(errors[0]?.message ?? "", /^Lines: the check of request 1 from memory:.*#1 failed/)
        })
      ).pipe(Effect.provide(layer))
    })
  }

  it.effect("may wait before it decides", () =>
    Effect.gen(function* () {
      const handler = Middleware.filter(echo, () => Effect.as(Effect.yieldNow, false))
      assert.deepStrictEqual(yield* outcomeOf(handler, "x"), Outcome.refused("not verified"))
    })
  )
})

describe("A middleware of one's own", () => {
  it.effect("is a function from handler to handler, and the outer one sees the request first", () => {
    const log: Array<string> = []
    const tracing =
      (name: string): Middleware.Middleware<string, string> =>
      (self) =>
      (request) =>
        Effect.suspend(() => {
          log.push(`${name} in`)
          return Effect.tap(self(request), () => Effect.sync(() => log.push(`${name} out`)))
        })
    const shouting = Handler.mapResponse((line: string) => line.toUpperCase())
    return serving(
      tracing("outer")(tracing("inner")(shouting(echo))),
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* peer).send("a"), "A")
        assert.deepStrictEqual(log, ["outer in", "inner in", "inner out", "outer out"])
      })
    )
  })
})
