import { assert, describe, it, vi } from "@effect/vitest"
import { MemoryServer, Policy, Protocol, Response, Server, Session } from "@socketserver/core"
import type * as Handler from "@socketserver/core/Handler"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Resumings from "../src/internal/resuming.ts"
import type * as Ticks from "../src/internal/tick.ts"
import { logs } from "./support/serving.ts"
import { SpentClock, turn } from "./support/turns.ts"

// Not exported, as it should be: a test alone looks at them.
const { Resuming } = await vi.importActual<typeof Resumings>("../src/internal/resuming.ts")
const { Tick } = await vi.importActual<typeof Ticks>("../src/internal/tick.ts")

/** What handlers of connections have left to do, on a clock that passes by hand. One is called `name#flow@peer`. */
const make = (turnRequests = 4_096) => {
  let now = 0
  const done: Array<string> = []
  const tick = new Tick(new Scheduler.MixedScheduler())
  const resuming = new Resuming({ tick, now: () => now, limits: { turnMillis: 5, turnRequests } as never, accepted: 0 })
  const owners = new Map<string, Resumings.Owner>()
  const fibers = new Map<string, object>()
  const dispatcherOf = (name: string) => {
    const [, flow, peerKey = name] = /^[^#@]*(?:#([^@]*))?(?:@(.*))?$/.exec(name) ?? []
    const owner = owners.get(name) ?? { handlers: {}, peerKey, flow }
    owners.set(name, owner)
    const before = resuming.enter(owner)
    const dispatcher = resuming.makeDispatcher()
    resuming.leave(before)
    return dispatcher
  }
  return {
    tick,
    resuming,
    dispatcherOf,
    done,
    /** A handler's fiber of `name` does something. */
    runs: (name: string) => {
      const fiber = fibers.get(name) ?? {
        currentDispatcher: dispatcherOf(name),
        currentOpCount: 0,
        cache: { maxOpsBeforeYield: 2_048 }
      }
      fibers.set(name, fiber)
      assert.isFalse(resuming.shouldYield(fiber as never))
    },
    /** Has a handler of `name` go on `count` times, each for so many milliseconds. */
    yields: (name: string, count: number, millis = 0, then?: () => void) => {
      const dispatcher = dispatcherOf(name)
      for (let i = 0; i < count; i++) {
        dispatcher.scheduleTask(() => {
          now += millis
          done.push(name)
          then?.()
        }, 0)
      }
    },
    passes: (millis: number) => {
      now += millis
    }
  }
}

const counted = (names: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

describe("what goes on once it has yielded", () => {
  it.effect("goes on in the next turn, all of it where that is quick", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      yields("a", 1_000)
      yields("b", 1_000)
      assert.deepStrictEqual(done, [])
      yield* turn
      assert.deepStrictEqual(counted(done), { a: 1_000, b: 1_000 })
      // A little of each first, then much of each.
      const turns = [4, 4, 128, 128, 128].map((count, i) => Array<string>(count).fill(i % 2 === 0 ? "a" : "b"))
      assert.deepStrictEqual(done.slice(0, 392), turns.flat())
    })
  )

  it.effect("takes half of a turn, the rest the next ones, in order", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      yields("a", 20, 1)
      let turns = 0
      for (; done.length < 20; turns++) {
        const before = done.length
        yield* turn
        // The clock says so after three milliseconds.
        assert.isAtMost(done.length - before, 4)
      }
      assert.isAtLeast(turns, 5)
      assert.isAtMost(turns, 12)
    })
  )

  it.effect("is bounded in number where no time passes", () =>
    Effect.gen(function* () {
      const { done, yields } = make(100)
      yields("a", 1_000)
      yield* turn
      assert.strictEqual(done.length, 100)
      for (let i = 0; i < 9; i++) yield* turn
      assert.strictEqual(done.length, 1_000)
    })
  )

  it.effect("goes on first where its connection had nothing to do, however much others have left", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      for (let i = 0; i < 64; i++) yields(`hog ${i}`, 16, 0.01)
      // Each has had a little.
      for (let i = 0; i < 3; i++) yield* turn
      const before = done.length
      assert.isBelow(before, 64 * 16)
      yields("a", 1)
      yield* turn
      // Not behind the hundreds that came before it.
      assert.strictEqual(done.indexOf("a"), before)
    })
  )

  it.effect("is not kept waiting by those who come anew in each turn", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      yields("many", 100, 0.1)
      let turns = 0
      for (; counted(done)["many"] !== 100; turns++) {
        assert.isBelow(turns, 200)
        for (let i = 0; i < 100; i++) yields(`${turns} ${i}`, 1, 0.1)
        yield* turn
      }
    })
  )

  it.effect("is not kept waiting where no time passes either", () =>
    Effect.gen(function* () {
      const { done, yields } = make(100)
      yields("many", 500)
      for (let turns = 0; counted(done)["many"] !== 500; turns++) {
        assert.isBelow(turns, 20)
        for (let i = 0; i < 200; i++) yields(`${turns} ${i}`, 1)
        yield* turn
      }
    })
  )

  it.effect("ends its connection's turn with the turn: others have the next one", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      yields("a", 100, 3)
      yields("b", 100, 3)
      for (let i = 0; i < 8; i++) yield* turn
      const { a, b } = counted(done)
      assert.isAtMost(Math.abs((a ?? 0) - (b ?? 0)), 2, `${a} and ${b}`)
    })
  )

  it.effect("has its peer's turn, however many connections another peer has", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      for (let i = 0; i < 1_000; i++) yields(`hog ${i}@them`, 1, 0.1)
      yield* turn
      yields("a@me", 1)
      yields("b@me", 1)
      for (let i = 0; i < 2; i++) yield* turn
      assert.includeMembers(done, ["a@me", "b@me"])
      assert.isBelow(done.length, 100)
      // All others have their turn, in order, and each one once.
      for (let i = 0; done.length < 1_002; i++) {
        assert.isBelow(i, 100)
        yield* turn
      }
      const hogs = done.filter((name) => name.startsWith("hog"))
      assert.deepStrictEqual(
        hogs,
        Array.from({ length: 1_000 }, (_, i) => `hog ${i}@them`)
      )
    })
  )

  it.effect("has its peer's turn where all have more than a turn suffices for", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      for (let i = 0; i < 200; i++) yields(`hog ${i}@them`, 20, 0.1)
      yields("a@me", 20, 0.1)
      // Each has had its first four, which takes 80 ms; then peers have every other turn, of which this one needs one.
      for (let i = 0; counted(done)["a@me"] !== 20; i++) {
        assert.isBelow(i, 20)
        yield* turn
      }
      assert.isBelow(done.length, 600)
    })
  )

  it.effect("is not kept waiting by the many connections that another peer has anew in each turn", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      const again = (name: string): void => yields(name, 1, 0.1, () => again(name))
      for (let i = 0; i < 500; i++) again(`hog ${i}@them`)
      for (let asked = 0; asked < 20; asked++) {
        yields("a@me", 1, 0.1)
        for (let i = 0; counted(done)["a@me"] !== asked + 1; i++) {
          assert.isBelow(i, 3)
          yield* turn
        }
      }
    })
  )

  it.effect("has no priority over others", () =>
    Effect.gen(function* () {
      const { dispatcherOf, done, yields } = make(100)
      const first = dispatcherOf("first")
      for (let i = 0; i < 1_000; i++) first.scheduleTask(() => done.push("first"), i % 2 === 0 ? -1 : 10)
      yields("a", 1)
      yield* turn
      assert.deepStrictEqual(counted(done), { first: 99, a: 1 })
    })
  )

  it.effect("and yields again goes on in the turn after, and only then", () =>
    Effect.gen(function* () {
      const { done, yields } = make()
      const again = (left: number): void => yields("a", 1, 0, () => left > 1 && again(left - 1))
      again(5)
      // Another that had nothing to do, out of the same turn.
      yields("b", 1, 0, () => yields("c", 1))
      for (let i = 1; i <= 5; i++) {
        yield* turn
        assert.strictEqual(counted(done)["a"], i)
        assert.strictEqual(counted(done)["c"], i === 1 ? undefined : 1)
      }
    })
  )

  it.effect("and throws ends neither its turn nor those after it", () =>
    Effect.gen(function* () {
      const { done, resuming, yields } = make()
      yields("a", 1, 0, () => {
        throw new Error("an observer threw")
      })
      yields("a", 1)
      yields("b", 1)
      const run = (resuming as unknown as { readonly run: () => void }).run
      assert.throws(run, "an observer threw")
      assert.deepStrictEqual(done, ["a"])
      yield* turn
      assert.deepStrictEqual(done, ["a", "b", "a"])
      yields("a", 1)
      yield* turn
      assert.deepStrictEqual(done, ["a", "b", "a", "a"])
    })
  )

  it.effect("leaves with what others write in the same turn", () =>
    Effect.gen(function* () {
      const { done, tick, yields } = make()
      let flushed = 0
      const output = { flush: () => void flushed++ }
      yields("a", 1, 0, () => tick.mark(output))
      yields("b", 3)
      yields("b", 1, 0, () => assert.strictEqual(flushed, 0))
      yield* turn
      assert.strictEqual(done.length, 5)
      assert.strictEqual(flushed, 1)
    })
  )

  it.effect("belongs to its connection also where it is started by what goes on", () =>
    Effect.gen(function* () {
      const { dispatcherOf, resuming, yields } = make()
      let started: unknown
      yields("a", 1, 0, () => {
        started = resuming.makeDispatcher()
      })
      yield* turn
      assert.strictEqual(started, dispatcherOf("a"))
      assert.notStrictEqual(resuming.makeDispatcher(), started)
    })
  )

  it.effect("belongs to whom the fiber does that starts it, whatever that resumes from", () =>
    Effect.gen(function* () {
      const { dispatcherOf, resuming, runs, yields } = make()
      const started: Record<string, unknown> = {}
      const starts = (what: string, name: string) => {
        runs(name)
        started[what] = resuming.makeDispatcher()
      }
      starts("out of an event", "a")
      yields("a", 1, 0, () => starts("in its turn", "a"))
      yields("b", 1, 0, () => starts("in another's turn", "a"))
      yields("b", 1, 0, () => starts("in its turn after another's", "b"))
      yields("a", 1, 0, () => starts("last in the turn", "a"))
      yield* turn
      const last = "out of an event, the last that ran"
      starts(last, "b")
      for (const [what, dispatcher] of Object.entries(started)) {
        const of = ["in its turn after another's", last].includes(what) ? "b" : "a"
        assert.strictEqual(dispatcher, dispatcherOf(of), what)
      }
      // One that begins inside of another, goes on as the next.
      runs("a")
      const before = resuming.enter({ handlers: {}, peerKey: "c" })
      runs("c")
      resuming.leave(before)
      starts("after it has begun", "c")
      assert.strictEqual(started["after it has begun"], dispatcherOf("c"))
      // Nobody runs.
      yields("a", 1)
      yield* turn
      for (const name of ["a", "b", "c"]) assert.notStrictEqual(resuming.makeDispatcher(), dispatcherOf(name))
    })
  )

  it.effect("waits with what else there is of its flow, and none of it is lost", () =>
    Effect.gen(function* () {
      const { dispatcherOf, done, resuming, yields } = make()
      // Each datagram is a connection of its own.
      for (let i = 0; i < 100; i++) yields(`hog ${i}#them@us`, 1, 0.1)
      for (let i = 0; i < 3; i++) yields(`${i}#me@us`, 1, 0.1)
      yield* turn
      yields("3#me@us", 1, 0.1)
      assert.isBelow(done.length, 100)
      yield* turn
      const mine = done.filter((name) => name.includes("#me"))
      assert.deepStrictEqual(mine, ["0#me@us", "1#me@us", "2#me@us", "3#me@us"])
      // Also where what comes later waits with it, and has its turn at once.
      yields("again#them@us", 1)
      dispatcherOf("again#them@us").flush()
      for (let i = 0; done.length < 105; i++) {
        assert.isBelow(i, 20)
        yield* turn
      }
      const hogs = done.filter((name) => name.includes("#them"))
      assert.deepStrictEqual(hogs, [...Array.from({ length: 100 }, (_, i) => `hog ${i}#them@us`), "again#them@us"])
      yield* turn
      // None is kept, and what has waited with another goes on by itself.
      assert.strictEqual((resuming as unknown as { readonly flows: { readonly size: number } }).flows.size, 0)
      yields("hog 90#them@us", 1)
      yield* turn
      assert.strictEqual(done.length, 106)
    })
  )

  it.effect("does all of it at once where it is flushed, and nothing twice", () =>
    Effect.gen(function* () {
      const { dispatcherOf, done, yields } = make()
      yields("a", 3)
      yields("b", 1, 0, () => dispatcherOf("a").flush())
      dispatcherOf("a").flush()
      assert.deepStrictEqual(done, ["a", "a", "a"])
      yields("a", 2)
      yield* turn
      yield* turn
      assert.deepStrictEqual(counted(done), { a: 5, b: 1 })
    })
  )
})

