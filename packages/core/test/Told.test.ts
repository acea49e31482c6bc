/** Whole connections that are told of a stop, or whose wire was given away: what still holds on them. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Told extends Server.Service<Told>()("Told", {
  protocol: Protocol.connection(Protocol.lines(), { atStop: "told" })
}) {}

type Line = Connection.Connection<string, string>
type Problem = Effect.Error<Line["take"]>

/** Echoes lines until one says "bye"; one says whether it was told. */
const echo = (connection: Line) =>
  Effect.gen(function* () {
    const { stopping } = yield* Told
    const told = yield* Effect.forkChild(Effect.as(stopping, true), { startImmediately: true })
    for (let line = yield* connection.take; line !== "bye"; line = yield* connection.take) {
      yield* connection.write(`${line} ${told.pollUnsafe() === undefined ? "goes on" : `stops, ${connection.endedBy}`}`)
    }
  })

const served = (
  dialogue: (connection: Line) => Effect.Effect<void, Problem, Told> = echo,
  policy: Policy.Policy = Policy.fiber()
) => Layer.provideMerge(Told.serve(Handler.dialogue(dialogue), { policy }), MemoryServer.layer(Told))

const stop = Effect.flatMap(Told, ({ shutdown }) => Effect.forkScoped(shutdown, { startImmediately: true }))

const counted = (report: Outcome.Report) => {
  const { completed, interrupted, millis } = report
  return { completed, interrupted, millis }
}

