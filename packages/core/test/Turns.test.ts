import { assert, describe, it, vi } from "@effect/vitest"
import { MemoryServer, Peer, Policy, Protocol, Response, Server } from "@socketserver/core"
import type * as Handler from "@socketserver/core/Handler"
import * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as PeerKey from "../src/internal/peerKey.ts"
import type * as Rings from "../src/internal/ring.ts"
import { listener, Scripted } from "./support/scripted.ts"
import { SpentClock, turn } from "./support/turns.ts"

// Not exported, as it should be: a test alone looks at them.
const { peerKeyOf } = await vi.importActual<typeof PeerKey>("../src/internal/peerKey.ts")
const { Ring } = await vi.importActual<typeof Rings>("../src/internal/ring.ts")

class Lines extends Server.Service<Lines>()("Lines", {
  protocol: Protocol.lines(),
  key: (request) => request.body.split(" ", 1)[0]
}) {}

const inet = (host: string) =>
  Peer.make({
    transport: "tcp",
    name: host.includes(":") ? `[${host}]:5` : `${host}:5`,
    address: () => NetAddress.inetAddressFromNativeUnsafe(host, 5)
  })

const turns = (count: number) => Effect.forEach(Array.from({ length: count }), () => turn, { discard: true })

/** How many turns pass until something is so; at least one. */
const turnsUntil = (holds: () => boolean) =>
  Effect.gen(function* () {
    let taken = 0
    for (; !holds(); taken++) {
      assert.isBelow(taken, 1_000)
      yield* turn
    }
    return taken
  })

const policies = [
  { policy: Policy.sequential, places: 1 },
  { policy: Policy.fiber({ max: 2 }), places: 2 },
  { policy: Policy.connection({ max: 2 }), places: 2 },
  { policy: Policy.keyed({ max: 2 }), places: 2 }
] as const

describe("a turn of the event loop", () => {
  for (const policy of [Policy.sequential, Policy.fiber(), Policy.connection(), Policy.keyed()]) {
    it.effect(`begins at most 4,096 requests, however many a peer sends at once (${policy.name})`, () =>
      Effect.gen(function* () {
        let begun = 0
        const live = Lines.serve(
          () => {
            begun++
            return Effect.succeed(Response.empty)
          },
          { policy }
        )
        yield* Effect.gen(function* () {
          const client = yield* Lines.rawClient
          yield* client.write(new TextEncoder().encode("x\n".repeat(20_000)))
          assert.isAtLeast(yield* turnsUntil(() => begun === 20_000), Math.floor(20_000 / 4_096))
        }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines))))
      })
    )
  }

  it.effect("begins at most 4,096 requests of those that a program takes itself", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      let begun = 0
      yield* Effect.forkScoped(
        Stream.runForEach(server.requests, (request) => {
          begun++
          return request.respond(Response.empty)
        })
      )
      const client = yield* Lines.rawClient
      yield* client.write(new TextEncoder().encode("x\n".repeat(20_000)))
      assert.isAtLeast(yield* turnsUntil(() => begun === 20_000), Math.floor(20_000 / 4_096))
    }).pipe(Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("begins no request when five milliseconds have passed in it", () =>
    Effect.gen(function* () {
      const real = yield* Clock.Clock
      const clock = new SpentClock((duration) => real.sleep(duration))
      // Each handler takes a millisecond.
      let begun = 0
      const live = Lines.serve(() => {
        begun++
        clock.spend(1)
        return Effect.succeed(Response.empty)
      })
      yield* Effect.gen(function* () {
        const client = yield* Lines.rawClient
        yield* client.write(new TextEncoder().encode("x\n".repeat(100)))
        const taken = yield* turnsUntil(() => begun === 100)
        // The clock is looked at for each fourth.
        assert.isAtLeast(taken, Math.floor(100 / 8))
        assert.isAtMost(taken, 100 / 5 + 5)
      }).pipe(
        Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines))),
        Effect.provideService(Clock.Clock, clock)
      )
    })
  )

  it.effect("keeps the replies of a connection together where requests are quick", () =>
    Effect.gen(function* () {
      const live = Lines.serve(({ body }) => Effect.succeed(Response.make(body)))
      yield* Effect.gen(function* () {
        const clients = yield* Effect.forEach(Array.from({ length: 200 }), () => Lines.rawClient)
        const pipeline = new TextEncoder().encode("x\n".repeat(128))
        // More than a turn begins.
        for (const client of clients) yield* client.write(pipeline)
        let writes = 0
        for (const client of clients) {
          let bytes = 0
          yield* Stream.runForEachWhile(client.stream, (chunk) =>
            Effect.sync(() => {
              writes++
              return (bytes += chunk.length) < pipeline.length
            })
          )
        }
        // What a turn has left over leaves in one more.
        assert.isAtMost(writes, 2 * clients.length)
      }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines))))
    })
  )

  it.effect("has a place for a quiet peer, beside peers who send at once what takes many turns", () =>
    Effect.gen(function* () {
      let begun = 0
      const live = Lines.serve(({ body }) => {
        begun++
        return Effect.succeed(body === "quiet" ? Response.make(String(begun)) : Response.empty)
      })
      yield* Effect.gen(function* () {
        const quiet = yield* Lines.client
        for (let i = 0; i < 8; i++) {
          const loud = yield* Lines.rawClient
          yield* loud.write(new TextEncoder().encode("x\n".repeat(10_000)))
        }
        yield* turns(4)
        const before = begun
        const at = Number(yield* quiet.send("quiet"))
        // Two turns' worth of others' requests: the one that it came in, and its own.
        assert.isAtMost(at - before, 3 * 4_096)
        assert.isBelow(begun, 80_000)
      }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines))))
    })
  )
})