describe("what is to be sent", () => {
  /** An output that has nothing to say but how often it was sent, or waits for more. */
  const output = (resuming: Resumings.Resuming) => ({
    turnsWaited: 0,
    sent: 0,
    flush() {
      if (resuming.gather(this)) return
      this.turnsWaited = 0
      this.sent++
    }
  })

  it.effect("waits three turns for more, where handlers are quick", () =>
    Effect.gen(function* () {
      const { resuming, tick, yields } = make()
      const waits = output(resuming)
      yields("a", 100, 0, () => {})
      yields("b", 1, 0, () => tick.mark(waits))
      for (let i = 0; i < 3; i++) {
        yield* turn
        assert.strictEqual(waits.sent, 0, `turn ${i}`)
        yields("a", 100)
      }
      yield* turn
      assert.strictEqual(waits.sent, 1)
      // And then anew.
      yields("a", 100)
      yields("b", 1, 0, () => tick.mark(waits))
      yield* turn
      assert.strictEqual(waits.sent, 1)
    })
  )

  it.effect("waits no longer when nothing goes on, and the turns pass", () =>
    Effect.gen(function* () {
      const { resuming, tick, yields } = make()
      const waits = output(resuming)
      yields("a", 100)
      yields("b", 1, 0, () => tick.mark(waits))
      yield* turn
      assert.strictEqual(waits.sent, 0)
      yield* turn
      yield* turn
      assert.strictEqual(waits.sent, 1)
    })
  )

  for (const [why, count, millis] of [
    ["few go on", 8, 0],
    ["handlers take their time", 100, 0.1]
  ] as const) {
    it.effect(`leaves at once where ${why}`, () =>
      Effect.gen(function* () {
        const { resuming, tick, yields } = make()
        const waits = output(resuming)
        yields("a", count, millis)
        yields("b", 1, 0, () => tick.mark(waits))
        yield* turn
        assert.strictEqual(waits.sent, 1)
      })
    )
  }

  it.effect("leaves at once where turns come late, since something else takes its time", () =>
    Effect.gen(function* () {
      const { passes, resuming, tick, yields } = make()
      const waits = output(resuming)
      yields("a", 100)
      yield* turn
      passes(10)
      yields("a", 100)
      yields("b", 1, 0, () => tick.mark(waits))
      yield* turn
      assert.strictEqual(waits.sent, 0)
      passes(11)
      yields("a", 100)
      yield* turn
      assert.strictEqual(waits.sent, 1)
    })
  )

  it.effect("leaves at once where it is written outside of such a turn", () =>
    Effect.gen(function* () {
      const { resuming, tick, yields } = make()
      const waits = output(resuming)
      yields("a", 100)
      yield* turn
      tick.run(() => tick.mark(waits))
      assert.strictEqual(waits.sent, 1)
    })
  )

  it.effect("leaves where something throws", () =>
    Effect.gen(function* () {
      const { resuming, tick, yields } = make()
      const waits = output(resuming)
      yields("a", 100)
      yields("b", 1, 0, () => tick.mark(waits))
      yield* turn
      assert.strictEqual(waits.sent, 0)
      yields("a", 1, 0, () => {
        throw new Error("an observer threw")
      })
      assert.throws((resuming as unknown as { readonly run: () => void }).run, "an observer threw")
      assert.strictEqual(waits.sent, 1)
    })
  )
})

