/** Connections that are not read are looked at, and nobody else is. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

/** A wire that tells how often it was probed, and whose peer may turn out to be gone then. */
class Probed extends Scripted {
  probes = 0
  isGone = false
  private readonly onProbe: () => void
  constructor(onProbe = () => {}) {
    super()
    this.onProbe = onProbe
  }
  probe(): void {
    this.probes++
    this.onProbe()
    if (this.isGone) queueMicrotask(() => this.gone(new Error("reset")))
  }
}

const waits: Handler.Handler<string, string> = ({ body }) =>
  body === "wait" ? Effect.never : Effect.succeed(Response.make(body))

const lines = (options: Transport.ServerOptions = {}) => {
  const { accept, listen } = listener()
  return { accept, layer: Layer.provideMerge(Lines.serve(waits), Transport.layer(Lines, options, listen)) }
}

const second = TestClock.adjust("1 second")

describe("a connection", () => {
  it.effect("is probed once a second while nothing is read from it, and not before or after", () => {
    const { accept, listen } = listener()
    const wire = new Probed()
    let answer = () => {}
    const once: Handler.Handler<string, string> = ({ body }) =>
      Effect.callback((resume) => {
        answer = () => resume(Effect.succeed(Response.make(body)))
      })
    const answering = Layer.provideMerge(Lines.serve(once), Transport.layer(Lines, { maxPipelined: 1 }, listen))
    return Effect.gen(function* () {
      accept(wire)
      yield* turns
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(wire.probes, 0)
      wire.data("a\nb\n")
      yield* turns
      assert.isTrue(wire.paused)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(wire.probes, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(wire.probes, 1)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(wire.probes, 4)
      answer()
      yield* turns
      answer()
      yield* turns
      assert.isFalse(wire.paused)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(wire.probes, 4)
      wire.gone()
    }).pipe(Effect.provide(answering))
  })

  it.effect("whose peer is found gone ends, and its requests with it", () => {
    const { accept, layer } = lines({ maxPipelined: 1 })
    return Effect.gen(function* () {
      const server = yield* Lines
      const wire = new Probed()
      accept(wire)
      wire.data("wait\nb\n")
      yield* turns
      wire.isGone = true
      yield* second
      yield* turns
      assert.lengthOf(yield* server.connections, 0)
      assert.strictEqual((yield* server.counts).Cancelled, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("is probed after its peer has half-closed, while its request is handled", () => {
    const { accept, layer } = lines()
    return Effect.gen(function* () {
      const wire = new Probed()
      accept(wire)
      wire.data("wait\n")
      wire.half()
      yield* turns
      yield* second
      assert.strictEqual(wire.probes, 1)
      wire.gone()
    }).pipe(Effect.provide(layer))
  })

  it.effect("that is one request is probed while its handler does not read", () => {
    const { accept, listen } = listener()
    let read: () => Effect.Effect<unknown, unknown> = () => Effect.void
    const handler = ({ body }: { readonly body: Connection.Connection<string, string> }) => {
      read = () => body.take
      return Effect.never
    }
    const layer = Layer.provideMerge(Talk.serve(handler), Transport.layer(Talk, {}, listen))
    return Effect.gen(function* () {
      const wire = new Probed()
      accept(wire)
      wire.data("a\n")
      yield* turns
      yield* second
      assert.strictEqual(wire.probes, 1)
      yield* Effect.orDie(read() as Effect.Effect<unknown>)
      const reading = yield* Effect.forkChild(read() as Effect.Effect<unknown>, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(wire.paused)
      assert.strictEqual(wire.probes, 1)
      yield* Fiber.interrupt(reading)
      wire.gone()
    }).pipe(Effect.provide(layer))
  })
})

describe("thousands of connections", () => {
  it.effect("are all probed, some in each turn of the event loop", () => {
    const { accept, layer } = lines({ maxPipelined: 1 })
    return Effect.gen(function* () {
      let turn = 0
      const counting = () => (turn++, (timer = setImmediate(counting)))
      let timer = setImmediate(counting)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(timer)))
      const inTurn: Array<number> = []
      const wires = Array.from({ length: 1_000 }, () => new Probed(() => (inTurn[turn] = (inTurn[turn] ?? 0) + 1)))
      for (const wire of wires) {
        accept(wire)
        wire.data("wait\nb\n")
      }
      yield* turns
      for (const probes of [1, 2]) {
        yield* second
        yield* turns
        assert.isTrue(wires.every((wire) => wire.probes === probes))
      }
      assert.isAtMost(Math.max(...inTurn.filter((count) => count !== undefined)), 256)
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

describe("a stop", () => {
  it.effect("that has ended leaves nothing that looks", () => {
    const { accept, layer } = lines({ maxPipelined: 1, drainTimeout: "500 millis" })
    const wire = new Probed()
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const stopping = yield* Effect.forkChild(
            Effect.scoped(
              Effect.gen(function* () {
                yield* Layer.build(layer)
                accept(wire)
                wire.data("wait\nb\n")
                yield* turns
              })
            ),
            { startImmediately: true }
          )
          yield* turns
          yield* TestClock.adjust("500 millis")
          yield* Fiber.join(stopping)
        })
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(wire.probes, 0)
    })
  })
})
