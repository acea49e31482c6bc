/** What calls over whole connections take counts in what their server may hold for all. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { heldBy, turn, until } from "./support.ts"
import { Whole, WholeLive, worldOf } from "./support/calls.ts"

const utf8 = new TextEncoder()

const held = heldBy(Whole)

const served = (options: MemoryServer.MemoryServerOptions = {}, maxInFlight = 128, world = worldOf()) =>
  WholeLive({ maxInFlight }).pipe(
    Layer.provideMerge(MemoryServer.layer(Whole, { drainTimeout: 0, ...options })),
    Layer.provide(world),
    Layer.provide(Logger.layer([]))
  )

const call = (id: number, tag: string, payload: string) =>
  utf8.encode(`{"_tag":"Request","id":"${id}","tag":"${tag}","payload":null,"headers":[["large","${payload}"]]}\n`)

/** Calls that nobody waits for, as they are sent. */
const unawaited = {
  notification: (_: number, rest: object) => ({ _tag: "Request", id: "", isNotification: true, headers: [], ...rest }),
  "discarded call": (id: number, rest: object) => ({ _tag: "Request", id, discard: true, headers: [], ...rest })
}

const about = (tag: "Interrupt" | "Ack", id: number) => utf8.encode(`{"_tag":"${tag}","requestId":"${id}"}\n`)

const large = "x".repeat(40_000)

/** One asks for more than may be held, and is reset; another goes on. */
const resetsOne = (count: number, message: (id: number) => Uint8Array) =>
  Effect.gen(function* () {
    const server = yield* Whole
    const [many, few] = [yield* Whole.rawClient, yield* Whole.rawClient]
    yield* few.write(call(1, "Never", "x"))
    const ids = Array.from({ length: count }, (_, i) => i + 1)
    yield* Effect.forkScoped(Effect.ignore(Effect.forEach(ids, (id) => many.write(message(id)))))
    yield* until(Effect.map(server.connections, (all) => all.length === 1))
    for (let i = 0; i < 10; i++) yield* turn
    assert.lengthOf(yield* server.connections, 1)
    yield* few.write(utf8.encode(`{"_tag":"Ping"}\n`))
    assert.include(new TextDecoder().decode(yield* few.take), "Pong")
  }).pipe(Effect.scoped)