describe("a handler that yields", () => {
  const declared = (protocol: Protocol.Protocol<string, string, string, string>) => {
    class Words extends Server.Service<Words>()("Words", { protocol, key: ({ body }) => body }) {}
    return Words
  }
  const Words = declared(Protocol.lines())
  const Ids = declared(Protocol.correlated(Protocol.lines(), { id: (line) => line }))

  type Respond = (works: Effect.Effect<void>) => Effect.Effect<Response.Response<string>>
  const once: Respond = (works) => Effect.as(works, Response.make("x"))
  const ways: Record<string, Respond> = {
    once,
    "three times": (works) => Effect.as(Effect.andThen(Effect.andThen(works, works), works), Response.make("x")),
    "after it has slept": (works) => Effect.as(Effect.andThen(Effect.sleep(1), works), Response.make("x")),
    "in a race after it has slept": (works) =>
      Effect.as(Effect.andThen(Effect.sleep(1), Effect.race(works, Effect.never)), Response.make("x")),
    "in time after it has slept": (works) =>
      Effect.as(Effect.andThen(Effect.sleep(1), Effect.timeoutOption(works, "1 hour")), Response.make("x")),
    "with others after it has slept": (works) =>
      Effect.as(
        Effect.andThen(Effect.sleep(1), Effect.all([works, Effect.void], { concurrency: "unbounded" })),
        Response.make("x")
      ),
    "in a fiber of its own after it has slept": (works) =>
      Effect.as(
        Effect.andThen(
          Effect.sleep(1),
          Effect.flatMap(Effect.forkDetach(works, { startImmediately: true }), Fiber.join)
        ),
        Response.make("x")
      ),
    "with a priority": (works) => Effect.as(Effect.andThen(Effect.yieldNowWith(1), works), Response.make("x")),
    "in a child": (works) => Effect.as(Effect.flatMap(Effect.forkChild(works), Fiber.join), Response.make("x")),
    "in a stream": (works) => Effect.succeed(Response.stream(Stream.fromEffect(Effect.as(works, "x"))))
  }

  /** Ten ask for a hundred each, then another for one. */
  const isFair = (options: {
    readonly what: string
    readonly tag: typeof Words
    readonly layer?: typeof MemoryServer.layer
    readonly policy: Policy.Policy
    readonly respond: Respond
    readonly work?: (
      handler: Handler.Handler<string, string>
    ) => Handler.Handler<string, string> | Session.Session<string, string, never>
  }) => {
    const { layer = MemoryServer.layer, policy, respond, tag, what, work = (handler) => handler } = options
    it.effect(`${what} does not wait for all of those that ask for much (${policy.name})`, () =>
      Effect.gen(function* () {
        const clock = new SpentClock()
        let begun = 0
        const works = Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => clock.spend(0.1))
        )
        const handler = () => {
          begun++
          return respond(works)
        }
        const ask = (client: Effect.Success<typeof tag.rawClient>, name: string, count: number) => {
          const lines = Array.from({ length: count }, (_, i) => new TextEncoder().encode(`${name} ${i}\n`))
          return layer === MemoryServer.layer
            ? client.write(Buffer.concat(lines))
            : Effect.forEach(lines, client.write, { discard: true })
        }
        yield* Effect.gen(function* () {
          const hogs = yield* Effect.forEach(Array.from({ length: 10 }), () => tag.rawClient)
          const other = yield* tag.rawClient
          for (const [i, hog] of hogs.entries()) yield* ask(hog, `hog ${i}`, 100)
          while (begun < 5) yield* turn
          const from = clock.spent
          yield* ask(other, "other", 1)
          yield* Stream.runHead(other.stream)
          // All that has a place takes 100 ms, or 300.
          assert.isAtMost(clock.spent - from, 25)
          const { counts } = yield* tag
          for (let i = 0; (yield* counts).Completed < 1_001; i++) {
            assert.isBelow(i, 10_000, "nothing is lost")
            yield* turn
          }
        }).pipe(
          Effect.provide(Layer.provideMerge(tag.serve(work(handler), { policy }), layer(tag))),
          Effect.provideService(Clock.Clock, clock)
        )
      })
    )
  }

  for (const [over, layer] of [
    ["connections", MemoryServer.layer],
    ["datagrams", MemoryServer.layerDatagrams]
  ] as const) {
    it.effect(`has its turn among those of its peer also where an event has them all go on: ${over}`, () =>
      Effect.gen(function* () {
        const clock = new SpentClock()
        const latch = yield* Latch.make()
        let begun = 0
        const handler = () => {
          begun++
          return once(
            Effect.andThen(
              Effect.andThen(latch.await, Effect.yieldNow),
              Effect.sync(() => clock.spend(0.1))
            )
          )
        }
        yield* Effect.gen(function* () {
          const hogs = yield* Effect.forEach(Array.from({ length: 10 }), () => Words.rawClient)
          const other = yield* Words.rawClient
          for (const [i, hog] of hogs.entries()) {
            for (let k = 0; k < 40; k++) yield* hog.write(new TextEncoder().encode(`hog ${i} ${k}\n`))
          }
          yield* other.write(new TextEncoder().encode("other\n"))
          while (begun < 401) yield* turn
          yield* latch.open
          yield* Stream.runHead(other.stream)
          // All of them take 40 ms.
          assert.isAtMost(clock.spent, 12)
        }).pipe(
          Effect.provide(Layer.provideMerge(Words.serve(handler), layer(Words))),
          Effect.provideService(Clock.Clock, clock)
        )
      })
    )
  }

  const policies = [Policy.sequential, Policy.fiber(), Policy.connection(), Policy.keyed()]
  for (const policy of policies) {
    for (const [what, respond] of Object.entries(ways)) isFair({ what, tag: Words, policy, respond })
    isFair({ what: "with an identity", tag: Ids, policy, respond: once })
    isFair({
      what: "in a session",
      tag: Words,
      policy,
      respond: once,
      work: (handler) => Session.make<string, string>(() => Effect.succeed(handler))
    })
    // In memory all are one peer, and for one place its datagrams wait as they have come.
    if (policy.name === "sequential") continue
    for (const [what, respond] of Object.entries(ways)) {
      isFair({ what: `over datagrams ${what}`, tag: Words, layer: MemoryServer.layerDatagrams, policy, respond })
    }
  }
})

