import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Policy } from "@socketserver/core"
import { ConfigProvider, Effect, Layer, Logger, Queue, Stream } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Counter, counting } from "./server.ts"
import { type Bounds, Totals } from "./totals.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

const bounds: Bounds = { maxMetrics: 3, maxMembers: 4 }

const served = (options: { readonly flush?: string; readonly bounds?: Bounds } = {}) =>
  Layer.provideMerge(counting(options.bounds ?? { maxMetrics: 100, maxMembers: 100 }), [
    Layer.merge(MemoryServer.layerDatagrams(Counter), Logger.layer([])),
    ConfigProvider.layer(ConfigProvider.fromUnknown(options.flush === undefined ? {} : { FLUSH: options.flush }))
  ])

/** Sends packets, and waits until they are counted. */
const send = (...packets: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* Counter
    const ended = yield* Queue.unbounded<string>()
    const listening = Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(ended, outcome._tag))
    yield* Effect.forkScoped(listening, { startImmediately: true })
    const sender = yield* Counter.rawClient
    for (const packet of packets) yield* sender.write(utf8(packet))
    return yield* Queue.takeN(ended, packets.length)
  }).pipe(Effect.scoped)

describe("examples/statsd", () => {
  it.effect("prints what it has counted each ten seconds, sorted, and the rest at its end", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        yield* send(
          "hits:1|c\nhits:1|c|@0.1\nhits:2|c|#path:/\nanswer:12|ms\nanswer:18|ms|@0.5\nsize:4096|h",
          "queue:7|g\nusers:ada|s\nusers:bob|s\nusers:ada|s\nnothing\nhits:1|c|#b,a\nhits:1|c|#a,b"
        )
        yield* TestClock.adjust("9999 millis")
        assert.deepStrictEqual(yield* TestConsole.logLines, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* TestConsole.logLines, [
          "answer timer count=3 min=12 mean=16 max=18",
          "hits counter 11",
          "hits{a,b} counter 2",
          "hits{path:/} counter 2",
          "queue gauge 7",
          "size histogram count=1 min=4096 mean=4096 max=4096",
          "statsd.bad_lines_seen counter 1",
          "users set 2"
        ])
        // What was told is counted anew; a gauge keeps its value, and is told when it changes.
        yield* TestClock.adjust("10 seconds")
        yield* send("queue:-2|g\nusers:ada|s")
      }).pipe(Effect.provide(served()))
      assert.deepStrictEqual((yield* TestConsole.logLines).slice(8), ["queue gauge 5", "users set 1"])
    })
  )

  it.effect("counts on when a part of a packet is nothing, or all of it", () =>
    Effect.gen(function* () {
      const ended = yield* send("", "a:1|c\nb:1|\n", "\n").pipe(Effect.provide(served()))
      assert.deepStrictEqual(ended, ["Completed", "Completed", "Completed"])
      assert.deepStrictEqual(yield* TestConsole.logLines, ["a counter 1", "statsd.bad_lines_seen counter 1"])
    })
  )

  it.effect.each([
    ["1s", ["a counter 1"]],
    ["1 hour", []]
  ] as const)("prints each FLUSH=%s", ([flush, printed]) =>
    Effect.gen(function* () {
      yield* send("a:1|c")
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* TestConsole.logLines, printed)
    }).pipe(Effect.provide(served({ flush })))
  )

  it.effect("says what is wrong with FLUSH", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(send("a:1|c"), served({ flush: "10" })))
      assert.match(error.message, /FLUSH must be a positive time, not "10"; write "30s"/)
    })
  )

  it.effect("does not start under a policy that would split its counts", () =>
    Effect.gen(function* () {
      const pool: Policy.Policy = { ...Policy.fiber(), name: "pool:2", worker: "process" }
      const start = Effect.provide(send("a:1|c"), Layer.provide(served(), Policy.layer(pool)))
      assert.strictEqual(
        (yield* Effect.flip(start)).message,
        'Cannot run handlers of Statsd under the policy "pool:2": each worker would have counts of its own; take a policy without workers, as fiber'
      )
    })
  )
})

describe("Totals", () => {
  const counter = (name: string) => ({ type: "counter", name, tags: [], value: 1, rate: 1 }) as const
  const gauge = (name: string) => ({ type: "gauge", name, tags: [], value: 1, isChange: true }) as const
  const member = (value: string) => ({ type: "set", name: "s", tags: [], value }) as const
  const packet = (...metrics: Parameters<Totals["add"]>[0]["metrics"]) => ({ metrics, malformed: [] })

  it("keeps so many metrics, and counts what is beyond them", () => {
    const totals = new Totals(bounds)
    totals.add(packet(...Array.from({ length: 1_000 }, (_, i) => counter(`c${i}`)), counter("c0")))
    assert.deepStrictEqual(totals.flush(), [
      "c0 counter 2",
      "c1 counter 1",
      "c2 counter 1",
      "statsd.dropped counter 997"
    ])
    totals.add(packet(counter("c999")))
    assert.deepStrictEqual(totals.flush(), ["c999 counter 1"])
  })

  it("makes room by the gauge that has changed longest ago", () => {
    const totals = new Totals(bounds)
    totals.add(packet(gauge("g1"), gauge("g2")))
    totals.flush()
    totals.add(packet(gauge("g1")))
    totals.flush()
    totals.add(packet(counter("a"), counter("b")))
    assert.deepStrictEqual(totals.flush(), ["a counter 1", "b counter 1"])
    totals.add(packet(gauge("g1"), gauge("g2")))
    assert.deepStrictEqual(totals.flush(), ["g1 gauge 3", "g2 gauge 1"])
  })

  it("keeps so many members of sets", () => {
    const totals = new Totals(bounds)
    totals.add(packet(...Array.from({ length: 100 }, (_, i) => member(`${i}`)), member("0")))
    assert.deepStrictEqual(totals.flush(), ["s set 4", "statsd.dropped counter 96"])
    totals.add(packet(...Array.from({ length: 4 }, (_, i) => member(`${i}`))))
    assert.deepStrictEqual(totals.flush(), ["s set 4"])
  })

  it("drops a metric whose tags are too long together", () => {
    const totals = new Totals(bounds)
    const tags = Array.from({ length: 64 }, (_, i) => `${i}`.padEnd(255, "t"))
    totals.add(packet({ ...counter("a"), tags }, counter("a")))
    assert.deepStrictEqual(totals.flush(), ["a counter 1", "statsd.dropped counter 1"])
  })
})
