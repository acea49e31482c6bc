/** What comes below what a wire carries, as records of TLS that carry nothing, is bounded and counted. */
import { assert, describe, it } from "@effect/vitest"
import { type Outcome, Policy, Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A wire with something below it. */
class Tls extends Scripted {
  read = 0
  answers = 0
  readonly below = () => ({ read: this.read, unsent: this.answers })
  override start(receiver: Wire.Receiver): void {
    super.start(receiver)
    receiver.onBelow?.()
  }
  /** Records come, and what they carry. */
  records(bytes: number, carried = ""): void {
    this.read += bytes
    if (carried !== "") this.data(carried)
  }
}

const served = (options?: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const live = Lines.serve(({ body }) => Effect.succeed(Response.make(body)), { policy: Policy.fiber() })
    const context = yield* Layer.build(
      Layer.provideMerge(live, Transport.layer(Lines, { drainTimeout: 0, ...options }, listen))
    )
    const server = Context.get(context, Lines)
    const connect = () => {
      const wire = new Tls()
      accept(wire)
      return wire
    }
    const { budget } = (server as unknown as Record<symbol, { context: { budget: { total: number } } }>)[
      Symbol.for("@socketserver/core/Server/engine")
    ]!.context
    const events: Array<Outcome.Event> = []
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, (event) => Effect.sync(() => events.push(event))),
      { startImmediately: true }
    )
    return { connect, events, server, held: () => budget.total }
  })

const seconds = (count: number, each: () => void = () => {}) =>
  Effect.repeat(Effect.andThen(Effect.sync(each), Effect.andThen(TestClock.adjust("1 second"), turns)), {
    times: count - 1
  })

describe("a connection over TLS", () => {
  it.effect("is reset where more comes that carries nothing than anybody needs, and others are not", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, events, server } = yield* served()
      const [floods, other] = [connect(), connect()]
      yield* seconds(2, () => other.records(40, "hello\n"))
      floods.records(100_000)
      yield* seconds(1)
      assert.deepStrictEqual(floods.asked().at(-1), "reset")
      assert.notInclude(other.asked(), "reset")
      assert.strictEqual((yield* server.counts).Malformed, 1)
      assert.deepStrictEqual(
        events.filter(({ outcome }) => outcome._tag === "Malformed").map(({ outcome }) => outcome),
        [{ _tag: "Malformed", offset: 0, reason: "more records of TLS came that carry nothing than anybody needs" }]
      )
    }).pipe(Effect.provide(logging))
  })

  it.effect("is reset where it comes little by little, and something with it", () =>
    Effect.gen(function* () {
      const { connect } = yield* served()
      const wire = connect()
      // 4 KB a second, and a request.
      yield* seconds(10, () => wire.records(4_096, "a\n"))
      assert.notInclude(wire.asked(), "reset")
      yield* seconds(15, () => wire.records(4_096, "a\n"))
      assert.include(wire.asked(), "reset")
    })
  )

  for (const [what, bytes, carried, times] of [
    ["a new key now and then", 27, "", 200],
    ["records of one byte", 23 * 3_000, "a\n".repeat(1_500), 20],
    ["records that are padded", 64 * 1_000, "a\n".repeat(500), 20],
    ["large ones of which the rest is to come", 16_000, "", 4],
    ["nothing", 0, "", 100]
  ] as const) {
    it.effect(`is served where there are ${what}`, () =>
      Effect.gen(function* () {
        const { connect, server } = yield* served({ idleTimeout: "off" })
        const wire = connect()
        yield* seconds(times, () => wire.records(bytes, carried))
        assert.notInclude(wire.asked(), "reset")
        wire.records(30, "x\n")
        yield* turns
        assert.include(wire.asked(), "write x")
        assert.strictEqual((yield* server.counts).Malformed, 0)
      })
    )
  }

  it.effect("counts what answers such records and is not read, until it is, or the connection has ended", () =>
    Effect.gen(function* () {
      const { connect, held } = yield* served()
      const wire = connect()
      wire.answers = 50_000
      yield* seconds(1)
      assert.strictEqual(held(), 50_000)
      wire.answers = 20_000
      yield* seconds(1)
      assert.strictEqual(held(), 20_000)
      // What was written counts by itself.
      wire.accepts = false
      wire.bytesUnsent = 1_000
      yield* seconds(1)
      assert.isAtMost(held(), 1_000)
      wire.bytesUnsent = 0
      yield* seconds(1)
      assert.strictEqual(held(), 20_000)
      wire.gone()
      yield* seconds(2)
      assert.strictEqual(held(), 0)
    })
  )

  it.effect("is reset where memory is short for what answers it", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      const { connect, held, server } = yield* served({ maxMemory: "100KiB", maxReply: "64KiB", maxBuffered: "64KiB" })
      const wires = Array.from({ length: 10 }, connect)
      for (const wire of wires) wire.answers = 30_000
      yield* seconds(3)
      assert.isAtMost(held(), 102_400)
      assert.isAtMost((yield* server.connections).length, 3)
    }).pipe(Effect.provide(logging))
  })
})