describe("replies of handlers that yield", () => {
  class Words extends Server.Service<Words>()("Words", { protocol: Protocol.lines(), key: ({ body }) => body }) {}

  it.effect("leave together where their connection has more waiting", () =>
    Effect.gen(function* () {
      const live = Words.serve(({ body }) => Effect.as(Effect.yieldNow, Response.make(body)))
      yield* Effect.gen(function* () {
        const clients = yield* Effect.forEach(Array.from({ length: 50 }), () => Words.rawClient)
        const pipeline = new TextEncoder().encode("x\n".repeat(128))
        for (const client of clients) yield* client.write(pipeline)
        let writes = 0
        for (const client of clients) {
          let bytes = 0
          yield* Stream.runForEachWhile(client.stream, (chunk) =>
            Effect.sync(() => {
              writes++
              return (bytes += chunk.length) < pipeline.length
            })
          )
        }
        // Of each connection 32 have a place in its turn.
        assert.isAtMost(writes, 2 * clients.length)
      }).pipe(
        Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Words))),
        Effect.provideService(Clock.Clock, new SpentClock())
      )
    })
  )

  it.effect("leave where a stop ends before those that follow have gone on", () =>
    Effect.gen(function* () {
      const live = Words.serve(({ body }) => Effect.as(Effect.yieldNow, Response.make(body)))
      yield* Effect.gen(function* () {
        const clients = yield* Effect.forEach(Array.from({ length: 200 }), () => Words.rawClient)
        let answers = 0
        for (const client of clients) {
          const reading = Stream.runForEach(client.stream, (chunk) => Effect.sync(() => (answers += chunk.length / 2)))
          yield* Effect.forkScoped(Effect.exit(reading))
        }
        const pipeline = new TextEncoder().encode("x\n".repeat(128))
        for (const client of clients) yield* client.write(pipeline)
        const server = yield* Words
        const stopping = yield* Effect.forkScoped(server.shutdown)
        while ((yield* server.counts).Completed === 0) yield* turn
        yield* TestClock.adjust("10 seconds")
        const { counts, interrupted } = yield* Fiber.join(stopping)
        assert.isAbove(interrupted, 0)
        for (let i = 0; i < 20; i++) yield* turn
        assert.strictEqual(answers, counts.Completed)
      }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Words))))
    })
  )
})

