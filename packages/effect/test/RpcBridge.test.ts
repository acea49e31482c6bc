import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Server from "@socketserver/core/Server"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as RpcBridge from "../src/RpcBridge.ts"
import { AuthenticatedLive, Calls, CallsLive, Each, EachLive, Whole, WholeLive, worldOf } from "./support/calls.ts"
import { clientOver, type Playable, served, socketOf } from "./support/clients.ts"

/** Gates that a test opens, and what has happened behind them. */
const world = () => {
  const gates = new Map<string, Deferred.Deferred<void>>()
  const notes: Array<string> = []
  const gate = (name: string) => {
    const known = gates.get(name) ?? Deferred.makeUnsafe<void>()
    gates.set(name, known)
    return known
  }
  const layer = worldOf(notes, (name) => (name.startsWith("gate") ? Deferred.await(gate(name)) : Effect.void))
  return { notes, layer, open: (name: string) => Deferred.succeed(gate(name), undefined) }
}

/** Lets everything happen that is ready to. */
const turns = Effect.repeat(Effect.yieldNow, { times: 50 })

/** Waits for what happens in some turns. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.yieldNow, until(condition))))

interface Way {
  readonly way: string
  readonly tag: Playable
  readonly serve: (options?: RpcBridge.ServeOptions) => Layer.Layer<never, unknown, never>
}

const ways: readonly [Way, Way] = [
  { way: "connections", tag: Whole, serve: WholeLive as never },
  { way: "calls", tag: Each, serve: EachLive as never }
]

/** What a program of a test has. */
const playing = (
  { serve, tag }: Pick<Way, "serve" | "tag">,
  options: MemoryServer.MemoryServerOptions = {},
  serving: RpcBridge.ServeOptions = {}
) =>
  Effect.gen(function* () {
    const { layer, notes, open } = world()
    const live = Layer.provide(serve(serving), layer)
    const { raw, server } = yield* served(tag, live, (tag) => MemoryServer.layer(tag, options))
    return { client: clientOver(socketOf(raw)), raw, server, notes, open }
  })

const counts = (server: Server.Server<never, never>) =>
  Effect.map(server.counts, (all) => Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0)))

