/** What comes before a connection: introduce, allow, verify, secure, each once and in this order. */
import { assert, describe, it } from "@effect/vitest"
import * as Outcome from "@socketserver/core/Outcome"
import * as Peer from "@socketserver/core/Peer"
import * as Server from "@socketserver/core/Server"
import type * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as TestClock from "effect/testing/TestClock"
import { address, datagramOf, front } from "./support/front.ts"
import { Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

const proxy = Peer.make({ transport: "memory", name: "proxy" })
const behind = Peer.make({ transport: "memory", name: "behind the proxy" })

type Step = "introduce" | "allow" | "verify" | "secure"

/** A peer with all steps, one of which may do something else; and what was done. */
const peer = (instead: { readonly [S in Step]?: Effect.Effect<any, any> } = {}) => {
  const steps: Array<string> = []
  const wire = new Scripted()
  const step = <A>(name: Step, who: Peer.Peer, result: A): Effect.Effect<A, any> =>
    Effect.andThen(
      Effect.sync(() => steps.push(`${name} ${who.name}`)),
      (instead[name] as Effect.Effect<A, any> | undefined) ?? Effect.succeed(result)
    )
  const opening: Transport.Opening = {
    peer: proxy,
    listener: address,
    introduce: step("introduce", proxy, behind),
    allow: (who) => Effect.runSync(step("allow", who, true)),
    secure: (who) => step<Wire.Wire>("secure", who, wire),
    destroy: () => {
      steps.push("destroy")
      wire.destroy()
    }
  }
  const verify: Transport.Verify = (who) => step("verify", who, true) as Effect.Effect<boolean>
  return { steps, wire, opening, verify }
}

const all = ["introduce proxy", "allow behind the proxy", "verify behind the proxy", "secure behind the proxy"]
const [, quiet] = logs()

describe("a peer that comes in", () => {
  it.effect("is introduced, allowed, verified and secured, and then served", () =>
    Effect.gen(function* () {
      const { opening, steps, verify, wire } = peer()
      const { refused, sink } = yield* front({ verify })
      sink.open(opening)
      yield* turns
      assert.deepStrictEqual(steps, all)
      wire.data("hello\n")
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["write hello"])
      assert.deepStrictEqual(refused(), [])
      wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("needs no introduction and no list", () =>
    Effect.gen(function* () {
      const { opening, steps, verify, wire } = peer()
      const { sink } = yield* front({ verify })
      const { allow: _, introduce: __, ...others } = opening
      sink.open(others)
      yield* turns
      assert.deepStrictEqual(steps, ["verify proxy", "secure proxy"])
      assert.isTrue(wire.started)
      wire.gone()
    }).pipe(Effect.scoped)
  )

  const no = Effect.fail(Outcome.refused("no"))
  it.effect.each([
    { step: "introduce", instead: no, done: 1, said: "proxy: no" },
    { step: "allow", instead: Effect.succeed(false), done: 2, said: "behind the proxy: allow" },
    { step: "verify", instead: Effect.succeed(false), done: 3, said: "behind the proxy: verify" },
    { step: "verify", instead: Effect.die("a bug"), done: 3, said: "behind the proxy: verify failed" },
    { step: "verify", instead: Effect.interrupt, done: 3, said: "behind the proxy: verify failed" },
    { step: "secure", instead: no, done: 4, said: "behind the proxy: no" }
  ] as const)("is turned away by $step ($said), and nothing comes after that", ({ done, instead, said, step }) =>
    Effect.gen(function* () {
      const { opening, steps, verify, wire } = peer({ [step]: instead })
      const { refused, server, sink } = yield* front({ verify })
      sink.open(opening)
      yield* turns
      assert.deepStrictEqual(steps, [...all.slice(0, done), "destroy"])
      assert.deepStrictEqual(refused(), [said])
      assert.strictEqual((yield* server.counts).Refused, 1)
      assert.isFalse(wire.started)
    }).pipe(Effect.scoped, Effect.provide(quiet))
  )

  it.effect.each(["introduce", "verify", "secure"] as const)(
    "is refused after a minute in which %s does not end",
    (step) =>
      Effect.gen(function* () {
        const { opening, steps, verify } = peer({ [step]: Effect.never })
        let verified = verify
        const { refused, sink } = yield* front({ verify: (...who) => verified(...who), maxConnections: 1 })
        sink.open(opening)
        yield* turns
        yield* TestClock.adjust("59999 millis")
        assert.deepStrictEqual(refused(), [])
        yield* TestClock.adjust("1 millis")
        yield* turns
        assert.strictEqual(steps.at(-1), "destroy")
        assert.deepStrictEqual(refused(), [
          `${step === "introduce" ? "proxy" : "behind the proxy"}: it was not ready within 60000 ms`
        ])
        // Its place is free again.
        const next = peer()
        verified = next.verify
        sink.open(next.opening)
        yield* turns
        assert.isTrue(next.wire.started)
        next.wire.gone()
      }).pipe(Effect.scoped)
  )

  it.effect("is refused after a minute, where a listener accepts without steps and verify does not end", () =>
    Effect.gen(function* () {
      const { refused, sink } = yield* front({ verify: () => Effect.never })
      const wire = new Scripted()
      sink.accept(wire)
      yield* turns
      yield* TestClock.adjust("1 minute")
      yield* turns
      assert.deepStrictEqual([refused(), wire.asked()], [["peer: it was not ready within 60000 ms"], ["destroy"]])
    }).pipe(Effect.scoped)
  )

  it.effect("by a datagram is refused after a minute in which verify does not end, and its place is free", () =>
    Effect.gen(function* () {
      let ends = false
      const { refused, sink } = yield* front({ maxConnections: 1, verify: () => (ends ? true : Effect.never) })
      const replies: Array<string> = []
      const datagram = (text: string): Wire.Datagram => ({
        data: new TextEncoder().encode(text),
        peer: proxy,
        listener: address,
        reply: (data, sent) => {
          replies.push(new TextDecoder().decode(data as Uint8Array))
          sent()
        }
      })
      sink.receive(datagram("one"))
      yield* turns
      ends = true
      sink.receive(datagram("two"))
      yield* turns
      assert.deepStrictEqual(refused(), ["proxy: more than 1 datagrams"])
      yield* TestClock.adjust("1 minute")
      yield* turns
      sink.receive(datagram("three"))
      yield* turns
      assert.deepStrictEqual(refused().slice(0, 2), [
        "proxy: more than 1 datagrams",
        "proxy: it was not ready within 60000 ms"
      ])
      assert.deepStrictEqual(replies, ["three"])
    }).pipe(Effect.scoped)
  )

  const steps = ["introduce", "verify", "secure"] as const

  it.effect.each(
    steps.flatMap((step) =>
      (
        [
          { has: false, drainTimeout: "10 seconds", millis: 0 },
          { has: true, drainTimeout: "10 seconds", millis: 500 },
          { has: undefined, drainTimeout: "10 seconds", millis: 500 },
          { has: true, drainTimeout: "600 millis", millis: 300 }
        ] as const
      ).map((when) => ({ step, ...when }))
    )
  )(
    "is destroyed, and not refused, $millis ms after a stop has come in the middle of $step",
    ({ drainTimeout, has, millis, step }) =>
      Effect.gen(function* () {
        let interrupted = 0
        const { opening, steps, verify } = peer({
          [step]: Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        })
        const { refused, server, sink } = yield* front({ verify, drainTimeout })
        sink.open({ ...opening, begun: has === undefined ? undefined : () => has })
        yield* turns
        const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
        yield* turns
        if (millis > 0) {
          yield* TestClock.adjust(millis - 1)
          assert.deepStrictEqual([interrupted, steps.includes("destroy")], [0, false])
          yield* TestClock.adjust(1)
        }
        yield* turns
        // And not since a stop ends in real time where virtual time stands still.
        assert.isDefined(stop.pollUnsafe())
        assert.strictEqual((yield* Fiber.join(stop)).millis, millis)
        assert.deepStrictEqual(steps.filter((step) => step === "destroy").length, 1)
        assert.strictEqual(interrupted, 1)
        assert.deepStrictEqual(refused(), [])
        // Who comes later is not even introduced.
        const late = peer()
        sink.open(late.opening)
        yield* turns
        assert.deepStrictEqual(late.steps, ["destroy"])
      }).pipe(Effect.scoped)
  )

  it.effect.each(steps)("has its request answered where a stop has come in the middle of %s", (step) =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const yes = step === "introduce" ? behind : step === "verify" ? true : undefined
      const { opening, steps, verify, wire } = peer({ [step]: Effect.as(latch.await, yes ?? new Scripted()) })
      const secured = step === "secure" ? { secure: () => Effect.as(latch.await, wire as Wire.Wire) } : {}
      const { server, sink } = yield* front({ verify })
      sink.open({ ...opening, ...secured })
      yield* turns
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      yield* TestClock.adjust("400 millis")
      yield* latch.open
      yield* turns
      assert.isTrue(wire.started)
      // It had not sent it with what came before.
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(wire.asked(), [])
      wire.data("hello\n")
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["write hello", "end"])
      wire.finish()
      wire.half()
      wire.gone()
      const { completed, connections, millis } = yield* Fiber.join(stop)
      assert.deepStrictEqual({ completed, connections, millis }, { completed: 1, connections: 1, millis: 450 })
      assert.notInclude(steps, "destroy")
    }).pipe(Effect.scoped)
  )

  it.effect("that became a connection during a stop, and says nothing, has the rest of that half second", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { opening, verify, wire } = peer()
      const { server, sink } = yield* front({ verify })
      sink.open({ ...opening, secure: () => Effect.as(latch.await, wire as Wire.Wire) })
      yield* turns
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      yield* latch.open
      yield* turns
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual(wire.asked(), [])
      yield* TestClock.adjust("1 millis")
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["end"])
      wire.finish()
      wire.half()
      wire.gone()
      assert.strictEqual((yield* Fiber.join(stop)).completed, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("that is gone during a stop holds that up no longer; nor does one that is refused", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { opening, verify, wire } = peer()
      const other = peer()
      const { refused, server, sink } = yield* front({ verify })
      sink.open({ ...opening, secure: () => Effect.as(latch.await, wire as Wire.Wire) })
      sink.open({ ...other.opening, secure: () => Effect.andThen(latch.await, no) })
      yield* turns
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      yield* latch.open
      yield* turns
      assert.isTrue(wire.started)
      wire.gone()
      yield* turns
      assert.strictEqual((yield* Fiber.join(stop)).millis, 0)
      assert.deepStrictEqual(refused(), ["behind the proxy: no"])
    }).pipe(Effect.scoped)
  )

  it.effect("by a datagram is answered where a stop has come while it was verified", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { server, sink } = yield* front({ verify: () => Effect.as(latch.await, true) })
      const replies: Array<string> = []
      sink.receive(datagramOf(proxy, "hello", replies))
      yield* turns
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      yield* latch.open
      yield* turns
      assert.strictEqual((yield* Fiber.join(stop)).completed, 1)
      assert.deepStrictEqual(replies, ["hello"])
    }).pipe(Effect.scoped)
  )

  it.effect.each([
    { step: "introduce", how: "dies", instead: Effect.die(new Error("a bug")) },
    { step: "allow", how: "dies", instead: Effect.die(new Error("a bug")) },
    { step: "secure", how: "dies", instead: Effect.die(new Error("a bug")) },
    { step: "introduce", how: "interrupts itself", instead: Effect.interrupt },
    { step: "secure", how: "interrupts itself", instead: Effect.interrupt }
  ])("costs nobody else anything where $step $how, and is counted", ({ instead, step }) => {
    const [entries, logged] = logs()
    return Effect.gen(function* () {
      const { opening, steps } = peer({ [step]: instead })
      const { server, sink } = yield* front({ maxConnections: 1 })
      sink.open(opening)
      yield* turns
      assert.strictEqual(steps.at(-1), "destroy")
      assert.strictEqual((yield* server.counts).Refused, 1)
      assert.isTrue(entries.some(({ message }) => message.includes("could not be accepted")))
      const next = peer()
      sink.open(next.opening)
      yield* turns
      assert.isTrue(next.wire.started)
      next.wire.gone()
    }).pipe(Effect.scoped, Effect.provide(logged))
  })

  it.effect("is refused before any step where there is no room", () =>
    Effect.gen(function* () {
      const { opening: first, wire } = peer()
      const { opening, steps, verify } = peer()
      const { refused, sink } = yield* front({ maxConnections: 1, verify })
      sink.open(first)
      yield* turns
      steps.length = 0
      sink.open(opening)
      yield* turns
      assert.deepStrictEqual(steps, ["destroy"])
      assert.deepStrictEqual(refused(), ["proxy: more than 1 connections"])
      wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("after the stop is closed at once, or refused where it is a datagram", () =>
    Effect.gen(function* () {
      const { refused, server, sink } = yield* front()
      yield* server.shutdown
      const wire = new Scripted()
      sink.accept(wire)
      const replies: Array<unknown> = []
      sink.receive({
        data: new TextEncoder().encode("late"),
        peer: proxy,
        listener: address,
        reply: (data, sent) => {
          replies.push(data)
          sent()
        }
      })
      yield* turns
      assert.isFalse(wire.started)
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      assert.deepStrictEqual([refused(), replies], [["proxy: the server stops"], []])
    }).pipe(Effect.scoped)
  )
})

describe("a peer for whom the system has too little of something", () => {
  const scarcity: Transport.Scarcity = { of: "descriptors", limit: "64; more: ulimit -n" }

  it.effect.each(["accept", "open"] as const)("is turned away before anything is done for it, and counted: %s", (how) =>
    Effect.gen(function* () {
      const [entries, logging] = logs()
      yield* Effect.gen(function* () {
        const { opening, steps, wire } = peer()
        const { refused, server, sink } = yield* front()
        if (how === "accept") sink.accept(wire, scarcity)
        else sink.open({ ...opening, introduce: undefined, scarcity })
        yield* turns
        assert.isFalse(wire.started)
        assert.deepStrictEqual(wire.asked(), ["destroy"])
        assert.deepStrictEqual(
          steps.filter((step) => step.startsWith("secure")),
          []
        )
        assert.match(refused().join(), /: no descriptors are left$/)
        assert.strictEqual((yield* server.counts).Refused, 1)
      }).pipe(Effect.scoped, Effect.provide(logging))
      assert.deepStrictEqual(
        entries.filter(({ level }) => level === "Warn").map(({ message }) => message),
        [`Lines: descriptors (64; more: ulimit -n) is reached: refused ${how === "accept" ? "peer" : "proxy"}`]
      )
    })
  )

  it.effect(
    "has the one that asks for nothing make room for the next, which is refused and no connection any more",
    () =>
      Effect.gen(function* () {
        let totals: () => Outcome.Totals = assert.fail
        const { refused, server, sink } = yield* Effect.provideService(front(), Server.OnListening, (running) =>
          Effect.sync(() => void (totals = running.totals))
        )
        const idle = new Scripted()
        sink.accept(idle)
        yield* turns
        yield* TestClock.adjust("2 seconds")
        sink.accept(new Scripted(), scarcity)
        yield* turns
        assert.include(idle.asked(), "destroy")
        assert.lengthOf(refused(), 2)
        assert.lengthOf(yield* server.connections, 0)
        const { connections, counts } = totals()
        assert.deepStrictEqual([connections, counts.Refused], [0, 2])
      }).pipe(Effect.scoped, Effect.provide(quiet))
  )
})
