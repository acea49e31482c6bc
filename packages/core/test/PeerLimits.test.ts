/** How many connections one peer may have, and what `verify` is told of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Peer from "@socketserver/core/Peer"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import type * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { datagramOf, front, inet, opening, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const tooMany = "more than 2 connections of one peer"

describe("a peer with as many connections as it may have", () => {
  it.effect("is refused one more, whatever its port, until one of them ends; others come in", () =>
    Effect.gen(function* () {
      const { refusals, refused, sink } = yield* front({ maxConnectionsPerPeer: 2 })
      const wires = [1, 2, 3].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      const other = wireOf(inet("192.0.2.2"))
      sink.accept(other)
      yield* turns
      assert.deepStrictEqual(
        wires.map(({ started }) => started),
        [true, true, false]
      )
      assert.deepStrictEqual(wires[2]!.asked(), ["destroy"])
      assert.isTrue(other.started)
      assert.deepStrictEqual(refused(), [`${wires[2]!.peer.name}: ${tooMany}`])
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
      wires[0]!.gone()
      yield* turns
      const next = wireOf(inet("192.0.2.1"))
      sink.accept(next)
      assert.isTrue(next.started)
      for (const wire of [...wires, other, next]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect.each([
    { one: "2001:db8::1", other: "2001:db8::2:3", is: "the same network of IPv6" },
    { one: "192.0.2.1", other: "::ffff:192.0.2.1", is: "an IPv4 address that came to a socket of both families" },
    { one: "fe80::1%eth0", other: "fe80::1%eth0", is: "one host of a link" }
  ])("is one peer: $is", ({ one, other }) =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ maxConnectionsPerPeer: 1 })
      const wires = [one, other].map((host) => wireOf(inet(host)))
      for (const wire of wires) sink.accept(wire)
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect.each([
    { one: "2001:db8::1", other: "2001:db8:0:1::1" },
    { one: "fe80::1%eth0", other: "fe80::2%eth0" }
  ])("is not the same as another: $one, $other", ({ one, other }) =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ maxConnectionsPerPeer: 1 })
      const wires = [one, other].map((host) => wireOf(inet(host)))
      for (const wire of wires) sink.accept(wire)
      assert.deepStrictEqual(yield* refusals, {})
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("has handshakes and verifications counted in, and is closed before its own begins", () =>
    Effect.gen(function* () {
      let secured = 0
      const secure = () =>
        Effect.suspend(() => {
          secured++
          return Effect.never
        })
      const { refusals, sink } = yield* front({ maxConnectionsPerPeer: 2 })
      const all = [1, 2, 3].map(() => opening(inet("192.0.2.1"), { secure }))
      for (const { opening } of all) sink.open(opening)
      const plain = wireOf(inet("192.0.2.1"))
      sink.accept(plain)
      yield* turns
      assert.strictEqual(secured, 2)
      assert.deepStrictEqual(all[2]!.wire.asked(), ["destroy"])
      assert.deepStrictEqual(plain.asked(), ["destroy"])
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 2 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is who its PROXY header names; a balancer's own address is free of it", () =>
    Effect.gen(function* () {
      const { refused, sink } = yield* front({ maxConnectionsPerPeer: 2 })
      const balancer = inet("10.0.0.1")
      const behind = (host: string) => {
        const { opening: entrance, wire } = opening(balancer, { introduce: Effect.succeed(inet(host)) })
        sink.open(entrance)
        return wire
      }
      const clients = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"].map(behind)
      // Its own, to see whether the server is there.
      const own = [1, 2, 3].map(() => {
        const { opening: entrance, wire } = opening(balancer, { introduce: Effect.succeed(balancer) })
        sink.open(entrance)
        return wire
      })
      yield* turns
      assert.isTrue([...clients, ...own].every(({ started }) => started))
      let secured = false
      const third = opening(balancer, {
        introduce: Effect.succeed(inet("192.0.2.2")),
        secure: () => Effect.sync(() => ((secured = true), third.wire))
      })
      sink.open(third.opening)
      yield* turns
      assert.deepStrictEqual([secured, third.wire.asked()], [false, ["destroy"]])
      assert.match(refused().join(), /^192\.0\.2\.2:\d+: more than 2 connections of one peer$/)
      for (const wire of [...clients, ...own]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("makes nobody else give way to it in a server that is full", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ maxConnections: 3, maxConnectionsPerPeer: 1 })
      const wires = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((host) => wireOf(inet(host)))
      for (const wire of wires) sink.accept(wire)
      yield* TestClock.adjust("10 seconds")
      sink.accept(wireOf(inet("192.0.2.1")))
      yield* turns
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
      assert.deepStrictEqual(
        wires.map((wire) => wire.asked()),
        [[], [], []]
      )
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is refused a datagram, which is not answered, until one has been", () =>
    Effect.gen(function* () {
      const latch = Deferred.makeUnsafe<void>()
      const replies: Array<string> = []
      const { refused, sink } = yield* front({ maxConnectionsPerPeer: 2 }, ({ body }) =>
        Effect.as(Deferred.await(latch), Response.make(body))
      )
      for (const text of ["one", "two", "three"]) sink.receive(datagramOf(inet("192.0.2.1", "udp"), text, replies))
      sink.receive(datagramOf(inet("192.0.2.2", "udp"), "other", replies))
      yield* turns
      assert.match(refused().join(), /^192\.0\.2\.1:\d+: more than 2 datagrams of one peer$/)
      yield* Deferred.succeed(latch, undefined)
      yield* turns
      assert.deepStrictEqual(replies, ["one", "two", "other"])
      sink.receive(datagramOf(inet("192.0.2.1", "udp"), "four", replies))
      yield* turns
      assert.deepStrictEqual(replies, ["one", "two", "other", "four"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("keeps those that it has when the limit is lowered while it runs", () =>
    Effect.gen(function* () {
      const { refusals, server, sink } = yield* front({ maxConnectionsPerPeer: "off" })
      const wires = [1, 2, 3].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      const { maxConnectionsPerPeer } = yield* server.control.change({ maxConnectionsPerPeer: 2 })
      assert.strictEqual(maxConnectionsPerPeer, 2)
      const more = () => {
        const wire = wireOf(inet("192.0.2.1"))
        sink.accept(wire)
        last = wire
        return wire.started
      }
      let last = wires[2]!
      assert.isFalse(more())
      wires[0]!.gone()
      assert.isFalse(more())
      wires[1]!.gone()
      yield* turns
      assert.isTrue(more())
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 2 })
      assert.deepStrictEqual(wires[2]!.asked(), [])
      for (const wire of [wires[2]!, last]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})

describe("without the option", () => {
  const half = (peer: () => Peer.Peer, options: Transport.ServerOptions = {}) =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ maxConnections: 5, ...options })
      const wires = [1, 2, 3, 4].map(() => wireOf(peer()))
      for (const wire of wires) sink.accept(wire)
      const started = wires.filter((wire) => wire.started).length
      for (const wire of wires) wire.gone()
      return { started, refusals: yield* refusals }
    }).pipe(Effect.scoped, Effect.provide(quiet))

  it.effect("a peer may have half of maxConnections, rounded up", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* half(() => inet("192.0.2.1")), {
        started: 3,
        refusals: { MaxConnectionsPerPeer: 1 }
      })
    })
  )

  it.effect.each([
    { who: "on loopback", peer: () => inet("127.0.0.2") },
    { who: "on loopback (IPv6)", peer: () => inet("::1") },
    { who: "on loopback, by a socket of both families", peer: () => inet("::ffff:127.0.0.1") },
    { who: "on a Unix socket", peer: () => Peer.make({ transport: "unix", name: "unix:/s#1" }) }
  ])("peers $who are not bounded; with it they are", ({ peer }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* half(peer), { started: 4, refusals: {} })
      assert.deepStrictEqual(yield* half(peer, { maxConnectionsPerPeer: 1 }), {
        started: 1,
        refusals: { MaxConnectionsPerPeer: 3 }
      })
    })
  )
})

describe("of several copies of a program", () => {
  const inACopy = (options: Transport.ServerOptions) =>
    Effect.acquireUseRelease(
      Effect.sync(() => Remote.setCopies(3)),
      () =>
        Effect.scoped(
          Effect.flatMap(front(options), ({ server }) =>
            Effect.map(
              server.control.limits,
              ({ maxConnections, maxConnectionsPerPeer, maxMemory, maxOpening, maxOpeningPerPeer }) =>
                [maxConnections, maxConnectionsPerPeer, maxMemory, maxOpening, maxOpeningPerPeer] as const
            )
          )
        ),
      () => Effect.sync(() => Remote.setCopies(1))
    )

  it.effect("each has its share of what bounds a server, rounded up, and of nothing that bounds a peer", () =>
    Effect.gen(function* () {
      const totals = { maxConnections: 100, maxMemory: "1MiB" } as const
      assert.deepStrictEqual(yield* inACopy({ ...totals, maxConnectionsPerPeer: 60 }), [34, 60, 349_526, 86, 32])
      assert.deepStrictEqual(yield* inACopy(totals), [34, 17, 349_526, 86, 32])
    })
  )
})

describe("what is said of it", () => {
  it.effect("is a warning when it begins, and a line when it has been over for ten seconds", () => {
    const [entries, logged] = logs()
    const told = () =>
      entries
        .filter(({ level }) => level !== "Debug")
        .map(({ level, message }) => `${level}: ${message.replace(/(refused \S+):\d+$/, "$1")}`)
    return Effect.gen(function* () {
      const { sink } = yield* front({ maxConnectionsPerPeer: 1 })
      const first = wireOf(inet("192.0.2.1"))
      sink.accept(first)
      for (let second = 0; second < 30; second++) {
        sink.accept(wireOf(inet("192.0.2.1")))
        yield* TestClock.adjust("1 second")
      }
      const began = "Warn: Lines: maxConnectionsPerPeer (1) is reached: refused 192.0.2.1"
      assert.deepStrictEqual(told(), [began])
      yield* TestClock.adjust("8999 millis")
      assert.deepStrictEqual(told(), [began])
      yield* TestClock.adjust("1 millis")
      const over = "Info: Lines: maxConnectionsPerPeer (1) was reached for 29000 ms: 30 refused"
      assert.deepStrictEqual(told(), [began, over])
      sink.accept(wireOf(inet("192.0.2.1")))
      yield* turns
      assert.deepStrictEqual(told(), [began, over, began])
      first.gone()
    }).pipe(Effect.scoped, Effect.provide(logged))
  })

  it.effect("is said by a stop, too; who comes during it is not counted", () => {
    const [entries, logged] = logs()
    return Effect.gen(function* () {
      const { refusals, server, sink } = yield* front({ maxConnectionsPerPeer: 1 })
      const first = wireOf(inet("192.0.2.1"))
      sink.accept(first)
      sink.accept(wireOf(inet("192.0.2.1")))
      first.gone()
      yield* turns
      yield* server.shutdown
      const late = wireOf(inet("192.0.2.1"))
      sink.accept(late)
      assert.deepStrictEqual(late.asked(), ["destroy"])
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
      assert.isTrue(entries.some(({ message }) => message.endsWith("was reached for 0 ms: 1 refused")))
    }).pipe(Effect.scoped, Effect.provide(logged))
  })
})

describe("verify", () => {
  it.effect("is told how many connections the peer has, and how many more are being opened, without this one", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const { sink } = yield* front({
        verify: ({ name }, _listener, { connections, opening }) => {
          told.push(`${name.split(":")[0]} ${connections}+${opening}`)
          return true
        }
      })
      const wires = ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map((host) => wireOf(inet(host)))
      for (const wire of wires.slice(0, 2)) sink.accept(wire)
      const never = () => Effect.never as Effect.Effect<Wire.Wire>
      for (let i = 0; i < 2; i++) sink.open(opening(inet("192.0.2.1"), { secure: never }).opening)
      sink.open(opening(inet("10.0.0.1"), { introduce: Effect.succeed(inet("192.0.2.1")), secure: never }).opening)
      sink.accept(wires[2]!)
      wires[0]!.gone()
      yield* turns
      sink.receive(datagramOf(inet("192.0.2.1", "udp"), "hello"))
      assert.deepStrictEqual(told, [
        "192.0.2.1 0+0",
        "192.0.2.1 1+0",
        "192.0.2.1 2+0",
        "192.0.2.1 2+1",
        "192.0.2.1 2+2",
        "192.0.2.2 0+0",
        "192.0.2.1 1+3"
      ])
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("is told of those whose verification is on its way", () =>
    Effect.gen(function* () {
      const limit: Transport.Verify = (_peer, _listener, { connections, opening }) =>
        Effect.as(Effect.sleep("1 second"), connections + opening < 2)
      const { refusals, sink } = yield* front({ verify: limit })
      const wires = [1, 2, 3, 4].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      yield* turns
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        wires.map(({ started }) => started),
        [true, true, false, false]
      )
      assert.deepStrictEqual(yield* refusals, { Verify: 2 })
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped)
  )
})

const [, quiet] = logs()
