/** What is said to peers that a limit turns away. */
import { assert, describe, it } from "@effect/vitest"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { datagramOf, front, inet, opening, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const [, quiet] = logs()

const options = { maxConnectionsPerPeer: 1 }
const said = {
  onTurnedAway: ({ kind }: Outcome.Refused) => Response.make(`ERR ${kind}`)
}

/** A server with one peer that has as many connections as it may have. */
const taken = (serve: Server.ServeOptions<string, string>, others = {}) =>
  Effect.gen(function* () {
    const made = yield* front({ ...options, ...others }, undefined, serve)
    const first = wireOf(inet("192.0.2.1"))
    made.sink.accept(first)
    yield* turns
    yield* Effect.addFinalizer(() => Effect.sync(() => first.gone()))
    const next = () => {
      const wire = wireOf(inet("192.0.2.1"))
      made.sink.accept(wire)
      return wire
    }
    return { ...made, next }
  })

describe("who a limit turns away", () => {
  it.effect("is told why, and closed when that has left and the peer has closed, too", () =>
    Effect.gen(function* () {
      const { next, refusals } = yield* taken(said)
      const wire = next()
      assert.deepStrictEqual(wire.asked(), ["write ERR MaxConnectionsPerPeer", "end"])
      assert.isTrue(wire.started)
      // Nothing is made of what it says.
      wire.data("hello\n")
      wire.finish()
      yield* turns
      assert.deepStrictEqual(wire.asked(), [])
      wire.half()
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("has a second to read it", () =>
    Effect.gen(function* () {
      const { next } = yield* taken(said)
      const wire = next()
      wire.asked()
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(wire.asked(), ["destroy"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("hears nothing while 32 others are told, and is counted all the same", () =>
    Effect.gen(function* () {
      const { next, refusals } = yield* taken(said)
      const wires = Array.from({ length: 34 }, next)
      const told = wires.map((wire) => wire.asked()[0])
      assert.deepStrictEqual(told.slice(31), ["write ERR MaxConnectionsPerPeer", "destroy", "destroy"])
      wires[0]!.gone()
      assert.strictEqual(next().asked()[0], "write ERR MaxConnectionsPerPeer")
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 35 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect.each([
    { how: "there is nothing to say", onTurnedAway: () => Response.empty },
    {
      how: "the hook throws",
      onTurnedAway: () => {
        throw new Error("a bug")
      }
    },
    { how: "what it says cannot be sent", onTurnedAway: () => Response.make("two\nlines") }
  ])("is closed without a word where $how", ({ onTurnedAway }) =>
    Effect.gen(function* () {
      const { next } = yield* taken({ onTurnedAway })
      assert.deepStrictEqual(next().asked(), ["destroy"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("hears nothing where it is verify that does not let it in, or where it is too late", () =>
    Effect.gen(function* () {
      const { server, sink } = yield* front({ verify: () => false }, undefined, said)
      const wire = wireOf(inet("192.0.2.1"))
      sink.accept(wire)
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      yield* server.shutdown
      const late = wireOf(inet("192.0.2.1"))
      sink.accept(late)
      assert.deepStrictEqual(late.asked(), ["destroy"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("hears nothing before a handshake, and is told behind a PROXY header", () =>
    Effect.gen(function* () {
      const { sink } = yield* taken(said)
      const encrypted = opening(inet("192.0.2.1"), { handshakeMillis: 10_000 })
      const introduce = Effect.succeed(inet("192.0.2.1"))
      const introduced = opening(inet("10.0.0.1"), { introduce, headerMillis: 5_000 })
      const both = opening(inet("10.0.0.1"), { introduce, headerMillis: 5_000, handshakeMillis: 10_000 })
      for (const { opening } of [encrypted, introduced, both]) sink.open(opening)
      yield* turns
      assert.deepStrictEqual(
        [encrypted, introduced, both].map(({ wire }) => wire.asked()),
        [["destroy"], ["write ERR MaxConnectionsPerPeer", "end"], ["destroy"]]
      )
      introduced.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is not told by a datagram", () =>
    Effect.gen(function* () {
      const { sink } = yield* taken(said)
      const replies: Array<string> = []
      sink.receive(datagramOf(inet("192.0.2.1"), "hello", replies))
      yield* turns
      assert.deepStrictEqual(replies, [])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is told while accepting is suspended, and let go of when a stop comes", () =>
    Effect.gen(function* () {
      const { server, sink } = yield* front({}, undefined, said)
      yield* server.control.suspend
      const wire = wireOf(inet("192.0.2.1"))
      sink.accept(wire)
      assert.deepStrictEqual(wire.asked(), ["write ERR Suspended", "end"])
      yield* server.shutdown
      assert.deepStrictEqual(wire.asked(), ["destroy"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it("is told what the handler of a whole connection writes", () => {
    class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
    Talk.serve(() => Effect.succeed(Response.empty), { onTurnedAway: ({ reason }) => Response.make(`ERR ${reason}`) })
    // @ts-expect-error -- it writes lines
    Talk.serve(() => Effect.succeed(Response.empty), { onTurnedAway: () => Response.make(1) })
  })
})