describe("those that wait for a place", () => {
  for (const { places, policy } of policies) {
    it.effect(`take turns by connection (${policy.name})`, () =>
      Effect.gen(function* () {
        const live = Lines.serve(({ body }) => Effect.as(Effect.sleep("1 second"), Response.make(body)), { policy })
        yield* Effect.gen(function* () {
          const loud = yield* Effect.forEach(Array.from({ length: 4 }), () => Lines.client)
          for (const [c, client] of loud.entries()) {
            for (let i = 0; i < 20; i++) yield* client.write(`k${c}-${i} x`)
          }
          yield* turns(5)
          const quiet = yield* Lines.client
          const answer = yield* Effect.forkScoped(quiet.send("quiet x"))
          // Each other connection has one turn before it, and those at work end.
          const bound = Math.ceil(5 / places) + 1
          for (let second = 0; second < bound && answer.pollUnsafe() === undefined; second++) {
            yield* turns(5)
            yield* TestClock.adjust("1 second")
            yield* turns(5)
          }
          assert.isDefined(answer.pollUnsafe())
        }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines, { drainTimeout: 0 }))))
      })
    )
  }

  it.effect("take turns by peer, however many connections each has", () =>
    Effect.gen(function* () {
      const begun: Array<string> = []
      const live = Lines.serve(
        ({ body }) => {
          begun.push(body)
          return Effect.as(Effect.sleep("1 second"), Response.make(body))
        },
        { policy: Policy.sequential }
      )
      const { accept, listen } = listener()
      yield* Effect.gen(function* () {
        const from = (host: string, lines: string) => {
          const wire = new Scripted({ peer: inet(host) })
          accept(wire)
          wire.data(lines)
        }
        from("192.0.2.1", "loud\n")
        yield* turns(5)
        for (let i = 0; i < 6; i++) from("192.0.2.1", "loud\n")
        from("192.0.2.2", "quiet\nquiet\n")
        yield* turns(5)
        for (let second = 0; second < 6; second++) {
          yield* TestClock.adjust("1 second")
          yield* turns(5)
        }
        assert.deepStrictEqual(begun.slice(0, 6), ["loud", "loud", "quiet", "loud", "quiet", "loud"])
      }).pipe(Effect.provide(Layer.provideMerge(live, Transport.layer(Lines, { drainTimeout: 0 }, listen))))
    })
  )

  it.effect("lose nothing when their peers leave (keyed)", () =>
    Effect.gen(function* () {
      const live = Lines.serve(({ body }) => Effect.as(Effect.sleep("1 second"), Response.make(body)), {
        policy: Policy.keyed({ max: 1 })
      })
      yield* Effect.gen(function* () {
        const stays = yield* Lines.client
        const first = yield* Effect.forkScoped(stays.send("a 1"))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const leaves = yield* Lines.rawClient
            yield* leaves.write(new TextEncoder().encode("a 2\na 3\n"))
            yield* turns(5)
            yield* TestClock.adjust("1500 millis")
            yield* turns(5)
            yield* leaves.reset
          })
        )
        // Behind what is given up.
        const answer = yield* Effect.forkScoped(stays.send("a 4"))
        yield* turns(5)
        yield* TestClock.adjust("2 seconds")
        yield* turns(5)
        assert.strictEqual(yield* Fiber.join(first), "a 1")
        assert.strictEqual(yield* Fiber.join(answer), "a 4")
      }).pipe(Effect.provide(Layer.provideMerge(live, MemoryServer.layer(Lines))))
    }).pipe(Effect.timeout("20 seconds"))
  )
})

