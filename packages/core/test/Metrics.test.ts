/** What a server's metrics say: what its ledger does, of each listener, and nothing once it is gone. */
import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Metrics from "@socketserver/core/Metrics"
import * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import { lint, parse, sumOf } from "./support/exposition.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines({ maxFrameBytes: 64 }) }) {}

const gate = Deferred.makeUnsafe<void>()

const handler = ({ body, connection }: Request.Request<string, string>) => {
  switch (body) {
    case "die":
      return Effect.die(new Error("bug"))
    case "refuse":
      return Effect.succeed(Response.withOutcome(Response.make("no"), Outcome.refused("so")))
    case "wait":
      return Effect.as(Deferred.await(gate), Response.make("waited"))
    case "push":
      return Effect.as(Effect.ignore(connection.push("pushed")), Response.empty)
    case "later":
      // Long after its answer, and by nobody who waits for it.
      return Effect.as(
        Effect.forkDetach(Effect.andThen(Effect.sleep("1 minute"), Effect.ignore(connection.push("much later")))),
        Response.make("ok")
      )
    default:
      return Effect.as(Effect.sleep(/^\d+$/.test(body) ? Number(body) : 0), Response.make(body))
  }
}

/** What is scraped now. */
const scrape = Effect.map(Metrics.snapshot, (all) => parse(Metrics.format(all)))

type Scraped = ReturnType<typeof parse>

/** What is scraped once it is so. */
const scrapeUntil = (condition: (all: Scraped) => boolean): Effect.Effect<Scraped> =>
  Effect.flatMap(scrape, (all) =>
    condition(all) ? Effect.succeed(all) : Effect.andThen(Effect.yieldNow, scrapeUntil(condition))
  )

/** A registry of its own, since tests run side by side. */
const apart = Layer.suspend(() => Layer.succeed(Metric.MetricRegistry, new Map()))

const served = (options: MemoryServer.MemoryServerOptions = {}, policy?: Policy.Policy) =>
  Layer.provideMerge(
    Layer.provideMerge(Lines.serve(handler, { policy }), MemoryServer.layer(Lines, { name: "a", ...options })),
    apart
  )

const ask = (...lines: ReadonlyArray<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* Lines.rawClient
      yield* client.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")))
      yield* client.end
      yield* Effect.ignore(Effect.forever(client.pull))
    })
  )

/** Everything that the ledger and the metrics say is the same. */
const agrees = Effect.gen(function* () {
  const all = yield* scrape
  const server = yield* Lines
  const counted = (name: string, label: string, counts: object) =>
    assert.deepStrictEqual(
      Object.fromEntries(
        Object.keys(counts).map((key) => [key, sumOf(all, `socketserver_${name}`, { [label]: key, server: "Lines" })])
      ),
      counts
    )
  counted("requests_total", "outcome", yield* server.counts)
  counted("turned_away_total", "reason", yield* server.refusals)
  counted("timeouts_total", "deadline", yield* server.timeouts)
  const open = (yield* server.connections).filter(({ kind }) => kind === "stream")
  assert.strictEqual(sumOf(all, "socketserver_connections"), open.length)
  return all
})

