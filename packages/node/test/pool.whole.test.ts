/** Whole connections whose handlers are in workers: what their deadlines and their bytes are, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as Simulation from "@socketserver/core/Simulation"
import type * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SimulatedWorkers from "../src/SimulatedWorkers.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

/** A number is how often 10,000 characters are written, each time in a turn of its own; all else comes back. */
const talk = Handler.dialogue((connection: Connection.Connection<string, string>) =>
  connection.stream.pipe(
    Stream.runForEach((line) =>
      /^\d+$/.test(line)
        ? Effect.repeat(Effect.andThen(connection.write("x".repeat(10_000)), Effect.yieldNow), {
            times: Number(line)
          })
        : connection.write(line)
    ),
    Effect.ignore
  )
)

/** Plays a program against a server whose handler is in a worker. */
const played = <A>(
  options: Transport.ServerOptions,
  program: Effect.Effect<A, unknown, Talk | Scope.Scope>
): Effect.Effect<A> =>
  Effect.gen(function* () {
    yield* SimulatedWorkers.prepare(Talk, talk as never, "hello\n")
    const served = Talk.serve(talk, { policy: SimulatedWorkers.make(Talk, talk as never, { size: 2 }) })
    const { ended, exit } = yield* Simulation.run(
      program.pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(served, MemoryServer.layer(Talk, options)))
      ) as never
    )
    assert.strictEqual(ended, "done")
    if (exit?._tag !== "Success") throw new Error(String(exit?.cause))
    return exit.value as A
  })

/** What a server has counted. */
const counted = Effect.gen(function* () {
  const server = yield* Talk
  const some = (all: object) => Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
  return { counts: some(yield* server.counts), timeouts: some(yield* server.timeouts) }
})

describe("a whole connection in a worker", () => {
  it.effect("is closed when a frame of it is not whole in time, however its bytes come", () =>
    Effect.gen(function* () {
      const [millis, received, seen] = yield* played(
        {},
        Effect.gen(function* () {
          const peer = yield* Network.connect(Talk)
          yield* peer.write("hello\n")
          yield* peer.receives("hello\n")
          yield* Effect.sleep("1 hour")
          const start = yield* Clock.currentTimeMillis
          yield* Effect.forkScoped(Effect.forever(Effect.andThen(peer.write("x"), Effect.sleep("1 second"))))
          const { received } = yield* peer.end
          return [(yield* Clock.currentTimeMillis) - start, received, yield* counted] as const
        })
      )
      assert.deepStrictEqual([millis, received], [30_000, "hello\n"])
      assert.deepStrictEqual(seen, { counts: { TimedOut: 1 }, timeouts: { frame: 1 } })
    })
  )

  it.effect("is closed when it is silent, where that is timed", () =>
    Effect.gen(function* () {
      const [millis, seen] = yield* played(
        { idleTimeout: "10s" },
        Effect.gen(function* () {
          const peer = yield* Network.connect(Talk)
          yield* Effect.sleep("9 seconds")
          yield* peer.write("hello\n")
          yield* peer.receives("hello\n")
          yield* peer.end
          return [yield* Clock.currentTimeMillis, yield* counted] as const
        })
      )
      assert.strictEqual(millis, 19_000)
      assert.deepStrictEqual(seen.timeouts, { idle: 1 })
    })
  )

  it.effect("is reset when it reads nothing of what its handler writes", () =>
    Effect.gen(function* () {
      const [how, millis, seen] = yield* played(
        {},
        Effect.gen(function* () {
          const peer = yield* Network.connect(Talk)
          yield* peer.stopReading
          yield* peer.write("100\n")
          const server = yield* Talk
          yield* Effect.repeat(Effect.sleep("1 second"), {
            until: () => Effect.map(server.connections, (all) => all.length === 0)
          })
          const millis = yield* Clock.currentTimeMillis
          yield* peer.resume
          return [(yield* peer.end).how, millis, yield* counted] as const
        })
      )
      assert.strictEqual(how, "reset")
      assert.isAtLeast(millis, 60_000)
      assert.isAtMost(millis, 62_000)
      assert.deepStrictEqual(seen.timeouts, { write: 1 })
    })
  )

  it.effect("has what waits in its channel counted, both ways, and nothing of it left", () =>
    Effect.gen(function* () {
      const [most, ahead, left] = yield* played(
        { writeTimeout: "off" },
        Effect.gen(function* () {
          const budget = budgetOf(yield* Talk)
          const peer = yield* Network.connect(Talk)
          yield* peer.stopReading
          yield* peer.write("100\n")
          yield* Effect.sleep("1 second")
          const most = budget.total
          // Its handler writes, and does not read: what the peer sends fills the channel.
          yield* peer.write("y\n".repeat(250_000))
          yield* Effect.sleep("1 second")
          const ahead = budget.total - most
          yield* peer.reset
          yield* Effect.sleep("1 second")
          return [most, ahead, budget.total] as const
        })
      )
      // Six of seven that are on their way: the first of them is with the wire.
      assert.isAtLeast(most, 60_000)
      assert.isAtLeast(ahead, 65_536)
      assert.strictEqual(left, 0)
    })
  )
})

const budgetOf = (server: object): { readonly total: number } =>
  (server as Record<symbol, { context: { budget: { total: number } } }>)[
    Symbol.for("@socketserver/core/Server/engine")
  ]!.context.budget

class Told extends Server.Service<Told>()("Told", {
  protocol: Protocol.connection(Protocol.lines(), { atStop: "told" })
}) {}

describe("a whole connection in a worker that is told of a stop", () => {
  it.effect("reads on there, knows of it, and ends when its handler does", () =>
    Effect.gen(function* () {
      const echo = Handler.dialogue((connection: Connection.Connection<string, string>) =>
        Effect.gen(function* () {
          const { stopping } = yield* Told
          const told = yield* Effect.forkChild(stopping, { startImmediately: true })
          for (let line = yield* connection.take; line !== "bye"; line = yield* connection.take) {
            const stops = told.pollUnsafe() !== undefined
            yield* connection.write(`${line} ${stops ? `stops, ${connection.endedBy}` : "goes on"}`)
          }
        })
      )
      yield* SimulatedWorkers.prepare(Told, echo as never, "bye\n")
      const policy = SimulatedWorkers.make(Told, echo as never, { size: 2, channel: 20 })
      const program = Effect.gen(function* () {
        const client = yield* Told.client
        const before = yield* client.send("one")
        const stop = yield* Effect.flatMap(Told, ({ shutdown }) =>
          Effect.forkScoped(shutdown, { startImmediately: true })
        )
        yield* Effect.sleep("1 second")
        const after = yield* client.send("two")
        yield* client.write("bye")
        const { completed, interrupted } = yield* Fiber.join(stop)
        return [before, after, completed, interrupted]
      })
      const layer = Layer.provideMerge(Told.serve(echo, { policy }), MemoryServer.layer(Told))
      const { ended, exit } = yield* Simulation.run(Effect.provide(Effect.scoped(program), layer) as never)
      assert.strictEqual(ended, "done")
      if (exit?._tag !== "Success") throw new Error(String(exit?.cause))
      assert.deepStrictEqual(exit.value, ["one goes on", "two stops, stop", 1, 0])
    })
  )
})