describe("a connection that is told of a stop", () => {
  it.effect("reads on, knows of it, and ends when its handler does", () =>
    Effect.gen(function* () {
      const client = yield* Told.client
      assert.strictEqual(yield* client.send("one"), "one goes on")
      const stopped = yield* stop
      yield* turns
      assert.strictEqual(yield* client.send("two"), "two stops, stop")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* client.send("three"), "three stops, stop")
      yield* client.write("bye")
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), [])
      const report = yield* Fiber.join(stopped)
      assert.deepStrictEqual(counted(report), { completed: 1, interrupted: 0, millis: 3_000 })
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.effect("is cut off by the deadline where it does not end, and its peer sees that", () =>
    Effect.gen(function* () {
      const client = yield* Told.client
      assert.strictEqual(yield* client.send("one"), "one goes on")
      const stopped = yield* stop
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(stopped.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(counted(yield* Fiber.join(stopped)), { completed: 0, interrupted: 1, millis: 10_000 })
      yield* Stream.runDrain(Stream.ignore(client.stream))
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.effect("ends when its peer half-closes during the stop", () =>
    Effect.gen(function* () {
      const client = yield* Told.client
      assert.strictEqual(yield* client.send("one"), "one goes on")
      const stopped = yield* stop
      yield* turns
      yield* client.write("two")
      yield* client.end
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["two stops, stop"])
      assert.deepStrictEqual(counted(yield* Fiber.join(stopped)), { completed: 1, interrupted: 0, millis: 0 })
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.effect("is interrupted when its peer is gone during the stop", () => {
    const ended = Deferred.makeUnsafe<string | undefined>()
    const dialogue = (connection: Line) =>
      Effect.onInterrupt(Effect.andThen(connection.write("hello"), Effect.never), () =>
        Deferred.succeed(ended, connection.endedBy)
      )
    return Effect.gen(function* () {
      const client = yield* Told.client
      assert.strictEqual(yield* client.take, "hello")
      const stopped = yield* stop
      yield* turns
      yield* client.reset
      assert.strictEqual(yield* Deferred.await(ended), "stop")
      const { counts } = yield* Fiber.join(stopped)
      assert.strictEqual(counts.Cancelled, 1)
    }).pipe(Effect.scoped, Effect.provide(served(dialogue)))
  })

  it.effect("may have half-closed before, and goes on reading", () => {
    const dialogue = (connection: Line) => Effect.andThen(connection.end, Stream.runDrain(connection.stream))
    return Effect.gen(function* () {
      const client = yield* Told.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), [])
      const stopped = yield* stop
      yield* Effect.andThen(client.write("still"), turns)
      assert.isUndefined(stopped.pollUnsafe())
      yield* client.end
      assert.deepStrictEqual(counted(yield* Fiber.join(stopped)), { completed: 1, interrupted: 0, millis: 0 })
    }).pipe(Effect.scoped, Effect.provide(served(dialogue)))
  })

  it.effect("begins during the stop where it waited for its place, and is told at once", () =>
    Effect.gen(function* () {
      const first = yield* Told.client
      assert.strictEqual(yield* first.send("one"), "one goes on")
      const second = yield* Told.client
      yield* second.write("two")
      yield* turns
      const stopped = yield* stop
      yield* turns
      yield* first.write("bye")
      assert.strictEqual(yield* second.take, "two stops, stop")
      yield* second.write("bye")
      assert.deepStrictEqual(counted(yield* Fiber.join(stopped)), { completed: 2, interrupted: 0, millis: 0 })
    }).pipe(Effect.scoped, Effect.provide(served(echo, Policy.sequential)))
  )
})

/** A wire that has something to give. */
class Giving extends Scripted {
  readonly given: Array<string> = []
  probes = 0
  detach(unread: ReadonlyArray<Uint8Array>): object {
    for (const chunk of unread) this.given.push(new TextDecoder().decode(chunk))
    return this.given
  }
  probe(): void {
    this.probes++
  }
}

class Raw extends Server.Service<Raw>()("Raw", { protocol: Protocol.connection() }) {}

/** A server whose handlers take the wire away, and wait. */
const taking = (options: Transport.ServerOptions = {}, policy: Policy.Policy = Policy.fiber()) => {
  const state = { taken: [] as Array<object | undefined>, told: 0 }
  const end = Deferred.makeUnsafe<void>()
  const { accept, listen } = listener()
  const handler: Server.HandlerOf<typeof Raw> = ({ body }) => {
    state.taken.push(Transport.takeAway(body, () => state.told++))
    return Effect.as(Deferred.await(end), Response.empty)
  }
  const layer = Layer.provideMerge(Raw.serve(handler, { policy }), Transport.layer(Raw, options, listen))
  return { accept, end, layer, state }
}

const counts = Effect.gen(function* () {
  const server = yield* Raw
  const some = (all: object) => Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
  return { ...some(yield* server.counts), ...some(yield* server.timeouts) }
})

describe("Transport.takeAway", () => {
  it.effect("gives what carries the connection", () => {
    const { accept, layer, state } = taking()
    return Effect.gen(function* () {
      const wire = new Giving()
      accept(wire)
      yield* turns
      assert.strictEqual(state.taken[0], wire.given)
      assert.deepStrictEqual([wire.asked(), wire.paused], [[], false])
      wire.gone()
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("gives nothing where there is no socket, nor what was read already", () => {
    const { accept, end, layer, state } = taking()
    let late: object | undefined
    const lateLayer = (listen: Transport.Listen) =>
      Layer.provideMerge(
        Raw.serve(({ body }) =>
          Effect.gen(function* () {
            yield* Effect.orDie(body.take)
            late = Transport.takeAway(body, () => {})
            return Response.empty
          })
        ),
        Transport.layer(Raw, {}, listen)
      )
    return Effect.gen(function* () {
      const none = new Scripted()
      accept(none)
      yield* turns
      assert.deepStrictEqual(state.taken, [undefined])
      assert.isUndefined(Transport.takeAway({}, () => {}))
      yield* Deferred.succeed(end, undefined)
      none.gone()
      const other = listener()
      yield* Layer.build(Layer.fresh(lateLayer(other.listen)))
      const wire = new Giving()
      other.accept(wire)
      yield* turns
      wire.data("x")
      yield* turns
      assert.deepStrictEqual([late, wire.given, wire.asked()], [undefined, [], ["end"]])
      wire.gone()
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("puts back what came while the connection waited for its place", () => {
    const { accept, end, layer, state } = taking({}, Policy.sequential)
    return Effect.gen(function* () {
      const [first, second] = [new Giving(), new Giving()]
      accept(first)
      accept(second)
      yield* turns
      second.data("GET ")
      second.data("/ HTTP/1.1")
      yield* turns
      assert.deepStrictEqual([state.taken, second.paused], [[first.given], true])
      yield* Deferred.succeed(end, undefined)
      yield* turns
      assert.deepStrictEqual(second.given, ["GET ", "/ HTTP/1.1"])
      for (const wire of [first, second]) {
        assert.deepStrictEqual(wire.asked(), ["end"])
        wire.finish()
        wire.half()
        assert.deepStrictEqual(wire.asked(), ["destroy"])
      }
      yield* turns
      assert.deepStrictEqual(yield* counts, { Completed: 2 })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("leaves the places, the end of the handler, and that of the peer to the server", () => {
    const { accept, layer, state } = taking({ maxConnections: 1 })
    return Effect.gen(function* () {
      const [first, second] = [new Giving(), new Giving()]
      accept(first)
      accept(second)
      yield* turns
      assert.deepStrictEqual([state.taken.length, second.asked()], [1, ["destroy"]])
      first.gone()
      yield* turns
      assert.deepStrictEqual(yield* counts, { Cancelled: 1, Refused: 1 })
      assert.deepStrictEqual(yield* (yield* Raw).connections, [])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("has the write deadline looked at from outside, and what is unsent counted", () => {
    const { accept, layer } = taking({ writeTimeout: "10 seconds" })
    return Effect.gen(function* () {
      const wire = new Giving()
      accept(wire)
      yield* turns
      wire.bytesWritten = 1_000
      wire.bytesUnsent = 1_000
      // A peer that takes a little is left alone.
      for (let i = 0; i < 15; i++) {
        yield* TestClock.adjust("1 second")
        wire.bytesUnsent -= 10
      }
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(wire.asked(), ["reset"])
      yield* turns
      assert.deepStrictEqual(yield* counts, { Cancelled: 1, TimedOut: 1, write: 1 })
      assert.isAbove(wire.probes, 10)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("has the first byte waited for, and no other", () => {
    const { accept, layer } = taking({ firstByteTimeout: "5 seconds", idleTimeout: "2 seconds" })
    return Effect.gen(function* () {
      const [silent, speaking] = [new Giving(), new Giving()]
      accept(silent)
      accept(speaking)
      yield* turns
      speaking.bytesRead = 10
      yield* TestClock.adjust("6 seconds")
      yield* turns
      assert.deepStrictEqual([silent.asked(), speaking.asked()], [["end"], []])
      assert.deepStrictEqual(yield* counts, { Cancelled: 1, TimedOut: 1, firstByte: 1 })
      silent.gone()
      speaking.gone()
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("tells of a stop, and cuts off at its deadline", () => {
    const { accept, layer, state } = taking({ drainTimeout: "3 seconds" })
    return Effect.gen(function* () {
      const wire = new Giving()
      accept(wire)
      yield* turns
      const stopped = yield* Effect.forkScoped(
        Effect.flatMap(Raw, ({ shutdown }) => shutdown),
        { startImmediately: true }
      )
      yield* turns
      assert.strictEqual(state.told, 1)
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      assert.strictEqual((yield* Fiber.join(stopped)).interrupted, 1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})
