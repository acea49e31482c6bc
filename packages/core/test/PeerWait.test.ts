/** How connections over what their peer may have wait for one of its others to end. */
import { assert, describe, it } from "@effect/vitest"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Response from "@socketserver/core/Response"
import type * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { datagramOf, front, inet, opening, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const [, quiet] = logs()
const options = { maxConnectionsPerPeer: 1, maxPeerWait: "5 seconds" } as const
const over = "more than 1 connections of one peer"
const late = `${over}, and none of them ended within 5000 ms`

/** A plain connection, the steps of one that needs a handshake, and of one behind a balancer. */
const ways = ["plain", "handshake", "header"] as const

/** Peers that come in some way, and what has happened to them, by name. */
const coming = (sink: Transport.Sink, way: (typeof ways)[number]) => {
  const log: Array<string> = []
  const come = (name: string, host = "192.0.2.1") => {
    const wire = wireOf(inet(way === "header" ? "10.0.0.1" : host))
    const hold = () => {
      log.push(`${name} is held`)
      return () => log.push(`${name} is read`)
    }
    const { peer } = wire
    const begins = Effect.sync(() => log.push(`${name} begins`))
    if (way === "plain") sink.accept(Object.assign(wire, { hold }))
    else if (way === "handshake") {
      const secure = () => Effect.as(begins, wire)
      sink.open({ ...opening(peer).opening, hold, handshakeMillis: 10_000, secure, destroy: () => wire.destroy() })
    } else {
      const behind = inet(host)
      const introduce = Effect.succeed(behind)
      const secure = () => Effect.succeed(Object.assign(wire, { peer: behind }))
      sink.open({
        ...opening(peer).opening,
        hold,
        introduce,
        headerMillis: 5_000,
        secure,
        destroy: () => wire.destroy()
      })
    }
    return wire
  }
  return { come, logged: () => log.splice(0) }
}

describe.each(ways)("one over what its peer may have (%s)", (way) => {
  it.effect("waits, and is not read, until one of its peer's has ended; others come in meanwhile", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(options)
      const { come, logged } = coming(sink, way)
      const first = come("first")
      yield* turns
      logged()
      const second = come("second")
      const third = come("third")
      yield* turns
      assert.deepStrictEqual(logged(), ["second is held", "third is held"])
      const other = come("other", "192.0.2.2")
      yield* turns
      assert.isTrue(other.started)
      assert.deepStrictEqual([second.started, third.started], [false, false])
      logged()
      first.gone()
      yield* turns
      assert.deepStrictEqual([second.started, third.started], [true, false])
      assert.deepStrictEqual(logged(), ["second is read", ...(way === "handshake" ? ["second begins"] : [])])
      second.data("hello\n")
      yield* turns
      assert.deepStrictEqual(second.asked(), ["write hello"])
      second.gone()
      yield* turns
      assert.isTrue(third.started)
      assert.deepStrictEqual(yield* refusals, {})
      for (const wire of [third, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is refused when its time is over, and not before", () =>
    Effect.gen(function* () {
      const { refused, refusals, sink } = yield* front(options)
      const { come } = coming(sink, way)
      const first = come("first")
      yield* turns
      const second = come("second")
      yield* turns
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(second.asked(), [])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(second.asked(), ["destroy"])
      assert.match(refused().join(), new RegExp(`^192\\.0\\.2\\.1:\\d+: ${late}$`))
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1 })
      // Its place in the queue is nobody's.
      const third = come("third")
      first.gone()
      yield* turns
      assert.isTrue(third.started)
      third.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("is closed by a stop, and refused nothing", () =>
    Effect.gen(function* () {
      const { refusals, server, sink } = yield* front(options)
      const { come } = coming(sink, way)
      const first = come("first")
      yield* turns
      const second = come("second")
      yield* turns
      const stopped = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      assert.deepStrictEqual(second.asked(), ["destroy"])
      first.gone()
      yield* turns
      assert.strictEqual((yield* Fiber.join(stopped)).refused, 0)
      assert.isFalse(second.started)
      assert.deepStrictEqual(yield* refusals, {})
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("goes when the server would be full otherwise, the last that has come first", () =>
    Effect.gen(function* () {
      const { refused, sink } = yield* front({ ...options, maxConnections: 4 })
      const { come } = coming(sink, way)
      const first = come("first")
      yield* turns
      const [second, third] = [come("second"), come("third")]
      yield* turns
      // The server would be full with it. Of whoever is behind a balancer that is seen too late.
      if (way !== "header") assert.deepStrictEqual(come("fourth").asked(), ["destroy"])
      const others = [come("other", "192.0.2.2")]
      yield* turns
      assert.deepStrictEqual([second.asked(), third.asked()], [[], ["destroy"]])
      others.push(come("another", "192.0.2.3"))
      yield* turns
      assert.deepStrictEqual(second.asked(), ["destroy"])
      assert.isTrue(others.every(({ started }) => started))
      const needed = `${over}, and others needed the room of those that waited`
      assert.deepStrictEqual(
        refused().map((text) => text.replace(/:\d+:/, "")),
        [...(way === "header" ? [] : [over]), needed, needed].map((why) => `192.0.2.1 ${why}`)
      )
      for (const wire of [first, ...others]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("comes in when the limit is raised, or off, while it waits", () =>
    Effect.gen(function* () {
      const { server, sink } = yield* front(options)
      const { come } = coming(sink, way)
      const wires = [come("first")]
      yield* turns
      wires.push(come("second"), come("third"), come("fourth"))
      yield* turns
      const started = () => wires.map((wire) => wire.started)
      yield* server.control.change({ maxConnectionsPerPeer: 2 })
      yield* turns
      assert.deepStrictEqual(started(), [true, true, false, false])
      yield* server.control.change({ maxConnectionsPerPeer: "off" })
      yield* turns
      assert.deepStrictEqual(started(), [true, true, true, true])
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("waits on while accepting is suspended, and comes in after that", () =>
    Effect.gen(function* () {
      const { server, sink } = yield* front(options)
      const { come } = coming(sink, way)
      const first = come("first")
      yield* turns
      const second = come("second")
      yield* turns
      yield* server.control.suspend
      first.gone()
      yield* turns
      assert.deepStrictEqual([second.started, second.asked()], [false, []])
      yield* server.control.resume
      yield* turns
      assert.isTrue(second.started)
      second.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})

describe("those that wait", () => {
  it.effect("are 16 of one peer, and 64 in all; one more is refused at once", () =>
    Effect.gen(function* () {
      const { refused, sink } = yield* front(options)
      const { come } = coming(sink, "plain")
      const hosts = [1, 2, 3, 4, 5].map((host) => `192.0.2.${host}`)
      const first = hosts.map((host) => come("first", host))
      for (let i = 0; i < 16; i++) come("more", hosts[0])
      yield* turns
      assert.deepStrictEqual(refused(), [])
      const seventeenth = come("more", hosts[0])
      assert.deepStrictEqual(seventeenth.asked(), ["destroy"])
      for (const host of hosts.slice(1, 4)) for (let i = 0; i < 16; i++) come("more", host)
      const another = come("more", hosts[4])
      assert.deepStrictEqual(another.asked(), ["destroy"])
      yield* turns
      assert.isTrue(refused().every((text) => text.endsWith(`: ${over}`)))
      assert.lengthOf(refused(), 2)
      // One that has got its place leaves its own in the queue.
      first[0]!.gone()
      const next = come("more", hosts[4])
      yield* turns
      assert.deepStrictEqual(next.asked(), [])
      for (const wire of first) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are told why when they are given up, where something can be written", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(options, undefined, {
        onTurnedAway: ({ kind }: Outcome.Refused) => Response.make(`ERR ${kind}`)
      })
      const told = ["write ERR MaxConnectionsPerPeer", "end"]
      for (const { way, asked } of [
        { way: "plain", asked: told },
        { way: "header", asked: told },
        { way: "handshake", asked: ["destroy"] }
      ] as const) {
        const { come, logged } = coming(sink, way)
        const first = come("first")
        yield* turns
        const second = come("second")
        yield* turns
        yield* TestClock.adjust("5 seconds")
        yield* turns
        assert.deepStrictEqual(second.asked(), asked, way)
        // What it has sent is read, or the close would cost it the message.
        assert.include(logged(), "second is read")
        first.gone()
        second.gone()
        yield* turns
      }
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are verified when they get their place, with what their peer has then", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const { refusals, sink } = yield* front({
        ...options,
        maxConnectionsPerPeer: 2,
        verify: (_peer, _listener, { connections, opening }) => {
          told.push(`${connections}+${opening}`)
          return told.length < 4
        }
      })
      const { come } = coming(sink, "plain")
      const wires = [come("first"), come("second"), come("third"), come("fourth")]
      yield* turns
      assert.deepStrictEqual(told, ["0+0", "1+0"])
      wires[0]!.gone()
      yield* turns
      assert.deepStrictEqual(told, ["0+0", "1+0", "1+0"])
      wires[1]!.gone()
      yield* turns
      assert.deepStrictEqual([told.at(-1), wires[3]!.asked()], ["1+0", ["destroy"]])
      assert.deepStrictEqual(yield* refusals, { Verify: 1 })
      wires[2]!.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("do not wait where the listener does not let them in, nor where it may not be waited", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(options)
      const { come } = coming(sink, "plain")
      const first = come("first")
      const { opening: entrance, wire } = opening(inet("192.0.2.1"), { allow: () => false })
      sink.open(entrance)
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      const scarce = wireOf(inet("192.0.2.1"))
      sink.accept(scarce, { of: "descriptors", limit: "64" })
      assert.deepStrictEqual(scarce.asked(), ["destroy"])
      first.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("go first where the system has too little of something", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ ...options, maxConnectionsPerPeer: 2 })
      const { come } = coming(sink, "plain")
      const wires = [come("first"), come("second"), come("third")]
      yield* TestClock.adjust("2 seconds")
      sink.accept(wireOf(inet("192.0.2.2")), { of: "descriptors", limit: "64" })
      yield* turns
      assert.deepStrictEqual(
        wires.map((wire) => wire.asked()),
        [[], [], ["destroy"]]
      )
      assert.deepStrictEqual(yield* refusals, { MaxConnectionsPerPeer: 1, Scarcity: 1 })
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are no datagrams: one more of these is dropped", () =>
    Effect.gen(function* () {
      const latch = Deferred.makeUnsafe<void>()
      const { refused, sink } = yield* front(options, ({ body }) =>
        Effect.as(Deferred.await(latch), Response.make(body))
      )
      for (const text of ["one", "two"]) sink.receive(datagramOf(inet("192.0.2.1", "udp"), text))
      yield* turns
      assert.lengthOf(refused(), 1)
      yield* Deferred.succeed(latch, undefined)
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("hold no datagram of others back in a server that is full with them", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ ...options, maxConnections: 3 })
      const { come } = coming(sink, "plain")
      const first = come("first")
      const second = come("second")
      const replies: Array<string> = []
      sink.receive(datagramOf(inet("192.0.2.2", "udp"), "one", replies))
      sink.receive(datagramOf(inet("192.0.2.3", "udp"), "two", replies))
      yield* turns
      assert.deepStrictEqual([replies, second.asked()], [["one", "two"], ["destroy"]])
      first.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are said once, with how many", () => {
    const [entries, logged] = logs()
    return Effect.gen(function* () {
      const { sink } = yield* front(options)
      const { come } = coming(sink, "plain")
      const first = come("first")
      come("second")
      yield* turns
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(
        entries
          .filter(({ level }) => level !== "Debug")
          .map(({ level, message }) => `${level}: ${message.replace(/192\.0\.2\.1:\d+/, "IT")}`),
        [
          "Warn: Lines: maxConnectionsPerPeer (1) is reached: held back IT",
          "Info: Lines: maxConnectionsPerPeer (1) was reached for 5000 ms: 1 held back, 1 refused"
        ]
      )
      first.gone()
    }).pipe(Effect.scoped, Effect.provide(logged))
  })

  it.effect("wait at most 30 seconds", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(front({ maxPeerWait: "1 minute" })))
      assert.match(error.message, /maxPeerWait of Lines: it must be a time of at most 30s/)
    })
  )
})