describe("the metrics of a server", () => {
  it.effect("are what its ledger says, whatever has happened", () =>
    Effect.gen(function* () {
      yield* agrees
      yield* ask("hello", "refuse", "x")
      yield* ask("die")
      yield* ask("x".repeat(100))
      const all = yield* agrees
      assert.strictEqual(sumOf(all, "socketserver_requests_total", { outcome: "Completed" }), 2)
      assert.strictEqual(sumOf(all, "socketserver_requests_total", { outcome: "Failed" }), 1)
      assert.strictEqual(sumOf(all, "socketserver_requests_total", { outcome: "FrameTooLarge" }), 1)
      assert.strictEqual(sumOf(all, "socketserver_turned_away_total", { reason: "Program" }), 1)
      assert.strictEqual(sumOf(all, "socketserver_connections_opened_total"), 3)
      assert.strictEqual(sumOf(all, "socketserver_ready"), 1)
    }).pipe(Effect.provide(served()))
  )

  it.effect("say where and under what", () =>
    Effect.gen(function* () {
      yield* ask("hello")
      const labels = { server: "Lines", listener: "memory:a", policy: "fiber:7", outcome: "Completed" }
      assert.strictEqual(sumOf(yield* scrape, "socketserver_requests_total", labels), 1)
      for (const { labels, name } of [...(yield* scrape).values()].flatMap(({ samples }) => samples)) {
        assert.strictEqual(labels["policy"], "fiber:7", name)
      }
    }).pipe(Effect.provide(served({}, Policy.fiber({ max: 7 }))))
  )

  it.effect("have names as promtool wants them, and say what they are", () =>
    Effect.gen(function* () {
      yield* ask("hello")
      assert.deepStrictEqual(lint(yield* scrape), [])
    }).pipe(Effect.provide(served({ durations: true })))
  )

  it.effect("tell what is in flight, what of it waits, and what has moved so far", () =>
    Effect.gen(function* () {
      const client = yield* Lines.rawClient
      yield* client.write(new TextEncoder().encode("wait\nwait\nhello\n"))
      let all = yield* scrapeUntil((all) => sumOf(all, "socketserver_waiting") === 2)
      assert.deepStrictEqual(
        ["connections", "in_flight", "waiting", "held_bytes"].map((name) => sumOf(all, `socketserver_${name}`) > 0),
        [true, true, true, true]
      )
      assert.strictEqual(sumOf(all, "socketserver_in_flight"), 3)
      assert.strictEqual(sumOf(all, "socketserver_waiting"), 2)
      assert.strictEqual(sumOf(all, "socketserver_bytes_total", { direction: "read" }), 16)
      assert.strictEqual(sumOf(all, "socketserver_bytes_total", { direction: "written" }), 0)
      Deferred.doneUnsafe(gate, Effect.void)
      for (let text = ""; !text.endsWith("hello\n");) {
        for (const piece of yield* client.pull) text += new TextDecoder().decode(piece)
      }
      all = yield* scrape
      assert.strictEqual(sumOf(all, "socketserver_in_flight"), 0)
      assert.strictEqual(sumOf(all, "socketserver_bytes_total", { direction: "written" }), 20)
      yield* client.end
      yield* Effect.ignore(Effect.forever(client.pull))
      all = yield* scrapeUntil((all) => sumOf(all, "socketserver_connections") === 0)
      assert.strictEqual(sumOf(all, "socketserver_bytes_total", { direction: "written" }), 20)
    }).pipe(Effect.scoped, Effect.provide(served({}, Policy.sequential)))
  )

  it.effect("count the connections that are refused at a limit", () =>
    Effect.gen(function* () {
      const first = yield* Lines.client
      yield* first.send("push")
      yield* ask("hello")
      const all = yield* agrees
      assert.strictEqual(sumOf(all, "socketserver_turned_away_total", { reason: "MaxConnections" }), 1)
      assert.strictEqual(sumOf(all, "socketserver_connections_opened_total"), 1)
    }).pipe(Effect.scoped, Effect.provide(served({ maxConnections: 1 })))
  )

  it.effect("are gone when it is", () =>
    Effect.gen(function* () {
      const registry = new Map()
      const own = Effect.provideService(Metric.MetricRegistry, registry)
      const layer = Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))
      yield* ask("hello").pipe(Effect.provide(layer), own)
      assert.strictEqual(registry.size, 0)
    })
  )

  it.effect("say that it is ready only where it takes somebody", () =>
    Effect.gen(function* () {
      const ready = Effect.map(Metrics.snapshot, Metrics.isReady)
      assert.isFalse(yield* ready)
      yield* Effect.forkScoped(Lines.run(handler))
      yield* ask("hello")
      assert.isTrue(yield* ready)
      const { control, shutdown } = yield* Lines
      yield* control.suspend
      assert.isFalse(yield* ready)
      yield* control.resume
      assert.isTrue(yield* ready)
      yield* shutdown
      assert.isFalse(yield* ready)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(MemoryServer.layer(Lines), apart)))
  )
})

