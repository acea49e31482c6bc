/** How many requests of one peer are at work, over all its connections. */
import { assert, describe, it } from "@effect/vitest"
import * as Response from "@socketserver/core/Response"
import type * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { datagramOf, front, inet, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const [, quiet] = logs()

/** A server whose handlers end when the test says so; a request that says "now" is answered at once. */
const slow = (options: Transport.ServerOptions) =>
  Effect.gen(function* () {
    const latches = new Map<string, Deferred.Deferred<void>>()
    const begun: Array<string> = []
    const made = yield* front(options, ({ body }) => {
      begun.push(body)
      if (body.startsWith("now")) return Effect.succeed(Response.make(body))
      const latch = Deferred.makeUnsafe<void>()
      latches.set(body, latch)
      return Effect.as(Deferred.await(latch), Response.make(body))
    })
    const connect = (host: string) => {
      const wire = wireOf(inet(host))
      made.sink.accept(wire)
      return wire
    }
    return {
      ...made,
      connect,
      /** What has begun since the last look. */
      begun: Effect.andThen(
        turns,
        Effect.sync(() => begun.splice(0))
      ),
      finish: (body: string) => Effect.andThen(Deferred.succeed(latches.get(body)!, undefined), turns)
    }
  })

describe("a peer with as many requests at work as it may have", () => {
  it.effect("has its others wait, by connection in turn, and nobody else's", () =>
    Effect.gen(function* () {
      const { begun, connect, finish } = yield* slow({ maxRequestsPerPeer: 2 })
      const [one, two, other] = [connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.2")]
      one.data("a1\na2\na3\n")
      two.data("b1\nb2\n")
      other.data("c1\n")
      assert.deepStrictEqual(yield* begun, ["a1", "a2", "c1"])
      yield* finish("a1")
      assert.deepStrictEqual(one.asked(), ["write a1"])
      const [third, ...none] = yield* begun
      assert.deepStrictEqual(none, [])
      yield* finish("a2")
      const fourth = yield* begun
      // Both connections have their turns.
      assert.sameMembers([third!, ...fourth], ["a3", "b1"])
      yield* finish("a3")
      yield* finish("b1")
      assert.deepStrictEqual(yield* begun, ["b2"])
      yield* finish("b2")
      assert.deepStrictEqual(two.asked(), ["write b1", "write b2"])
      for (const wire of [one, two, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("gets on when one of its connections is gone", () =>
    Effect.gen(function* () {
      const { begun, connect } = yield* slow({ maxRequestsPerPeer: 1 })
      const [one, two] = [connect("192.0.2.1"), connect("192.0.2.1")]
      one.data("a1\na2\n")
      two.data("b1\n")
      assert.deepStrictEqual(yield* begun, ["a1"])
      one.gone()
      assert.deepStrictEqual(yield* begun, ["b1"])
      two.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("has all of many that are answered at once", () =>
    Effect.gen(function* () {
      const { begun, connect } = yield* slow({ maxRequestsPerPeer: 1 })
      const wires = [1, 2, 3].map(() => connect("192.0.2.1"))
      for (const wire of wires) wire.data("now\n".repeat(1_000))
      let count = 0
      for (let all = yield* begun; all.length > 0; all = yield* begun) count += all.length
      assert.strictEqual(count, 3_000)
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("has its datagrams wait", () =>
    Effect.gen(function* () {
      const { begun, finish, refusals, sink } = yield* slow({ maxRequestsPerPeer: 1 })
      const replies: Array<string> = []
      for (const text of ["one", "two", "three"]) sink.receive(datagramOf(inet("192.0.2.1", "udp"), text, replies))
      assert.deepStrictEqual(yield* begun, ["one"])
      yield* finish("one")
      const [next] = yield* begun
      yield* finish(next!)
      const [last] = yield* begun
      yield* finish(last!)
      assert.sameMembers(replies, ["one", "two", "three"])
      assert.deepStrictEqual(yield* refusals, {})
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("goes on when the limit is raised, or off", () =>
    Effect.gen(function* () {
      const { begun, connect, server } = yield* slow({ maxRequestsPerPeer: 1 })
      const wires = [1, 2, 3].map(() => connect("192.0.2.1"))
      for (const [index, wire] of wires.entries()) wire.data(`${index}\n`)
      assert.strictEqual((yield* begun).length, 1)
      yield* server.control.change({ maxRequestsPerPeer: 2 })
      assert.strictEqual((yield* begun).length, 1)
      yield* server.control.change({ maxRequestsPerPeer: "off" })
      assert.strictEqual((yield* begun).length, 1)
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("has what is at work counted where there was no bound until now", () =>
    Effect.gen(function* () {
      const { begun, connect, finish, server } = yield* slow({})
      const [one, two, other] = [connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.2")]
      one.data("a1\na2\n")
      two.data("b1\n")
      other.data("c1\n")
      assert.sameMembers(yield* begun, ["a1", "a2", "b1", "c1"])
      yield* server.control.change({ maxRequestsPerPeer: 2 })
      two.data("b2\n")
      other.data("c2\nc3\n")
      assert.deepStrictEqual(yield* begun, ["c2"])
      yield* finish("a1")
      assert.deepStrictEqual(yield* begun, [])
      yield* finish("b1")
      assert.deepStrictEqual(yield* begun, ["b2"])
      // What was counted once is let go of once, also where there is no bound meanwhile.
      yield* server.control.change({ maxRequestsPerPeer: "off" })
      assert.deepStrictEqual(yield* begun, ["c3"])
      yield* finish("a2")
      yield* server.control.change({ maxRequestsPerPeer: 2 })
      one.data("a3\na4\n")
      assert.deepStrictEqual(yield* begun, ["a3"])
      for (const wire of [one, two, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is answered all that was received, when the server stops", () =>
    Effect.gen(function* () {
      const { begun, connect, finish, server } = yield* slow({ maxRequestsPerPeer: 1 })
      const [one, two] = [connect("192.0.2.1"), connect("192.0.2.1")]
      one.data("a1\n")
      two.data("b1\n")
      assert.deepStrictEqual(yield* begun, ["a1"])
      const stopped = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      yield* finish("a1")
      assert.deepStrictEqual(yield* begun, ["b1"])
      yield* finish("b1")
      for (const wire of [one, two]) wire.gone()
      const { completed, interrupted } = yield* Fiber.join(stopped)
      assert.deepStrictEqual([completed, interrupted], [2, 0])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})