describe("calls over a whole connection", () => {
  for (const [what, maxInFlight] of [
    ["in flight", 128],
    ["of which one is in flight", 1]
  ] as const) {
    it.live(`count until they have ended: five ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* Whole.rawClient
        const before = yield* held
        for (let id = 1; id <= 5; id++) yield* client.write(call(id, "Never", large))
        // Text takes two bytes for each, as far as anybody knows.
        yield* until(Effect.map(held, (bytes) => bytes - before >= 400_000))
        for (let id = 5; id >= 1; id--) yield* client.write(about("Interrupt", id))
        yield* until(Effect.map(held, (bytes) => bytes - before < 10_000))
      }).pipe(Effect.scoped, Effect.provide(served({ maxBuffered: 4_194_304 }, maxInFlight)))
    )
  }

  it.live("that have the id of one in flight are ignored, whether they have waited or not", () => {
    const gates = new Map<string, Latch.Latch>()
    const gate = (name: string) => {
      const latch = gates.get(name) ?? Latch.makeUnsafe(false)
      gates.set(name, latch)
      return latch
    }
    const gated = (id: number, name: string) =>
      utf8.encode(`{"_tag":"Request","id":${id},"tag":"Gated","payload":{"gate":"${name}"},"headers":[]}\n`)
    return Effect.gen(function* () {
      const client = yield* Whole.rawClient
      const before = yield* held
      const asked = [
        [1, "one"],
        [2, "two"],
        [1, "again"],
        [3, "three"],
        [3, "waited"],
        [4, "four"]
      ] as const
      for (const [id, name] of asked) yield* client.write(gated(id, name))
      // All of them but the one that is ignored at once.
      yield* until(Effect.map(held, (bytes) => bytes - before >= 5 * 4_096))
      let said = ""
      for (const [n, name] of ["one", "two", "three", "four"].entries()) {
        yield* gate(name).open
        while (said.split("\n").length < n + 2) said += new TextDecoder().decode(yield* client.take)
      }
      const answers = said.trim().split("\n")
      assert.deepStrictEqual(
        answers.map((answer) => Number((JSON.parse(answer) as { requestId: unknown }).requestId)),
        [1, 2, 3, 4]
      )
      yield* until(Effect.map(held, (bytes) => bytes - before < 1_000))
      assert.deepStrictEqual([...gates.keys()], ["one", "two", "three", "four"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        served(
          {},
          2,
          worldOf([], (name) => gate(name).await)
        )
      )
    )
  })

  it.live("count by their values, whatever those are made of", () =>
    Effect.gen(function* () {
      const client = yield* Whole.rawClient
      const before = yield* held
      const pairs = Array.from({ length: 20_000 }, () => '["k","v"]').join()
      yield* client.write(
        utf8.encode(`{"_tag":"Request","id":"1","tag":"Never","payload":null,"headers":[${pairs}]}\n`)
      )
      yield* until(Effect.map(held, (bytes) => bytes - before >= 20_000 * 120))
    }).pipe(Effect.scoped, Effect.provide(served({ maxBuffered: 4_194_304 })))
  )

  it.live("that are streams count what waits for acknowledgements, until they have ended", () =>
    Effect.gen(function* () {
      const client = yield* Whole.rawClient
      const before = yield* held
      for (let id = 1; id <= 10; id++) yield* client.write(call(id, "Forever", ""))
      yield* until(Effect.map(held, (bytes) => bytes - before >= 10 * 49_152))
      for (let id = 1; id <= 10; id++) yield* client.write(about("Interrupt", id))
      yield* until(Effect.map(held, (bytes) => bytes - before < 10_000))
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  it.live("keep within maxMemory: the connection that holds most of it is reset, others go on", () =>
    Effect.provide(
      resetsOne(100, (id) => call(id, "Never", large)),
      served({ maxMemory: 4_194_304 })
    )
  )

  for (const [what, message] of Object.entries(unawaited)) {
    const line = (id: number, rest: object) => utf8.encode(`${JSON.stringify(message(id, rest))}\n`)

    it.live(`count until their handlers have ended: each ${what}`, () => {
      const begun: Array<string> = []
      const gates = new Map<string, Latch.Latch>()
      const gate = (name: string) => {
        const latch = gates.get(name) ?? Latch.makeUnsafe(false)
        gates.set(name, latch)
        return latch
      }
      const wait = (name: string) => {
        begun.push(name[0] as string)
        return gate(name[0] as string).await
      }
      return Effect.gen(function* () {
        const client = yield* Whole.rawClient
        const before = yield* held
        for (let id = 1; id <= 5; id++) {
          yield* client.write(line(id, { tag: "Note", payload: { text: `${id}${large}` } }))
        }
        yield* until(Effect.map(held, (bytes) => bytes - before >= 400_000))
        assert.deepStrictEqual(begun, ["1", "2"])
        for (const [open, then] of [
          ["2", "123"],
          ["3", "1234"],
          ["1", "12345"]
        ] as const) {
          yield* gate(open).open
          yield* until(Effect.sync(() => begun.join("") === then))
          for (let i = 0; i < 10; i++) yield* turn
          assert.strictEqual(begun.join(""), then)
        }
        assert.isAbove((yield* held) - before, 160_000)
        yield* Effect.forEach(["4", "5"], (name) => gate(name).open)
        yield* until(Effect.map(held, (bytes) => bytes - before < 1_000))
      }).pipe(Effect.scoped, Effect.provide(served({ maxBuffered: 4_194_304 }, 2, worldOf([], wait))))
    })

    it.live(`keep no place however they end: each ${what}`, () =>
      Effect.gen(function* () {
        const client = yield* Whole.rawClient
        const before = yield* held
        const all = [
          { tag: "Note", payload: { text: "short" } },
          { tag: "Fail", payload: { why: "so" } },
          { tag: "Die", payload: { of: "it" } },
          { tag: "Count", payload: { to: 100 } },
          { tag: "UserName", payload: null },
          { tag: "Note", payload: { text: 1 } },
          { tag: "Nothing", payload: null }
        ]
        let said = ""
        for (const [id, each] of all.entries()) {
          yield* client.write(line(id, each))
          yield* client.write(utf8.encode(`{"_tag":"Ping"}\n`))
          while (said.split("Pong").length < id + 2) said += new TextDecoder().decode(yield* client.take)
        }
        yield* until(Effect.map(held, (bytes) => bytes - before < 1_000))
        const exits = said.split('"Exit"').length - 1
        assert.strictEqual(exits, what === "notification" ? 0 : all.length, said)
      }).pipe(Effect.scoped, Effect.provide(served({}, 1)))
    )

    it.live(`keep within maxMemory: each ${what} without end`, () =>
      Effect.provide(
        resetsOne(1_000, (id) => line(id, { tag: "Never", payload: null, headers: [["large", "y".repeat(10_000)]] })),
        served({ maxMemory: 1_048_576 }, 10_000)
      )
    )
  }
})