describe.each(ways)("a group of RPCs, served as $way", (way) => {
  it.effect("answers, fails, dies, and goes on", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(way)
      const rpc = yield* client
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
      assert.strictEqual(yield* Effect.flip(rpc.Fail({ why: "so" })), "so")
      const died = yield* Effect.exit(rpc.Die({ of: "boredom" }))
      assert.isTrue(Exit.hasDies(died))
      assert.include(Cause.pretty((died as Exit.Failure<never, unknown>).cause), "boredom")
      assert.deepStrictEqual(
        yield* Effect.all([rpc.Add({ a: 2, b: 2 }), rpc.Add({ a: 3, b: 2 })], { concurrency: "unbounded" }),
        [4, 5]
      )
    })
  )

  it.effect("streams, as fast as the client takes it", () =>
    Effect.gen(function* () {
      const { client, notes } = yield* playing(way)
      const rpc = yield* client
      const all = yield* Stream.runCollect(rpc.Count({ to: 1_000 }))
      assert.deepStrictEqual(
        all,
        Array.from({ length: 1_000 }, (_, i) => i + 1)
      )
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(rpc.Forever(), 1)), [1])
      yield* turns
      assert.deepStrictEqual(notes, ["forever ended"])
    })
  )

  it.effect("interrupts a call whose client does", () =>
    Effect.gen(function* () {
      const { client, notes } = yield* playing(way)
      const rpc = yield* client
      const fiber = yield* Effect.forkChild(rpc.Never(), { startImmediately: true })
      yield* turns
      assert.deepStrictEqual(notes, ["never begun"])
      yield* Fiber.interrupt(fiber)
      yield* turns
      assert.deepStrictEqual(notes, ["never begun", "never interrupted"])
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 1 }), 2)
    })
  )

  it.effect("interrupts the calls of a client that is gone, and no others", () =>
    Effect.gen(function* () {
      const { client, notes, open, server } = yield* playing(way)
      const other = yield* client
      const others = yield* Effect.forkChild(other.Gated({ gate: "gate" }), { startImmediately: true })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const rpc = yield* client
          yield* Effect.forkChild(rpc.Never(), { startImmediately: true })
          yield* Effect.forkChild(Stream.runDrain(rpc.Forever()), { startImmediately: true })
          yield* turns
        })
      )
      // Whether it is gone, or has only half-closed, shows when it is written to.
      yield* turns
      yield* TestClock.adjust("5 seconds")
      yield* until(() => notes.includes("never interrupted") && notes.includes("forever ended"))
      yield* open("gate")
      assert.strictEqual(yield* Fiber.join(others), "gate")
      assert.strictEqual((yield* server.connections).length, 1)
    })
  )

  it.effect("keeps clients apart that use the same ids", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(way)
      const clients = yield* Effect.all([client, client, client])
      const sums = yield* Effect.forEach(
        clients.flatMap((rpc, i) => [1, 2, 3].map((n) => rpc.Add({ a: i * 10, b: n }))),
        (call) => call,
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(sums, [1, 2, 3, 11, 12, 13, 21, 22, 23])
    })
  )

  it.effect("runs middleware, which may refuse", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(way)
      const rpc = yield* client
      assert.strictEqual(yield* rpc.UserName(undefined, { headers: { user: "ann" } }), "ann")
      assert.strictEqual(yield* Effect.flip(rpc.UserName()), "who are you?")
    })
  )

  it.effect("does calls whose answer nobody wants", () =>
    Effect.gen(function* () {
      const { client, server } = yield* playing(way)
      const rpc = yield* client
      yield* rpc.Note({ text: "discarded" }, { discard: true })
      yield* turns
      assert.deepStrictEqual(yield* rpc.Notes(), ["discarded"])
      if (way.way === "calls") assert.deepStrictEqual(yield* counts(server), { Completed: 2 })
    })
  )

  it.effect("shows handlers who asks", () =>
    Effect.gen(function* () {
      const { client } = yield* playing(way, { name: "who" })
      const rpc = yield* client
      const { listener, peer } = yield* rpc.WhoAmI()
      assert.deepStrictEqual([listener, peer], ["memory:who", "memory:who#1"])
    })
  )

  it.effect("answers pings, and reads interrupts, while as many calls run as may", () =>
    Effect.gen(function* () {
      const { client, notes, open, raw } = yield* playing(way, { maxPipelined: 2 }, { maxInFlight: 2 })
      const wire = yield* raw
      const text = new TextDecoder()
      const send = (...messages: ReadonlyArray<object>) =>
        wire.write(new TextEncoder().encode(messages.map((message) => `${JSON.stringify(message)}\n`).join("")))
      const call = (id: number, tag: string, payload: unknown = null) => ({
        _tag: "Request",
        id,
        tag,
        payload,
        headers: []
      })
      const take = Effect.map(wire.pull, (chunks) =>
        chunks
          .map((chunk) => text.decode(chunk))
          .join("")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      )
      const ping = { _tag: "Ping" }
      yield* send(call(1, "Never"), call(2, "Gated", { gate: "gate a" }), call(3, "Add", { a: 1, b: 1 }), ping)
      assert.deepStrictEqual(yield* take, [{ _tag: "Pong" }])
      assert.deepStrictEqual(notes, ["never begun"])
      yield* send(ping, { _tag: "Interrupt", requestId: 1 }, ping)
      const said: Array<{ readonly _tag: string; readonly requestId?: number }> = []
      while (said.length < 4) said.push(...(yield* take))
      assert.deepStrictEqual(said.map(({ _tag, requestId }) => `${_tag} ${requestId ?? ""}`).sort(), [
        "Exit 1",
        "Exit 3",
        "Pong ",
        "Pong "
      ])
      yield* open("gate a")
      assert.deepStrictEqual(
        (yield* take).map(({ requestId }) => requestId),
        [2]
      )
      yield* client
    })
  )

  it.effect("loses none of 20 calls and 5 streams to a stop, whose client pings meanwhile", () =>
    Effect.gen(function* () {
      const { client, open, server } = yield* playing(way, { drainTimeout: "1 minute" })
      const rpc = yield* client
      const calls = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) => Effect.forkChild(rpc.Gated({ gate: `gate ${i}` }), { startImmediately: true })
      )
      const streams = yield* Effect.forEach([1, 2, 3, 4, 5], (i) =>
        Effect.forkChild(Stream.runCollect(rpc.GatedStream({ gate: `gate s${i}`, each: 3 })), {
          startImmediately: true
        })
      )
      yield* turns
      for (let i = 1; i <= 5; i++) yield* open(`gate s${i}1`)
      yield* turns
      const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      // Pings come every five seconds, and one that is not answered ends the client.
      for (let i = 0; i < 3; i++) yield* Effect.andThen(TestClock.adjust(5_000), turns)
      for (let i = 0; i < 20; i++) yield* open(`gate ${i}`)
      for (let i = 1; i <= 5; i++) yield* Effect.andThen(open(`gate s${i}2`), open(`gate s${i}3`))
      assert.deepStrictEqual(
        yield* Effect.forEach(calls, Fiber.join),
        Array.from({ length: 20 }, (_, i) => `gate ${i}`)
      )
      assert.deepStrictEqual(
        yield* Effect.forEach(streams, Fiber.join),
        Array.from({ length: 5 }, () => [1, 2, 3])
      )
      const report = yield* Fiber.join(stopping)
      assert.deepStrictEqual([report.interrupted, report.completed], [0, way.way === "calls" ? 25 : 1])
    })
  )

  it.effect("answers all that a client has asked for that half-closes, streams too", () =>
    Effect.gen(function* () {
      const { open, raw } = yield* playing(way)
      const wire = yield* raw
      const lines = [
        { _tag: "Request", id: 1, tag: "Count", payload: { to: 3 }, headers: [] },
        { _tag: "Request", id: 2, tag: "Gated", payload: { gate: "gate" }, headers: [] },
        { _tag: "Request", id: 3, tag: "GatedStream", payload: { gate: "s", each: 3 }, headers: [] }
      ]
      yield* wire.write(new TextEncoder().encode(lines.map((line) => `${JSON.stringify(line)}\n`).join("")))
      yield* wire.end
      yield* turns
      yield* open("gate")
      const said = yield* Stream.runFold(
        wire.stream,
        () => "",
        (all, chunk) => all + new TextDecoder().decode(chunk)
      )
      const exits = said
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
        .filter(({ _tag }) => _tag === "Exit")
      assert.deepStrictEqual(exits.map(({ exit, requestId }) => [requestId, exit._tag]).sort(), [
        [1, "Success"],
        [2, "Success"],
        [3, "Success"]
      ])
    })
  )

  it.effect("takes what strangers send for what it is, and answers others", () =>
    Effect.gen(function* () {
      const { client, raw } = yield* playing(way)
      const rpc = yield* client
      const odd = [
        "null",
        "[]",
        "1",
        '"x"',
        "{}",
        '{"_tag":"Request"}',
        '{"_tag":"Request","id":1,"tag":"Add","headers":1}',
        '{"_tag":"Request","id":1,"tag":"Add","headers":[[1,2]]}',
        '{"_tag":"Request","id":{},"tag":"Add","headers":[]}',
        '{"_tag":"Ack"}',
        '{"_tag":"Interrupt","requestId":[]}',
        '{"_tag":"Exit"}',
        '{"_tag":"toString"}',
        '{"_tag":"Request","id":1,"tag":"Add","payload":{},"headers":[],"spanId":1}',
        "{"
      ]
      for (const line of odd) {
        const wire = yield* raw
        yield* wire.write(new TextEncoder().encode(`${line}\n{"_tag":"Ping"}\n`))
        assert.strictEqual(yield* Stream.runCount(wire.stream), 0, line)
      }
      // What is well-formed, and wrong, is answered.
      for (const line of [
        '{"_tag":"Request","id":1,"tag":"Nothing","payload":{},"headers":[]}',
        '{"_tag":"Request","id":1,"tag":"__proto__","payload":{},"headers":[]}',
        '{"_tag":"Request","id":1,"tag":"Add","payload":{"a":"x"},"headers":[]}',
        '{"_tag":"Interrupt","requestId":9}\n{"_tag":"Ack","requestId":9}\n{"_tag":"Ping"}'
      ]) {
        const wire = yield* raw
        yield* wire.write(new TextEncoder().encode(`${line}\n`))
        yield* wire.end
        assert.isAbove(yield* Stream.runCount(wire.stream), 0, line)
      }
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
    })
  )
})

