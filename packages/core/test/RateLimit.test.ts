/** How often something may happen: for each key, for each peer, at admission. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Middleware from "@socketserver/core/Middleware"
import type * as Outcome from "@socketserver/core/Outcome"
import * as RateLimit from "@socketserver/core/RateLimit"
import * as Response from "@socketserver/core/Response"
import * as Session from "@socketserver/core/Session"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type * as BucketsModule from "../src/internal/buckets.ts"
import { datagramOf, front, inet, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs, serving, peer as client, type LineHandler } from "./support/serving.ts"

// Not exported, as it should be: a test alone looks at them.
const { Buckets } = await vi.importActual<typeof BucketsModule>("../src/internal/buckets.ts")

const [, quiet] = logs()

describe("a rate", () => {
  it.effect("lets a burst through after a pause, and then as many as it says; who is refused takes nothing", () =>
    Effect.gen(function* () {
      const { take } = RateLimit.make({ limit: 2, per: "1 second", burst: 3 })
      const taken = Effect.map(
        Effect.all([take("a"), take("a"), take("a"), take("a")]),
        (all) => all.filter((millis) => millis === 0).length
      )
      assert.strictEqual(yield* taken, 3)
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(yield* take("a"), -1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* taken, 1)
      assert.strictEqual(yield* take("b"), 0)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* taken, 3)
    })
  )

  it.effect("gives later tokens to those who wait for them, up to the longest delay", () =>
    Effect.gen(function* () {
      const { take } = RateLimit.make({ limit: 1, per: "1 second", maxDelay: "2 seconds" })
      assert.deepStrictEqual(yield* Effect.all([take("a"), take("a"), take("a"), take("a")]), [0, 1_000, 2_000, -3_000])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.all([take("a"), take("a")]), [2_000, -3_000])
    })
  )

  it("knows so many keys at most, and none whose bucket is full", () => {
    const buckets = new Buckets(10, 1, 0, 3)
    for (const key of ["a", "b", "c", "d"]) assert.strictEqual(buckets.take(key, 0), 0)
    assert.strictEqual(buckets.size, 3)
    // The one that was used longest ago was forgotten.
    assert.strictEqual(buckets.take("b", 5), -5)
    assert.strictEqual(buckets.take("a", 5), 0)
    assert.strictEqual(buckets.take("e", 100), 0)
    assert.strictEqual(buckets.size, 1)
  })

  it.each([
    { rate: { limit: 0 }, option: "limit" },
    { rate: { limit: Number.NaN }, option: "limit" },
    { rate: { limit: 1, per: 0 }, option: "per" },
    { rate: { limit: 1, burst: 0.5 }, option: "burst" },
    { rate: { limit: 1, maxDelay: Infinity }, option: "maxDelay" },
    { rate: { limit: 1, maxKeys: 0 }, option: "maxKeys" }
  ])("that is none is an invalid option: $option", ({ option, rate }) => {
    assert.throws(() => RateLimit.make(rate), new RegExp(`Invalid option ${option}: it must be`))
  })
})

describe("a handler with a rate", () => {
  const echo: LineHandler = ({ body }) => Effect.succeed(Response.make(body))
  const rate = { limit: 2, per: "1 second" } as const

  const ask = (handler: LineHandler) =>
    Effect.gen(function* () {
      const made = yield* front({}, handler)
      const peers = new Map<string, ReturnType<typeof wireOf>>()
      const say = (host: string, line: string) =>
        Effect.gen(function* () {
          const wire = peers.get(host) ?? wireOf(inet(host))
          if (!peers.has(host)) {
            peers.set(host, wire)
            made.sink.accept(wire)
          }
          wire.data(`${line}\n`)
          yield* turns
          return wire.asked()
        })
      yield* Effect.addFinalizer(() => Effect.sync(() => peers.forEach((wire) => wire.gone())))
      return { ...made, say }
    })

  it.effect("answers so many of a peer, and refuses the others with what it says", () =>
    Effect.gen(function* () {
      const onLimited = (_: unknown, millis: number) => Response.make(`ERR come back in ${millis} ms`)
      const { refusals, say, server } = yield* ask(Middleware.rateLimit(echo, { ...rate, onLimited }))
      assert.deepStrictEqual(yield* say("192.0.2.1", "one"), ["write one"])
      assert.deepStrictEqual(yield* say("192.0.2.1", "two"), ["write two"])
      assert.deepStrictEqual(yield* say("192.0.2.1", "three"), ["write ERR come back in 500 ms"])
      assert.deepStrictEqual(yield* say("192.0.2.2", "other"), ["write other"])
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* say("192.0.2.1", "four"), ["write four"])
      assert.deepStrictEqual(yield* refusals, { RateLimit: 1 })
      assert.deepStrictEqual([(yield* server.counts).Completed, (yield* server.counts).Refused], [4, 1])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("closes the connection where it says nothing", () =>
    Effect.gen(function* () {
      const { say } = yield* ask(Middleware.rateLimit<string, string>({ limit: 1 })(echo))
      assert.deepStrictEqual(yield* say("192.0.2.1", "one"), ["write one"])
      assert.deepStrictEqual(yield* say("192.0.2.1", "two"), ["end"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("goes by a key, where there is one", () =>
    Effect.gen(function* () {
      const onLimited = () => Response.make("ERR")
      const key = ({ body }: { readonly body: string }) => body.split(" ")[0]!
      const { say } = yield* ask(Middleware.rateLimit(echo, { limit: 1, key, onLimited }))
      assert.deepStrictEqual(yield* say("192.0.2.1", "ada 1"), ["write ada 1"])
      assert.deepStrictEqual(yield* say("192.0.2.2", "ada 2"), ["write ERR"])
      assert.deepStrictEqual(yield* say("192.0.2.2", "grace 1"), ["write grace 1"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("delays the others, in their order, up to the longest delay", () =>
    Effect.gen(function* () {
      const onLimited = () => Response.make("ERR")
      const { say } = yield* ask(Middleware.rateLimit(echo, { limit: 1, maxDelay: "1500 millis", onLimited }))
      assert.deepStrictEqual(yield* say("192.0.2.1", "one"), ["write one"])
      assert.deepStrictEqual(yield* say("192.0.2.1", "two"), [])
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(yield* say("192.0.2.2", "other"), ["write other"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* say("192.0.2.1", "three"), ["write two"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* say("192.0.2.1", "four"), ["write three"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("counts the requests of all sessions together", () =>
    serving(
      Middleware.rateLimit(
        Session.make(() => Effect.succeed(echo)),
        { limit: 2, onLimited: () => Response.make("ERR") }
      ),
      Effect.gen(function* () {
        const [one, two] = [yield* client, yield* client]
        assert.deepStrictEqual([yield* one.send("1"), yield* two.send("2"), yield* one.send("3")], ["1", "2", "ERR"])
      })
    )
  )
})

describe("a rate at admission", () => {
  const verify = RateLimit.verify({ limit: 2, per: "1 minute" })

  it.effect("refuses who comes too often, counts it, and has it told", () =>
    Effect.gen(function* () {
      const onTurnedAway = ({ kind, reason }: Outcome.Refused) => Response.make(`ERR ${kind} ${reason}`)
      const { refusals, sink } = yield* front({ verify }, undefined, { onTurnedAway })
      const wires = [1, 1, 1, 2].map((host) => wireOf(inet(`192.0.2.${host}`)))
      for (const wire of wires) {
        sink.accept(wire)
        yield* turns
      }
      assert.deepStrictEqual(
        wires.map((wire) => wire.asked()),
        [[], [], ["write ERR RateLimit more than 2 in 60000 ms", "end"], []]
      )
      assert.deepStrictEqual(yield* refusals, { RateLimit: 1 })
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("drops datagrams of whoever sends too often", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ verify: RateLimit.verify({ limit: 1 }) })
      const replies: Array<string> = []
      for (const text of ["one", "two"]) sink.receive(datagramOf(inet("192.0.2.1", "udp"), text, replies))
      yield* turns
      assert.deepStrictEqual([replies, yield* refusals], [["one"], { RateLimit: 1 }])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("holds a connection up, where it may be delayed", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ verify: RateLimit.verify({ limit: 1, maxDelay: "1 second" }) })
      const wires = [1, 1].map((host) => wireOf(inet(`192.0.2.${host}`)))
      for (const wire of wires) sink.accept(wire)
      yield* turns
      assert.deepStrictEqual(
        wires.map((wire) => wire.started),
        [true, false]
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue(wires[1]!.started)
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})