const laneOf = (name: string, peerKey: string, count: number): Rings.Lane<string> & { had: number } => ({
  queued: false,
  peerKey,
  had: 0,
  get hasWaiting() {
    return this.had < count
  },
  take() {
    return this.had < count ? `${name}${++this.had}` : undefined
  }
})

const all = (ring: Rings.Ring<string>) => {
  const taken: Array<string> = []
  for (let next = ring.next(); next !== undefined; next = ring.next()) taken.push(next)
  return taken.join(" ")
}

describe("requests that nobody has begun in time", () => {
  it.effect("leave the line of those that wait, though nobody takes any", () => {
    const gate = Latch.makeUnsafe()
    // It holds the only place.
    const handler: Handler.Handler<string, string> = ({ body }) =>
      Effect.as(Effect.uninterruptible(gate.await), Response.make(body))
    return Effect.gen(function* () {
      const clients = yield* Effect.forEach(Array.from({ length: 100 }), () => Lines.rawClient)
      for (const client of clients) yield* client.write(new TextEncoder().encode("hello\n"))
      yield* turns(20)
      const server: object = yield* Lines
      const { intake } = (server as Record<symbol, { intake: { ring: { size: number } } }>)[
        Symbol.for("@socketserver/core/Server/engine")
      ]!
      assert.isAtLeast(intake.ring.size, 99)
      yield* TestClock.adjust("5 seconds")
      yield* turns(20)
      assert.strictEqual((yield* (yield* Lines).timeouts).request, 100)
      assert.isAtMost(intake.ring.size, 50)
      yield* gate.open
      yield* turns(20)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(handler, { policy: Policy.fiber({ max: 1 }) }),
          MemoryServer.layer(Lines, { requestTimeout: "5 seconds" })
        )
      )
    )
  })
})

describe("a ring", () => {
  it("gives each connection its share in turn", () => {
    const ring = new Ring<string>(2)
    ring.add(laneOf("a", "1", 5))
    ring.add(laneOf("b", "1", 1))
    ring.add(laneOf("c", "2", 3))
    assert.strictEqual(all(ring), "a1 a2 b1 c1 c2 a3 a4 c3 a5")
    assert.strictEqual(ring.size, 0)
  })

  it("gives what is left over one request for each peer in turn, and of a peer one for each connection", () => {
    const ring = new Ring<string>(32)
    for (const name of ["a", "b", "c"]) ring.add(laneOf(name, "loud", 3))
    ring.settle()
    ring.add(laneOf("q", "quiet", 3))
    assert.strictEqual(all(ring), "a1 q1 b1 q2 c1 q3 a2 b2 c2 a3 b3 c3")
  })

  it("gives each that is left over as many as it is told", () => {
    const ring = new Ring<string>(1)
    for (const name of ["a", "b"]) ring.add(laneOf(name, "loud", 3))
    ring.add(laneOf("q", "quiet", 3))
    ring.settle(2)
    assert.deepStrictEqual(
      Array.from({ length: 4 }, () => ring.next()),
      ["a1", "a2", "q1", "q2"]
    )
    ring.settle()
    assert.strictEqual(all(ring), "b1 q3 a3 b2 b3")
  })

  it("begins anew with shares when nothing is left over", () => {
    const ring = new Ring<string>(2)
    ring.add(laneOf("a", "1", 2))
    ring.settle()
    assert.strictEqual(all(ring), "a1 a2")
    ring.add(laneOf("b", "1", 3))
    ring.add(laneOf("c", "1", 1))
    assert.strictEqual(all(ring), "b1 b2 c1 b3")
  })

  it("lets go of connections that nobody waits for", () => {
    const ring = new Ring<string>(2)
    const gone = laneOf("a", "1", 0)
    ring.add(gone)
    ring.add(laneOf("b", "1", 1))
    ring.retain(({ hasWaiting }) => hasWaiting)
    assert.strictEqual(ring.size, 1)
    assert.isFalse(gone.queued)
    assert.strictEqual(all(ring), "b1")
  })
})

describe("who a peer is", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["2001:db8::7", "2001:db8:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["::1", "::1"],
    ["::2", "0:0:0:0"],
    ["fe80::1%eth0.100", "fe80::1%eth0.100"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"]
  ])("%s is %s", (host, key) => assert.strictEqual(peerKeyOf(inet(host)), key))

  it("is its transport, where it has no address", () => {
    assert.strictEqual(peerKeyOf(Peer.make({ transport: "unix", name: "unix:/s#4" })), "unix")
    const credentials = { pid: 4, uid: 1_000, gid: 100 }
    assert.strictEqual(peerKeyOf(Peer.make({ transport: "unix", name: "unix:/s#4", credentials })), "user 1000")
  })
})