describe("a group of RPCs, served as calls", () => {
  it.effect("counts each call, and a defect costs its own alone", () =>
    Effect.gen(function* () {
      const { client, open, server } = yield* playing(ways[1])
      const rpc = yield* client
      const gated = yield* Effect.forkChild(rpc.Gated({ gate: "gate" }), { startImmediately: true })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(rpc.Die({ of: "boredom" }))))
      yield* open("gate")
      assert.strictEqual(yield* Fiber.join(gated), "gate")
      yield* turns
      assert.deepStrictEqual(yield* counts(server), { Completed: 2 })
    })
  )

  it.effect("gives the places of streams that nobody acknowledges to others", () =>
    Effect.gen(function* () {
      const { client, raw } = yield* playing(ways[1], {}, { policy: Policy.fiber({ max: 2 }) })
      const wire = yield* raw
      const stream = (id: number) =>
        `${JSON.stringify({ _tag: "Request", id, tag: "Count", payload: { to: 1e9 }, headers: [] })}\n`
      yield* wire.write(utf8([1, 2, 3, 4, 5].map(stream).join("")))
      const rpc = yield* client
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
    })
  )

  it.effect("waits at a stop for a call that was discarded", () =>
    Effect.gen(function* () {
      const { client, notes, open, server } = yield* playing(ways[1])
      const rpc = yield* client
      yield* rpc.Note({ text: "gate n" }, { discard: true })
      const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      yield* turns
      yield* open("gate n")
      const report = yield* Fiber.join(stopping)
      assert.deepStrictEqual([report.completed, report.interrupted, notes], [1, 0, []])
    })
  )

  it.effect("ends notifications of what is a stream, or fails, as well", () =>
    Effect.gen(function* () {
      const { raw, server } = yield* playing(ways[1])
      const wire = yield* raw
      const note = (tag: string, payload: unknown) =>
        `${JSON.stringify({ _tag: "Request", id: "", isNotification: true, tag, payload, headers: [] })}\n`
      const all = [
        note("Count", { to: 100 }),
        note("Fail", { why: "so" }),
        note("Die", { of: "it" }),
        note("UserName", null),
        note("Note", { text: 1 }),
        note("Nothing", null)
      ]
      yield* wire.write(new TextEncoder().encode(`${all.join("")}{"_tag":"Ping"}\n`))
      assert.strictEqual(text((yield* wire.pull)[0]), '{"_tag":"Pong"}\n')
      yield* turns
      assert.deepStrictEqual(yield* counts(server), { Completed: 6 })
    })
  )

  it.effect("counts notifications", () =>
    Effect.gen(function* () {
      const { client, raw, server } = yield* playing(ways[1])
      const wire = yield* raw
      const note = (text: string) =>
        `${JSON.stringify({ _tag: "Request", id: "", isNotification: true, tag: "Note", payload: { text }, headers: [] })}\n`
      yield* wire.write(new TextEncoder().encode(note("one") + note("two")))
      yield* turns
      const rpc = yield* client
      assert.deepStrictEqual(yield* rpc.Notes(), ["one", "two"])
      yield* turns
      assert.deepStrictEqual(yield* counts(server), { Completed: 3 })
    })
  )
})

