/** How many handshakes, headers and first bytes are waited for at a time, and how the others wait. */
import { assert, describe, it } from "@effect/vitest"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { front, inet, opening, wireOf } from "./support/front.ts"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const [, quiet] = logs()

/** Peers in handshakes that take as long as the test says, by name, and what has happened to them. */
const handshakes = (sink: Transport.Sink, step: "header" | "handshake" = "handshake", { tells = false } = {}) => {
  const log: Array<string> = []
  const open = (name: string, host: string) => {
    const done = Deferred.makeUnsafe<void, Outcome.Refused>()
    const peer = inet(host)
    const takes = <A>(result: A) =>
      Effect.suspend(() => {
        log.push(`${name} begins`)
        return Effect.as(Deferred.await(done), result)
      })
    const sent = { bytes: 0 }
    const { opening: entrance, wire } = opening(peer, {
      ...(tells && { taken: () => sent.bytes }),
      ...(step === "header" && { introduce: takes(inet(`203.0.113.${host.split(".")[3]}`)), headerMillis: 5_000 }),
      ...(step === "handshake" && { handshakeMillis: 10_000, secure: () => takes(wire) }),
      hold: () => {
        log.push(`${name} waits`)
        return () => log.push(`${name} is read`)
      },
      destroy: () => {
        log.push(`${name} is closed`)
        wire.destroy()
      }
    })
    sink.open(entrance)
    return {
      wire,
      /** It sends a part of what is waited for. */
      begin: () => void sent.bytes++,
      succeed: Effect.andThen(Deferred.succeed(done, undefined), turns),
      fail: Effect.andThen(Deferred.fail(done, Outcome.refused("no", "Opening")), turns)
    }
  }
  const logged = () => log.splice(0)
  return { open, logged }
}