describe("what an observer of a handler throws", () => {
  class Words extends Server.Service<Words>()("Words", { protocol: Protocol.lines() }) {}

  it.effect("ends nothing else that is done in the turn", () =>
    Effect.gen(function* () {
      const base = new Scheduler.MixedScheduler()
      const tick = new Tick(base)
      const thrown: Array<unknown> = []
      vi.spyOn(base, "makeDispatcher").mockReturnValue({
        scheduleTask: (task: () => void) => {
          const ended = Result.try(task)
          if (Result.isFailure(ended)) thrown.push(ended.failure)
        },
        flush: () => {}
      } as never)
      const bad = () => {
        throw new Error("an observer threw")
      }
      const did: Array<string> = []
      tick.soon(bad)
      tick.soon(() => did.push("soon"))
      tick.makeDispatcher().scheduleTask(bad, 0)
      tick.makeDispatcher().scheduleTask(() => did.push("scheduled"), 0)
      tick.mark({ flush: bad })
      tick.mark({ flush: () => did.push("flushed") })
      yield* turn
      assert.deepStrictEqual(did, ["soon", "scheduled", "flushed"])
      assert.deepStrictEqual(
        thrown.map((error) => (error as Error).cause ?? error),
        Array.from({ length: 3 }, () => new Error("an observer threw"))
      )
    })
  )

  it.effect("ends its request, and not the server, where the handler ends at once", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const live = Words.serve(({ body }) =>
        Effect.withFiber((fiber) => {
          if (body === "bad") {
            fiber.addObserver(() => {
              throw new Error("an observer threw")
            })
          }
          return Effect.succeed(Response.make(body))
        })
      )
      yield* Effect.gen(function* () {
        const [bad, good] = [yield* Words.rawClient, yield* Words.rawClient]
        yield* bad.write(new TextEncoder().encode("bad\n"))
        assert.strictEqual(yield* Stream.runCount(bad.stream), 0)
        yield* good.write(new TextEncoder().encode("good\n"))
        const chunk = yield* Stream.runHead(good.stream)
        assert.strictEqual(new TextDecoder().decode(Option.getOrThrow(chunk)), "good\n")
        const { Completed, Failed } = yield* (yield* Words).counts
        assert.deepStrictEqual([Completed, Failed], [1, 1])
      }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Words))))
    }).pipe(Effect.provide(logging))
  })
})
