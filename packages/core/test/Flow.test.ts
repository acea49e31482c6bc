import { assert, describe, it } from "@effect/vitest"
import { Endpoint, MemoryServer, Outcome, Peer, Protocol, Response, Server } from "@socketserver/core"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A transport that can hold datagrams back, and says when it is asked to. */
const holding = () => {
  const asked: Array<string> = []
  let sink: Transport.Sink | undefined
  const listener = Endpoint.memory("holding")
  const listen: Transport.Listen = (given) => {
    sink = given
    return Effect.succeed({
      address: listener,
      close: () => void asked.push("close"),
      ended: () => void asked.push("ended"),
      connect: MemoryServer.wire("holding"),
      flow: { pause: () => void asked.push("pause"), resume: () => void asked.push("resume") }
    })
  }
  const peer = Peer.make({ transport: "memory", name: "peer" })
  const datagram = (text: string, reply: Wire.Datagram["reply"] = (_, sent) => sent()): Wire.Datagram => ({
    data: new TextEncoder().encode(text),
    peer,
    listener,
    reply
  })
  return {
    asked,
    listen,
    receive: (text: string, reply?: Wire.Datagram["reply"]) => sink!.receive(datagram(text, reply)),
    open: (wire: Effect.Effect<Wire.Wire, Outcome.Refused>) =>
      sink!.open({ peer, listener, secure: () => wire, destroy: () => void asked.push("destroy") })
  }
}

const serving = (
  transport: ReturnType<typeof holding>,
  handler: Server.HandlerOf<typeof Lines>,
  maxConnections: number
) =>
  Layer.build(
    Layer.provideMerge(
      Lines.serve(handler),
      Transport.layer(Lines, { maxConnections }, [transport.listen, MemoryServer.listen("beside")])
    )
  )

describe("a transport that can hold datagrams back", () => {
  it.effect("is told when its server is to take fewer, and when it may take more again", () => {
    const transport = holding()
    const gate = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const context = yield* serving(transport, () => Effect.as(gate.await, Response.empty), 3)
      const { control } = Context.get(context, Lines)
      transport.receive("one")
      transport.receive("two")
      assert.deepStrictEqual(transport.asked, [])
      yield* control.change({ maxConnections: 2 })
      assert.deepStrictEqual(transport.asked, ["pause"])
      yield* control.change({ maxConnections: 3 })
      assert.deepStrictEqual(transport.asked, ["pause", "resume"])
      yield* gate.open
    })
  })

  it.effect("is asked to while there is no room, whoever takes it", () => {
    const transport = holding()
    const gate = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const context = yield* serving(
        transport,
        (request) => Effect.andThen(gate.await, Effect.succeed(Response.make(request.body))),
        2
      )
      transport.receive("one")
      assert.deepStrictEqual(transport.asked, [])
      transport.receive("two")
      assert.deepStrictEqual(transport.asked, ["pause"])
      yield* gate.open
      while (transport.asked.length < 2) yield* Effect.yieldNow
      assert.deepStrictEqual(transport.asked, ["pause", "resume"])

      // Connections of another listener count, too.
      yield* Effect.scoped(
        Effect.gen(function* () {
          const wires = [yield* MemoryServer.wire("beside"), yield* MemoryServer.wire("beside")]
          assert.strictEqual(wires.length, 2)
          assert.deepStrictEqual(transport.asked, ["pause", "resume", "pause"])
        })
      )
      while (transport.asked.length < 4) yield* Effect.yieldNow
      assert.deepStrictEqual(transport.asked, ["pause", "resume", "pause", "resume"])
      assert.strictEqual((yield* Context.get(context, Lines).counts).Completed, 2)
    }).pipe(Effect.scoped)
  })

  it.effect("is asked to for connections that are being opened, until they are refused", () => {
    const transport = holding()
    return Effect.gen(function* () {
      yield* serving(transport, (request) => Effect.succeed(Response.make(request.body)), 1)
      const refused = yield* Deferred.make<never, Outcome.Refused>()
      transport.open(Deferred.await(refused))
      assert.deepStrictEqual(transport.asked, ["pause"])
      yield* Deferred.fail(refused, Outcome.refused("no"))
      while (transport.asked.length < 3) yield* Effect.yieldNow
      assert.deepStrictEqual(transport.asked, ["pause", "resume", "destroy"])
    }).pipe(Effect.scoped)
  })

  it.effect("closes first, and ends when the last datagram has been answered", () => {
    const transport = holding()
    const sent: Array<() => void> = []
    return Effect.gen(function* () {
      const context = yield* serving(transport, (request) => Effect.succeed(Response.make(request.body)), 10)
      transport.receive("slow", (_, done) => void sent.push(done))
      while (sent.length < 1) yield* Effect.yieldNow
      const stop = yield* Effect.forkScoped(Context.get(context, Lines).shutdown, { startImmediately: true })
      assert.deepStrictEqual(transport.asked, ["close"])
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      assert.deepStrictEqual(transport.asked, ["close"])
      sent[0]!()
      while (stop.pollUnsafe() === undefined) yield* Effect.yieldNow
      assert.deepStrictEqual(transport.asked, ["close", "ended"])
    }).pipe(Effect.scoped)
  })

  it.effect("interrupts what is being opened when the server stops", () => {
    const transport = holding()
    const interrupted = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const context = yield* serving(transport, (request) => Effect.succeed(Response.make(request.body)), 10)
      transport.open(Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)))
      const stop = yield* Effect.forkScoped(Context.get(context, Lines).shutdown, { startImmediately: true })
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      assert.notInclude(transport.asked, "destroy")
      // It has a moment, as it may have begun.
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stop)
      yield* Deferred.await(interrupted)
      assert.include(transport.asked, "destroy")
    }).pipe(Effect.scoped)
  })

  it.effect.each([
    { what: "dies", verify: () => Effect.die("broken") },
    { what: "is interrupted", verify: () => Effect.interrupt },
    { what: "is interrupted later", verify: () => Effect.andThen(Effect.yieldNow, Effect.interrupt) }
  ])("refuses what a verify that $what was asked about, and makes room", ({ verify }) => {
    const transport = holding()
    return Effect.gen(function* () {
      const options = { verify, maxConnections: 1 }
      const server = Context.get(yield* Layer.build(Transport.layer(Lines, options, transport.listen)), Lines)
      for (let refused = 1; refused < 3; refused++) {
        transport.receive("one")
        while (transport.asked.length < 2 * refused) yield* Effect.yieldNow
        assert.strictEqual((yield* server.counts).Refused, refused)
      }
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  })

  it.effect("gives an outcome to what comes as a stop begins and is still being verified", () => {
    const transport = holding()
    const interrupted = Deferred.makeUnsafe<void>()
    const verify = () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
    return Effect.gen(function* () {
      const server = Context.get(yield* Layer.build(Transport.layer(Lines, { verify }, transport.listen)), Lines)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      transport.receive("late")
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(stop)).counts.Refused, 1)
      yield* Deferred.await(interrupted)
    }).pipe(Effect.scoped)
  })

  it.effect("is asked to also where there is no room before all listeners are bound", () => {
    const transport = holding()
    const slow: Transport.Listen = (sink) => {
      transport.receive("one")
      return MemoryServer.listen("slow")(sink)
    }
    return Effect.gen(function* () {
      yield* Layer.build(Transport.layer(Lines, { maxConnections: 1 }, [transport.listen, slow]))
      assert.deepStrictEqual(transport.asked, ["pause"])
    }).pipe(Effect.scoped)
  })
})