describe("the metrics of a server with several listeners", () => {
  const several = (durations: boolean) =>
    Layer.provideMerge(
      Layer.provideMerge(
        Lines.serve(handler),
        Transport.layer(Lines, { durations }, [MemoryServer.listen("one"), MemoryServer.listen("two")])
      ),
      apart
    )

  const askAt = (name: string, ...lines: ReadonlyArray<string>) =>
    Effect.scoped(
      Effect.gen(function* () {
        const client = yield* Client.make(yield* MemoryServer.wire(name), Protocol.lines())
        for (const line of lines) yield* Effect.ignore(client.send(line))
      })
    )

  it.effect.each([false, true])("tell them apart, and together are what its ledger says: durations %s", (durations) =>
    Effect.gen(function* () {
      yield* askAt("one", "hello", "hello", "refuse")
      yield* askAt("two", "hello", "die")
      const all = yield* agrees
      const of = (listener: string, name: string, labels = {}) =>
        sumOf(all, `socketserver_${name}`, { listener: `memory:${listener}`, ...labels })
      for (const [listener, completed, refused, failed] of [
        ["one", 2, 1, 0],
        ["two", 1, 0, 1]
      ] as const) {
        assert.strictEqual(of(listener, "requests_total", { outcome: "Completed" }), completed)
        assert.strictEqual(of(listener, "requests_total", { outcome: "Failed" }), failed)
        assert.strictEqual(of(listener, "turned_away_total", { reason: "Program" }), refused)
        assert.strictEqual(of(listener, "connections_opened_total"), 1)
        if (durations) {
          assert.strictEqual(of(listener, "request_duration_seconds_count"), completed + refused + failed)
        }
      }
      assert.isAbove(of("one", "bytes_total", { direction: "read" }), of("two", "bytes_total", { direction: "read" }))
    }).pipe(Effect.provide(several(durations)))
  )
})

describe("the metrics of datagrams", () => {
  const datagrams = Layer.provideMerge(
    Layer.provideMerge(Lines.serve(handler), MemoryServer.layerDatagrams(Lines)),
    apart
  )

  it.effect("count them apart from connections, and bytes that are pushed when they are answered", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.send("hello")
      yield* client.send("later")
      const written = (all: Scraped) => sumOf(all, "socketserver_bytes_total", { direction: "written" })
      yield* scrapeUntil((all) => written(all) === 7)
      let all = yield* agrees
      assert.strictEqual(sumOf(all, "socketserver_datagrams_total"), 2)
      assert.strictEqual(sumOf(all, "socketserver_connections_opened_total"), 0)
      assert.strictEqual(sumOf(all, "socketserver_bytes_total", { direction: "read" }), 10)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* client.take, "much later")
      all = yield* scrapeUntil((all) => written(all) >= 17)
      assert.strictEqual(written(all), 17)
    }).pipe(Effect.scoped, Effect.provide(datagrams))
  )
})

describe("how long requests take", () => {
  it.effect("is looked at where it is asked for, and nowhere else", () =>
    Effect.gen(function* () {
      yield* ask("hello")
      assert.isFalse((yield* scrape).has("socketserver_request_duration_seconds"))
    }).pipe(Effect.provide(served()))
  )

  it.effect("is from when they were received until they have their outcome, in buckets", () =>
    Effect.gen(function* () {
      for (const millis of [0, 100, 101, 2_000, 60_000]) {
        const asked = yield* Effect.forkScoped(ask(String(millis)), { startImmediately: true })
        for (let i = 0; i < 5; i++) yield* Effect.yieldNow
        yield* TestClock.adjust(millis)
        yield* Fiber.join(asked)
      }
      const all = yield* scrape
      const of = (end: string, le?: string) =>
        sumOf(all, `socketserver_request_duration_seconds_${end}`, le === undefined ? {} : { le })
      assert.deepStrictEqual([of("bucket", "0.1"), of("bucket", "5"), of("bucket", "+Inf"), of("count")], [2, 4, 5, 5])
      assert.strictEqual(of("sum"), 62.201)
    }).pipe(Effect.scoped, Effect.provide(served({ durations: [0.1, 5] })))
  )

  it.effect.each([
    [[]],
    [[0]],
    [[-1, 1]],
    [[1, 1]],
    [[2, 1]],
    [[1, Infinity]],
    [[NaN]],
    [Array.from({ length: 65 }, (_, i) => i + 1)]
  ])("has boundaries that ascend: not %j", ([durations]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Effect.void, served({ durations })))
      assert.match(error.message, /durations/)
    }).pipe(Effect.scoped)
  )
})

describe("metrics of sessions and whole connections", () => {
  it.effect("count those that were turned away by a session", () =>
    Effect.gen(function* () {
      yield* ask()
      const all = yield* agrees
      assert.strictEqual(sumOf(all, "socketserver_turned_away_total", { reason: "Program" }), 1)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Layer.provideMerge(Lines.serve(Session.make(() => Session.refuse("nobody"))), MemoryServer.layer(Lines)),
          apart
        )
      )
    )
  )
})