describe("JSON-RPC", () => {
  class Connections extends Server.Service<Connections>()("Connections", {
    protocol: RpcBridge.connection({ serialization: "json-rpc" })
  }) {}
  class Requests extends Server.Service<Requests>()("Requests", {
    protocol: RpcBridge.protocol(Calls, { serialization: "json-rpc" })
  }) {}

  it.effect.each([
    { way: "connections", tag: Connections as Playable, serve: () => RpcBridge.serve(Calls, Connections) as never },
    { way: "calls", tag: Requests as Playable, serve: () => RpcBridge.serve(Calls, Requests) as never }
  ])("is spoken by $way, with Effect's own client and by hand", ({ serve, tag }) =>
    Effect.gen(function* () {
      const behind = Layer.mergeAll(CallsLive, AuthenticatedLive)
      const { raw } = yield* playing({ tag, serve: () => Layer.provide(serve(), behind) as never })
      const rpc = yield* clientOver(socketOf(raw), RpcSerialization.layerNdJsonRpc())
      assert.strictEqual(yield* rpc.Add({ a: 1, b: 2 }), 3)
      assert.deepStrictEqual(yield* Stream.runCollect(rpc.Count({ to: 3 })), [1, 2, 3])
      const wire = yield* raw
      yield* wire.write(utf8('{"jsonrpc":"2.0","id":7,"method":"Add","params":{"a":2,"b":2}}\n'))
      assert.deepStrictEqual(JSON.parse(text((yield* wire.pull)[0])), { jsonrpc: "2.0", id: 7, result: 4 })
      for (const odd of ['[{"jsonrpc":"2.0","id":7,"method":"Add"}]', "{", "1", '{"jsonrpc":"2.0","method":1}']) {
        const other = yield* raw
        yield* other.write(utf8(`${odd}\n`))
        assert.strictEqual(yield* Stream.runCount(other.stream), 0, odd)
      }
    })
  )
})

const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