describe("handshakes", () => {
  it.effect.each(["192.0.2.1", "127.0.0.1"])("of one peer (%s) wait over its share, and are not read", (host) =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpeningPerPeer: 1 })
      const { logged, open } = handshakes(sink)
      const one = open("one", host)
      const two = open("two", host)
      const three = open("three", host)
      const other = open("other", "192.0.2.2")
      yield* turns
      assert.deepStrictEqual(logged(), ["one begins", "two waits", "three waits", "other begins"])
      yield* one.succeed
      assert.isTrue(one.wire.started)
      assert.deepStrictEqual(logged(), ["two is read", "two begins"])
      yield* two.fail
      assert.deepStrictEqual(logged(), ["three is read", "three begins", "two is closed"])
      yield* three.succeed
      yield* other.succeed
      assert.deepStrictEqual(logged(), [])
      for (const { wire } of [one, three, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that wait get their turns peer by peer", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening: 1, maxOpeningPerPeer: "off" })
      const { logged, open } = handshakes(sink)
      const all = ["a1", "a2", "a3", "b1", "c1", "b2"].map((name) => ({
        name,
        ...open(name, `192.0.2.${name.charCodeAt(0)}`)
      }))
      const order: Array<string> = []
      for (let i = 0; i < all.length; i++) {
        yield* turns
        const name = logged()
          .find((line) => line.endsWith(" begins"))!
          .split(" ")[0]!
        order.push(name)
        yield* all.find((one) => one.name === name)!.succeed
      }
      assert.deepStrictEqual(order, ["a1", "a2", "b1", "c1", "a3", "b2"])
      for (const { wire } of all) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("wait as long as one may take, and are refused then", () =>
    Effect.gen(function* () {
      const { refusals, refused, sink } = yield* front({ maxOpening: 1 })
      const { logged, open } = handshakes(sink)
      const one = open("one", "192.0.2.1")
      open("two", "192.0.2.2")
      yield* turns
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(logged(), ["one begins", "two waits"])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(logged(), ["two is closed"])
      assert.match(
        refused().join(),
        /: no turn for its handshake within 10000 ms, with 1 in all and 1 of a peer at a time$/
      )
      assert.deepStrictEqual(yield* refusals, { MaxOpening: 1 })
      // Its place in the queue is nobody's.
      const three = open("three", "192.0.2.3")
      yield* one.succeed
      yield* three.succeed
      assert.deepStrictEqual(logged(), ["three waits", "three is read", "three begins"])
      for (const { wire } of [one, three]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that wait make room in a full server, as those that are on their way", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ maxConnections: 3, maxConnectionsPerPeer: "off", maxOpening: 1 })
      const { logged, open } = handshakes(sink)
      for (const name of ["one", "two", "three"]) {
        open(name, "192.0.2.1")
        yield* TestClock.adjust("1 millis")
      }
      yield* TestClock.adjust("1 second")
      logged()
      const wires = ["192.0.2.2", "192.0.2.3"].map((host) => wireOf(inet(host)))
      for (const wire of wires) sink.accept(wire)
      yield* turns
      assert.deepStrictEqual(logged(), [
        "two is read",
        "two begins",
        "one is closed",
        "three is read",
        "three begins",
        "two is closed"
      ])
      assert.deepStrictEqual(yield* refusals, { MadeRoom: 2 })
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that wait are closed by a stop, and refused nothing", () =>
    Effect.gen(function* () {
      const { refusals, server, sink } = yield* front({ maxOpening: 1 })
      const { logged, open } = handshakes(sink)
      for (const name of ["one", "two", "three"]) open(name, "192.0.2.1")
      yield* turns
      yield* server.shutdown
      yield* turns
      assert.sameMembers(
        logged().filter((line) => line.endsWith("closed")),
        ["one is closed", "two is closed", "three is closed"]
      )
      assert.deepStrictEqual(yield* refusals, {})
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that wait go on when the limit is raised while the server runs", () =>
    Effect.gen(function* () {
      const { server, sink } = yield* front({ maxOpening: 1 })
      const { logged, open } = handshakes(sink)
      for (const name of ["one", "two", "three"]) open(name, "192.0.2.1")
      yield* turns
      logged()
      yield* server.control.change({ maxOpening: 16 })
      yield* turns
      assert.deepStrictEqual(logged(), ["two is read", "two begins"])
      yield* server.control.change({ maxOpening: "off" })
      yield* turns
      assert.deepStrictEqual(logged(), ["three is read", "three begins"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect.each([
    {
      when: "told of once, where all turns are taken",
      maxOpening: 1,
      told: [
        "Lines: maxOpening (1) is reached: held back 192.0.2.1",
        "Lines: maxOpening (1) was reached for 0 ms: 2 held back"
      ]
    },
    { when: "not told of, where it is their peer's own share", maxOpening: 8, told: [] }
  ])("that wait are $when", ({ maxOpening, told }) => {
    const [entries, logged] = logs()
    return Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening })
      const { open } = handshakes(sink)
      for (const name of ["one", "two", "three"]) open(name, "192.0.2.1")
      yield* turns
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(
        entries.filter(({ level }) => level !== "Debug").map(({ message }) => message),
        told
      )
    }).pipe(Effect.scoped, Effect.provide(logged))
  })
})

describe("those that send nothing", () => {
  /** One turn in all, which is given up for others where that is known. */
  const alone = { maxOpening: 1 } as const
  const tells = { tells: true }

  it.effect("keep their turn where nobody waits for it, and are served when they do", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const slow = open("slow", "192.0.2.1")
      yield* TestClock.adjust("3 seconds")
      slow.begin()
      yield* slow.succeed
      assert.isTrue(slow.wire.started)
      assert.deepStrictEqual(logged(), ["slow begins"])
      assert.deepStrictEqual(yield* refusals, {})
      slow.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("give their turn to others after a second, are not read meanwhile, and go on behind them", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const slow = open("slow", "192.0.2.1")
      yield* TestClock.adjust("500 millis")
      const other = open("other", "192.0.2.2")
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual(logged(), ["slow begins", "other waits"])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(logged(), ["slow waits", "other is read", "other begins"])
      for (let i = 0; i < 3; i++) {
        other.begin()
        yield* TestClock.adjust("900 millis")
      }
      assert.deepStrictEqual(logged(), [])
      yield* other.succeed
      assert.deepStrictEqual(logged(), ["slow is read"])
      slow.begin()
      yield* slow.succeed
      assert.deepStrictEqual([slow.wire.started, other.wire.started], [true, true])
      assert.deepStrictEqual(yield* refusals, {})
      for (const { wire } of [slow, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("and those that say more each second are not the same: these give it after three", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const one = open("one", "192.0.2.1")
      const other = open("other", "192.0.2.2")
      const drip = (millis: number) =>
        Effect.gen(function* () {
          for (let left = millis; left > 0; left -= 900) {
            one.begin()
            other.begin()
            yield* TestClock.adjust(Math.min(left, 900))
            yield* turns
          }
        })
      yield* drip(2_999)
      assert.deepStrictEqual(logged(), ["one begins", "other waits"])
      yield* drip(1)
      assert.deepStrictEqual(logged(), ["one waits", "other is read", "other begins"])
      yield* drip(2_999)
      assert.deepStrictEqual(logged(), [])
      yield* drip(1)
      assert.deepStrictEqual(logged(), ["other waits", "one is read"])
      yield* one.succeed
      assert.deepStrictEqual(logged(), ["other is read"])
      yield* other.succeed
      assert.deepStrictEqual([one.wire.started, other.wire.started], [true, true])
      assert.deepStrictEqual(yield* refusals, {})
      for (const { wire } of [one, other]) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("and those that say more come before them again, and after nobody who comes later", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const one = open("one", "192.0.2.1")
      open("two", "192.0.2.2")
      for (let i = 0; i < 6; i++) {
        one.begin()
        yield* TestClock.adjust("500 millis")
      }
      yield* turns
      assert.deepStrictEqual(logged(), ["one begins", "two waits", "one waits", "two is read", "two begins"])
      open("three", "192.0.2.3")
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged().slice(0, 3), ["three waits", "two waits", "one is read"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("and those that may have begun, for all that is known, are not the same: these keep their turn", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(alone)
      const { logged, open } = handshakes(sink)
      const one = open("one", "192.0.2.1")
      open("other", "192.0.2.2")
      yield* TestClock.adjust("9900 millis")
      assert.deepStrictEqual(logged(), ["one begins", "other waits"])
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.deepStrictEqual(logged(), ["other is closed"])
      assert.deepStrictEqual(yield* refusals, { MaxOpening: 1 })
      yield* one.succeed
      one.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are the same as those that have begun, and say no more", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const one = open("one", "192.0.2.1")
      open("other", "192.0.2.2")
      yield* TestClock.adjust("900 millis")
      one.begin()
      yield* TestClock.adjust("100 millis")
      yield* turns
      assert.deepStrictEqual(logged(), ["one begins", "other waits"])
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged(), ["one waits", "other is read", "other begins"])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("give it to those alone that could have it: at their own share to others of their peer", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening: 8, maxOpeningPerPeer: 1 })
      const { logged, open } = handshakes(sink, "handshake", tells)
      open("elsewhere", "192.0.2.2")
      open("one", "192.0.2.1")
      open("two", "192.0.2.1")
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged(), [
        "elsewhere begins",
        "one begins",
        "two waits",
        "one waits",
        "two is read",
        "two begins"
      ])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("come after all that have had no turn, and take turns a second each", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      for (const name of ["a", "b"]) open(name, `192.0.2.${name.charCodeAt(0)}`)
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged(), ["a begins", "b waits", "a waits", "b is read", "b begins"])
      // Who has had to wait for a second has said by then what it has to say.
      open("c", "192.0.2.1")
      yield* TestClock.adjust("50 millis")
      yield* turns
      assert.deepStrictEqual(logged(), ["c waits", "b waits", "c is read", "c begins"])
      const order: Array<string> = []
      for (let second = 0; second < 4; second++) {
        yield* TestClock.adjust("1 second")
        yield* turns
        order.push(logged().join(", "))
      }
      assert.deepStrictEqual(order, [
        "c waits, a is read",
        "a waits, b is read",
        "b waits, c is read",
        "c waits, a is read"
      ])
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("cost a newcomer a second, however many they are and however often they come again", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening: 4, maxConnectionsPerPeer: "off" })
      const { logged, open } = handshakes(sink, "handshake", tells)
      const flood = (round: number) => {
        for (let n = 0; n < 40; n++) open("silent", `10.${round}.0.${n}`)
      }
      for (let round = 0; round < 5; round++) {
        flood(round)
        yield* TestClock.adjust("1 second")
      }
      yield* turns
      logged()
      const newcomer = open("newcomer", "192.0.2.1")
      newcomer.begin()
      flood(5)
      yield* TestClock.adjust("1500 millis")
      yield* turns
      assert.include(logged(), "newcomer begins")
      yield* newcomer.succeed
      assert.isTrue(newcomer.wire.started)
      newcomer.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("have all their turns within their own time: without one at its end they are refused for that", () =>
    Effect.gen(function* () {
      const { refusals, refused, sink } = yield* front(alone)
      const { logged, open } = handshakes(sink, "handshake", tells)
      const slow = open("slow", "192.0.2.1")
      const other = open("other", "192.0.2.2")
      yield* TestClock.adjust("1 second")
      yield* turns
      other.begin()
      logged()
      yield* slow.fail
      assert.deepStrictEqual(logged(), ["slow is read", "slow is closed"])
      assert.match(
        refused().join(),
        /: no second turn for its handshake within 10000 ms: it sent nothing more while others waited$/
      )
      assert.deepStrictEqual(yield* refusals, { MaxOpening: 1 })
      // Its place among those that wait is nobody's.
      yield* other.succeed
      const third = open("third", "192.0.2.3")
      yield* turns
      assert.deepStrictEqual(logged(), ["third begins"])
      yield* third.fail
      assert.deepStrictEqual(yield* refusals, { MaxOpening: 1, Opening: 1 })
      other.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("and have given their turn up are closed by a stop, and make room in a full server", () =>
    Effect.gen(function* () {
      const { refusals, server, sink } = yield* front({ ...alone, maxConnections: 3, maxConnectionsPerPeer: "off" })
      const { logged, open } = handshakes(sink, "handshake", tells)
      for (const name of ["one", "two", "three"]) {
        open(name, "192.0.2.1")
        yield* TestClock.adjust("1 millis")
      }
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged().slice(-3), ["one waits", "two is read", "two begins"])
      const wire = wireOf(inet("192.0.2.2"))
      sink.accept(wire)
      yield* turns
      assert.include(logged(), "one is closed")
      assert.deepStrictEqual(yield* refusals, { MadeRoom: 1 })
      wire.gone()
      yield* server.shutdown
      yield* turns
      assert.sameMembers(
        logged().filter((line) => line.endsWith("closed")),
        ["two is closed", "three is closed"]
      )
      assert.deepStrictEqual(yield* refusals, { MadeRoom: 1 })
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("after their PROXY header send nothing: the header is no part of a handshake", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(alone)
      const log: Array<string> = []
      const open = (name: string, host: string) => {
        let taken = 0
        const peer = inet("10.0.0.1")
        sink.open(
          opening(peer, {
            headerMillis: 5_000,
            introduce: Effect.sync(() => {
              taken += 40
              return inet(host)
            }),
            handshakeMillis: 10_000,
            secure: () =>
              Effect.suspend(() => {
                log.push(`${name} begins`)
                return Effect.never
              }),
            taken: () => taken,
            hold: () => {
              log.push(`${name} waits`)
              return () => void log.push(`${name} is read`)
            }
          }).opening
        )
      }
      open("slow", "192.0.2.1")
      yield* turns
      open("other", "192.0.2.2")
      yield* TestClock.adjust("1050 millis")
      yield* turns
      // Its header waits for a turn, too, and is read in one of its own.
      assert.deepStrictEqual(log.slice(0, 4), ["slow begins", "other waits", "slow waits", "other is read"])
      assert.include(log, "other begins")
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})

describe("PROXY headers", () => {
  it.effect("that do not come give their turn to others", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening: 1 })
      const { logged, open } = handshakes(sink, "header", { tells: true })
      const slow = open("slow", "10.0.0.1")
      const other = open("other", "10.0.0.1")
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(logged(), ["slow begins", "other waits", "slow waits", "other is read", "other begins"])
      other.begin()
      yield* other.succeed
      assert.deepStrictEqual(logged(), ["slow is read"])
      yield* slow.succeed
      for (const { wire } of [slow, other]) {
        assert.isTrue(wire.started)
        wire.gone()
      }
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are bounded in all, and by no share of the balancer that brings them", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpening: 2, maxOpeningPerPeer: 1 })
      const { logged, open } = handshakes(sink, "header")
      const all = ["one", "two", "three"].map((name) => open(name, "10.0.0.1"))
      yield* turns
      assert.deepStrictEqual(logged(), ["one begins", "two begins", "three waits"])
      yield* all[0]!.succeed
      assert.deepStrictEqual(logged(), ["three is read", "three begins"])
      yield* all[1]!.succeed
      yield* all[2]!.succeed
      for (const { wire } of all) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})

describe("first bytes", () => {
  const options = { maxOpeningPerPeer: 1, firstByteTimeout: "1 second" } as const
  const started = (wires: ReadonlyArray<{ readonly started: boolean }>) => wires.map((wire) => wire.started)

  it.effect("are waited for one by one, until they have come or their peer has gone", () =>
    Effect.gen(function* () {
      const { sink } = yield* front(options)
      const wires = [1, 2, 3].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      yield* turns
      assert.deepStrictEqual(started(wires), [true, false, false])
      wires[0]!.data("h")
      yield* turns
      assert.deepStrictEqual(started(wires), [true, true, false])
      wires[1]!.gone()
      yield* turns
      assert.deepStrictEqual(started(wires), [true, true, true])
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("that do not come hold others up for a second, and may come until their own time is over", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front({ ...options, firstByteTimeout: "10 seconds" })
      const wires = [1, 2, 3].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(started(wires), [true, false, false])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(started(wires), [true, true, false])
      yield* TestClock.adjust("1 second")
      yield* turns
      assert.deepStrictEqual(started(wires), [true, true, true])
      for (const wire of wires) wire.data("hello\n")
      yield* turns
      assert.deepStrictEqual(
        wires.map((wire) => wire.asked()),
        wires.map(() => ["write hello"])
      )
      assert.deepStrictEqual(yield* refusals, {})
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are waited for after a handshake, in the same turn", () =>
    Effect.gen(function* () {
      const { refusals, sink } = yield* front(options)
      const { logged, open } = handshakes(sink)
      const one = open("one", "192.0.2.1")
      open("two", "192.0.2.1")
      yield* one.succeed
      assert.isTrue(one.wire.started)
      assert.deepStrictEqual(logged(), ["one begins", "two waits"])
      // It has said nothing in time.
      yield* TestClock.adjust("1 second")
      one.wire.gone()
      yield* turns
      assert.deepStrictEqual(logged(), ["two is read", "two begins"])
      assert.deepStrictEqual(yield* refusals, {})
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect("are not bounded where they need not come in time", () =>
    Effect.gen(function* () {
      const { sink } = yield* front({ maxOpeningPerPeer: 1 })
      const wires = [1, 2, 3].map(() => wireOf(inet("192.0.2.1")))
      for (const wire of wires) sink.accept(wire)
      assert.deepStrictEqual(started(wires), [true, true, true])
      for (const wire of wires) wire.gone()
    }).pipe(Effect.scoped)
  )
})
