/** When a conversation is read from, and what a handler that begins late finds. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

type Line = Connection.Connection<string, string>

/** A server of conversations; `connect` brings it a peer. */
const talking = (talk: (connection: Line) => Effect.Effect<unknown, unknown>, policy = Policy.fiber()) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const handler: Handler.Handler<Line, never> = ({ body }) => Effect.as(Effect.ignore(talk(body)), Response.empty)
    const layer = Layer.provideMerge(Talk.serve(handler, { policy }), Transport.layer(Talk, {}, listen))
    const context = yield* Layer.build(layer)
    const connect = Effect.gen(function* () {
      const wire = new Scripted()
      yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
      accept(wire)
      yield* turns
      return wire
    })
    return { connect, shutdown: Context.get(context, Talk).shutdown }
  })

describe("a conversation that is taken from message by message", () => {
  const takes = {
    take: (connection: Line) => connection.take,
    "a stream of one": (connection: Line) =>
      Effect.map(Stream.runCollect(Stream.take(connection.stream, 1)), ([line]) => line as string)
  }
  for (const [what, take] of Object.entries(takes)) {
    it.effect(`reads on with the last that has arrived, and not before (${what})`, () =>
      Effect.gen(function* () {
        const next = yield* Queue.unbounded<void>()
        const heard: Array<string> = []
        const { connect } = yield* talking((connection) =>
          Effect.forever(
            Effect.flatMap(Effect.andThen(Queue.take(next), take(connection)), (line) =>
              Effect.sync(() => heard.push(line))
            )
          )
        )
        const wire = yield* connect
        wire.data("one\ntwo\n")
        yield* turns
        // What nobody waits for stays with the system.
        assert.isTrue(wire.paused)
        yield* Effect.andThen(Queue.offer(next, undefined), turns)
        assert.deepStrictEqual(heard, ["one"])
        assert.isTrue(wire.paused)
        yield* Effect.andThen(Queue.offer(next, undefined), turns)
        assert.deepStrictEqual(heard, ["one", "two"])
        // The next one may arrive while this one is being handled.
        assert.isFalse(wire.paused)
        wire.data("three\n")
        assert.isTrue(wire.paused)
        yield* Effect.andThen(Queue.offer(next, undefined), turns)
        assert.deepStrictEqual(heard, ["one", "two", "three"])
      }).pipe(Effect.scoped)
    )
  }
})

describe("a conversation whose handler begins late", () => {
  const late = Effect.gen(function* () {
    const busy = Latch.makeUnsafe()
    const heard: Array<string> = []
    let talks = 0
    const { connect, shutdown } = yield* talking(
      (connection) =>
        Effect.suspend(() =>
          ++talks === 1
            ? busy.await
            : Stream.runForEach(connection.stream, (line) => Effect.sync(() => heard.push(line)))
        ),
      Policy.fiber({ max: 1 })
    )
    // The first of them is the one that keeps the other waiting.
    yield* connect
    return {
      wire: yield* connect,
      heard,
      stop: Effect.andThen(Effect.forkScoped(shutdown, { startImmediately: true }), turns),
      begin: Effect.andThen(busy.open, turns),
      began: Effect.sync(() => talks === 2)
    }
  })

  it.effect("finds what arrived before, up to the peer's end", () =>
    Effect.gen(function* () {
      const { began, begin, heard, wire } = yield* late
      wire.data("one\ntw")
      wire.half()
      yield* turns
      assert.isFalse(yield* began)
      yield* begin
      assert.deepStrictEqual(heard, ["one", "tw"])
      assert.deepStrictEqual(wire.asked(), ["end"])
    }).pipe(Effect.scoped)
  )

  it.effect("finds what arrived before a stop, and no message that had not come whole", () =>
    Effect.gen(function* () {
      const { began, begin, heard, stop, wire } = yield* late
      wire.data("one\ntw")
      yield* stop
      assert.isFalse(yield* began)
      wire.data("o\nthree\n")
      yield* begin
      assert.isTrue(yield* began)
      assert.deepStrictEqual(heard, ["one"])
      assert.deepStrictEqual(wire.asked(), ["end"])
    }).pipe(Effect.scoped)
  )
})

describe("a write that waits for its peer", () => {
  const large = "x".repeat(70_000)

  // A fiber may yield at any step: also after it has seen that there is no room, and before it waits for some.
  for (const steps of [3, 4, 5, 6]) {
    const often = Effect.provideService(Scheduler.MaxOpsBeforeYield, steps)

    /** Its system has room again at once. */
    const brief = () => {
      const wire = new Scripted()
      wire.accepts = false
      wire.onFull = () =>
        queueMicrotask(() => {
          wire.accepts = true
          wire.drain()
        })
      return wire
    }

    const untilSaid = (wire: Scripted, last: string) =>
      Effect.gen(function* () {
        const said: Array<string> = []
        for (let i = 0; i < 30 && !said.includes(last); i++) {
          yield* turns
          said.push(...wire.asked())
        }
        return said
      })

    it.effect(`goes on, however briefly there was no room (a write, yields after ${steps} steps)`, () =>
      Effect.gen(function* () {
        const { accept, listen } = listener()
        const handler: Handler.Handler<Line, never> = ({ body }) =>
          often(Effect.as(Effect.orDie(Effect.andThen(body.write(large), body.write("after"))), Response.empty))
        yield* Layer.build(Layer.provideMerge(Talk.serve(handler), Transport.layer(Talk, {}, listen)))
        const wire = brief()
        yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
        accept(wire)
        assert.deepStrictEqual(yield* untilSaid(wire, "end"), ["write 70001", "write after", "end"])
      }).pipe(Effect.scoped)
    )

    it.effect(`goes on, however briefly there was no room (a push, yields after ${steps} steps)`, () =>
      Effect.gen(function* () {
        const { accept, listen } = listener()
        const handler: Handler.Handler<string, string> = ({ connection: { push } }) =>
          often(Effect.as(Effect.orDie(Effect.andThen(push(large), push("after"))), Response.make("done")))
        yield* Layer.build(Layer.provideMerge(Lines.serve(handler), Transport.layer(Lines, {}, listen)))
        const wire = brief()
        yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
        accept(wire)
        wire.data("go\n")
        // Where the handler does not yield between them, the last two leave together.
        assert.match((yield* untilSaid(wire, "write done")).join(), /^write 70001,write after(,write |\n)done$/)
      }).pipe(Effect.scoped)
    )
  }
})