describe("the text of metrics", () => {
  const of = (body: Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      yield* body
      return parse(Metrics.format(yield* Metrics.snapshot))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

  it.effect("is read as it was meant, whatever is in a label", () =>
    Effect.gen(function* () {
      for (const value of ['a"b', "a\\b", "a\nb", "\\n", '\\"', "", "日本", "a}b,c=d", "\u0000"]) {
        const counter = Metric.counter("odd_total", { description: `line\n\\n ${value}`, attributes: { label: value } })
        const families = yield* of(Metric.update(counter, 3))
        assert.deepStrictEqual(families.get("odd_total")?.samples, [
          { name: "odd_total", labels: { label: value }, value: 3 }
        ])
        assert.strictEqual(families.get("odd_total")?.help, `line\n\\n ${value}`)
      }
    })
  )

  it.effect("has every kind of metric", () =>
    Effect.gen(function* () {
      const families = yield* of(
        Effect.gen(function* () {
          yield* Metric.update(Metric.gauge("some gauge"), -1.5)
          yield* Metric.update(Metric.counter("big_total", { bigint: true }), 2n ** 63n)
          yield* Metric.update(Metric.frequency("words"), "a")
          yield* Metric.update(Metric.frequency("words"), "b")
          const histogram = Metric.histogram("times", { boundaries: Metric.boundariesFromIterable([1, 10]) })
          for (const value of [0.5, 5, 50]) yield* Metric.update(histogram, value)
          const summary = Metric.summary("sizes", { maxAge: "1 minute", maxSize: 10, quantiles: [0.5] })
          yield* Metric.update(summary, 7)
          // Another kind of the same name has no place.
          yield* Metric.update(Metric.counter("some_gauge"), 1)
        })
      )
      assert.deepStrictEqual(
        [...families.values()].map(({ name, samples, type }) => [type, name, samples.map(({ value }) => value)]),
        [
          ["gauge", "some_gauge", [-1.5]],
          ["counter", "big_total", [2 ** 63]],
          ["counter", "words", [1, 1]],
          ["histogram", "times", [1, 2, 3, 55.5, 3]],
          ["summary", "sizes", [7, 7, 1]]
        ]
      )
    })
  )
})

describe("the metrics of several processes", () => {
  const process = (body: Effect.Effect<unknown>) =>
    Effect.andThen(body, Metric.snapshot).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

  it.effect("are added up where name and labels are the same", () =>
    Effect.gen(function* () {
      const counter = (copy: string) => Metric.counter("a_total", { attributes: { copy, server: "x" } })
      const histogram = Metric.histogram("h", { boundaries: [1, 10] })
      const one = yield* process(
        Effect.gen(function* () {
          yield* Metric.update(counter("same"), 1)
          yield* Metric.update(counter("one"), 2)
          yield* Metric.update(Metric.gauge("g"), 3)
          yield* Metric.update(Metric.frequency("f"), "a")
          yield* Metric.update(histogram, 5)
        })
      )
      const two = yield* process(
        Effect.gen(function* () {
          yield* Metric.update(Metric.counter("a_total", { attributes: { server: "x", copy: "same" } }), 10)
          yield* Metric.update(Metric.gauge("g"), 4)
          yield* Metric.update(Metric.frequency("f"), "a")
          yield* Metric.update(Metric.frequency("f"), "b")
          yield* Metric.update(histogram, 0.5)
          yield* Metric.update(histogram, 50)
        })
      )
      const all = parse(Metrics.format(Metrics.merge([one, two])))
      assert.strictEqual(sumOf(all, "a_total", { copy: "same" }), 11)
      assert.strictEqual(sumOf(all, "a_total", { copy: "one" }), 2)
      assert.strictEqual(sumOf(all, "g"), 7)
      assert.deepStrictEqual([sumOf(all, "f", { key: "a" }), sumOf(all, "f", { key: "b" })], [2, 1])
      const of = (le: string) => sumOf(all, "h_bucket", { le })
      assert.deepStrictEqual([of("1"), of("10"), of("+Inf"), sumOf(all, "h_sum")], [1, 2, 3, 55.5])
      assert.deepStrictEqual(Metrics.merge([]), [])
    })
  )

  it("are ready where each server is ready in one of them", () => {
    const ready = (server: string, value: number) =>
      ({ id: "socketserver_ready", type: "Gauge", description: "", attributes: { server }, state: { value } }) as const
    assert.isFalse(Metrics.isReady([]))
    assert.isTrue(Metrics.isReady([ready("a", 1), ready("b", 2)]))
    assert.isTrue(Metrics.isReady([ready("a", 1), ready("a", 0)]))
    assert.isFalse(Metrics.isReady([ready("a", 1), ready("b", 0)]))
  })
})