describe("a stream of datagrams", () => {
  it.effect.each([
    { what: "short", message: "x" },
    { what: "empty", message: "" }
  ])("of $what messages does not get ahead of a transport that sends slowly", ({ message }) => {
    const transport = holding()
    const unsent: Array<() => void> = []
    let sent = 0
    const endless = Stream.forever(Stream.fromArray(Array.from({ length: 100_000 }, () => message)))
    return Effect.gen(function* () {
      const context = yield* serving(transport, () => Effect.succeed(Response.stream(endless)), 2)
      transport.receive("go", (_, done) => {
        sent++
        unsent.push(() => done())
      })
      const turns = Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* turns
      const first = sent
      assert.isBelow(first, 2_000)
      // All but one of them leave.
      for (const done of unsent.splice(1)) done()
      yield* turns
      assert.strictEqual(sent, first)
      for (const done of unsent.splice(0)) done()
      yield* turns
      assert.strictEqual(sent, 2 * first)
      const server = Context.get(context, Lines)
      yield* Effect.forkScoped(server.shutdown)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* server.counts).Drained, 1)
    }).pipe(Effect.scoped)
  })

  it.effect.each([
    { when: "at once", soon: (f: () => void) => f() },
    { when: "in the same turn", soon: (f: () => void) => process.nextTick(f) }
  ])("leaves others their turns where what is sent leaves $when", ({ soon }) => {
    const transport = holding()
    let sent = 0
    const endless = Stream.forever(Stream.fromArray(Array.from({ length: 10_000 }, () => "x")))
    return Effect.gen(function* () {
      yield* serving(transport, () => Effect.succeed(Response.stream(endless)), 2)
      transport.receive("go", (_, done) => {
        // Without an end the test could only hang.
        if (++sent < 100_000) soon(() => done())
        else done(Outcome.undelivered("PeerGone"))
      })
      const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      while (sent === 0) yield* turn
      yield* turn
      assert.isBelow(sent, 10_000)
      while (sent < 100_000) yield* turn
    }).pipe(Effect.scoped)
  })
})
