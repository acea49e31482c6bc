/** A span for each request: what it is called, whose child it is, and how it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Middleware, Outcome, Response } from "@socketserver/core"
import * as Request from "@socketserver/core/Request"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { type LineHandler, peer, serving, tell } from "./support/serving.ts"

/** A tracer that keeps its spans. */
const recording = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return [spans, Layer.succeed(Tracer.Tracer, tracer)] as const
}

const handler: LineHandler = (request) => {
  switch (request.body) {
    case "die":
      return Effect.die(new Error("bug"))
    case "refuse":
      return Effect.succeed(Response.withOutcome(Response.make("no"), Outcome.refused("so")))
    case "child":
      return Effect.withSpan(Effect.succeed(Response.make("child")), "inside")
    case "stream":
      return Effect.succeed(
        Response.stream(Stream.fromEffect(Effect.withSpan(Effect.succeed("element"), "in the stream")))
      )
    case "never":
      return Effect.never
    default:
      return Effect.as(Effect.sleep(Number(request.body)), Response.make("slept"))
  }
}

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.yieldNow, until(condition))))

const statusOf = (span: Tracer.NativeSpan): string => {
  if (span.status._tag === "Started") return "open"
  const { exit } = span.status
  return Exit.isSuccess(exit) ? "ok" : Exit.hasInterrupts(exit) ? "interrupted" : "error"
}

describe("Middleware.traced", () => {
  it.effect("makes a span of each request, which ends with its outcome", () => {
    const [spans, layer] = recording()
    return serving(
      Middleware.traced(handler),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "1500")
        yield* until(() => spans.length === 1)
        assert.deepStrictEqual(spans.map(statusOf), ["open"])
        yield* TestClock.adjust("1500 millis")
        assert.strictEqual(yield* client.take, "slept")
        const [span] = spans as [Tracer.NativeSpan]
        assert.deepStrictEqual([span.name, span.kind, statusOf(span)], ["Lines", "server", "ok"])
        assert.isTrue(Option.isNone(span.parent))
        const { status } = span
        assert.strictEqual(status._tag === "Ended" ? status.endTime - status.startTime : 0n, 1_500_000_000n)
        const attributes = Object.fromEntries(span.attributes)
        assert.match(String(attributes["network.peer.address"]), /^memory:.*#1$/)
        assert.deepInclude(attributes, {
          "network.transport": "memory",
          "socketserver.outcome": "Completed",
          "socketserver.request.id": 1,
          "socketserver.connection.id": 1
        })
        assert.match(String(attributes["server.address"]), /^memory:/)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("answers all the same where a tracer throws as a span ends", () => {
    const tracer = Tracer.make({
      span: (options) =>
        Object.assign(new Tracer.NativeSpan(options), {
          end: () => {
            throw new Error("the exporter is gone")
          }
        })
    })
    return serving(
      Middleware.traced(({ body }) => Effect.succeed(Response.make(body))),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "one", "two", "three")
        for (const line of ["one", "two", "three"]) assert.strictEqual(yield* client.take, line)
      })
    ).pipe(Effect.provide(Layer.merge(Layer.succeed(Tracer.Tracer, tracer), Logger.layer([]))))
  })

  it.effect.each([
    ["die", "error", "Failed"],
    ["refuse", "error", "Refused"],
    ["never", "interrupted", "Cancelled"]
  ] as const)("ends it as the request does: %s", ([line, status, outcome]) => {
    const [spans, layer] = recording()
    return serving(
      Middleware.traced(handler),
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* peer
            yield* tell(client, line)
            if (line !== "never") yield* Effect.exit(client.take)
            else
              yield* Effect.andThen(
                until(() => spans.length === 1),
                client.reset
              )
          })
        )
        const [span] = spans as [Tracer.NativeSpan]
        yield* until(() => statusOf(span) !== "open")
        assert.deepStrictEqual([statusOf(span), span.attributes.get("socketserver.outcome")], [status, outcome])
        assert.strictEqual(span.attributes.get("error.type"), status === "error" ? outcome : undefined)
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("ends it when an answer that waits for those before it has left", () => {
    const [spans, layer] = recording()
    return serving(
      Middleware.traced(handler),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "1000", "child")
        // The handler of the second has ended, and its answer waits.
        yield* until(() => spans.some((span) => span.name === "inside" && statusOf(span) === "ok"))
        const lines = spans.filter(({ name }) => name === "Lines")
        assert.deepStrictEqual(lines.map(statusOf), ["open", "open"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* client.take, yield* client.take], ["slept", "child"])
        assert.deepStrictEqual(lines.map(statusOf), ["ok", "ok"])
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("is the parent of what the handler does, and its stream", () => {
    const [spans, layer] = recording()
    return serving(
      Middleware.traced(handler),
      Effect.gen(function* () {
        const client = yield* peer
        assert.strictEqual(yield* client.send("child"), "child")
        assert.strictEqual(yield* client.send("stream"), "element")
        const [first, inside, second, streamed] = spans as [
          Tracer.NativeSpan,
          Tracer.NativeSpan,
          Tracer.NativeSpan,
          Tracer.NativeSpan
        ]
        const parentOf = (span: Tracer.NativeSpan) => Option.getOrUndefined(span.parent)?.spanId
        assert.deepStrictEqual([inside.name, parentOf(inside)], ["inside", first.spanId])
        assert.deepStrictEqual([streamed.name, parentOf(streamed)], ["in the stream", second.spanId])
      })
    ).pipe(Effect.provide(layer))
  })

  const [traceId, spanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"]

  it.effect.each([
    [`00-${traceId}-${spanId}-01`, spanId, true],
    [`00-${traceId}-${spanId}-00`, spanId, false],
    [`cc-${traceId}-${spanId}-01-what-comes`, spanId, true],
    [`00-${traceId}-${spanId}-01-more`, undefined, true],
    [`ff-${traceId}-${spanId}-01`, undefined, true],
    [`00-${"0".repeat(32)}-${spanId}-01`, undefined, true],
    [`00-${traceId}-${"0".repeat(16)}-01`, undefined, true],
    [`00-${traceId.toUpperCase()}-${spanId}-01`, undefined, true],
    ["", undefined, true],
    ["x".repeat(1_000_000), undefined, true]
  ] as const)("has the parent that the peer names: %#", ([traceparent, parent, sampled]) => {
    const [spans, layer] = recording()
    return Effect.gen(function* () {
      const traced = Middleware.traced(handler, { name: ({ body }) => `line ${body}`, parent: () => traceparent })
      yield* traced(Request.make<string, string>("0"))
      const [span] = spans as [Tracer.NativeSpan]
      assert.strictEqual(span.name, "line 0")
      assert.deepStrictEqual(Option.getOrUndefined(span.parent)?.spanId, parent)
      if (parent !== undefined) assert.deepStrictEqual([span.traceId, span.sampled], [traceId, sampled])
      // A handler that is called as a function ends it, too.
      assert.strictEqual(statusOf(span), "ok")
    }).pipe(Effect.provide(layer))
  })

  it.effect("has more attributes, and belongs to no span around the server", () => {
    const [spans, layer] = recording()
    return Effect.withSpan(
      serving(
        Middleware.traced(handler, { attributes: ({ body }) => ({ "app.command": body }) }),
        Effect.gen(function* () {
          const client = yield* peer
          yield* client.send("child")
          const span = spans.find(({ name }) => name === "Lines")
          assert.strictEqual(span?.attributes.get("app.command"), "child")
          assert.isTrue(span !== undefined && Option.isNone(span.parent))
        })
      ),
      "around"
    ).pipe(Effect.provide(layer))
  })
})
