import { assert, describe, it, vi } from "@effect/vitest"
import { MemoryServer, Policy, Protocol, Response, Server } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import type * as Laness from "../src/internal/lanes.ts"
import { turn } from "./support/turns.ts"

// Not exported, as it should be: a test alone looks at them.
const { Lane, Queue } = await vi.importActual<typeof Laness>("../src/internal/lanes.ts")

/** Requests called `name#connection@peer`, and how one of them is settled. */
const requests = () => {
  const connections = new Map<string, object>()
  const all = new Map<string, { settled?: unknown; waitsIn?: { left(): void } | undefined }>()
  const of = (name: string) => {
    const [, connection, host] = name.split(/[#@]/)
    if (!connections.has(connection!)) connections.set(connection!, {})
    const request: { settled?: unknown; waitsIn?: { left(): void } | undefined } & object = {
      name,
      connection: connections.get(connection!),
      peer: { name: `${host}:1`, transport: "tcp" }
    } as never
    all.set(name, request)
    return request as never
  }
  const settle = (name: string) => {
    const request = all.get(name)!
    request.settled = "cancelled"
    request.waitsIn?.left()
  }
  return { of, settle }
}
const nameOf = (request: unknown): string | undefined => (request as { readonly name: string } | undefined)?.name
const drained = (waiting: { shift: () => unknown }): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (let name = nameOf(waiting.shift()); name !== undefined; name = nameOf(waiting.shift())) names.push(name)
  return names
}

describe("what waits behind a key", () => {
  it("has turns: peers, and in those of a peer its connections, each in its own order", () => {
    const { of } = requests()
    const lane = new Lane<never>("key")
    for (const name of ["1#a@10.0.0.1", "2#a@10.0.0.1", "3#a@10.0.0.1", "1#b@10.0.0.1", "1#c@10.0.0.2", "2#c@10.0.0.2"])
      lane.push(of(name))
    const order = ["1#a@10.0.0.1", "1#c@10.0.0.2", "1#b@10.0.0.1", "2#c@10.0.0.2", "2#a@10.0.0.1", "3#a@10.0.0.1"]
    assert.deepStrictEqual(drained(lane), order)
    // And anew.
    lane.push(of("4#a@10.0.0.1"))
    assert.deepStrictEqual(drained(lane), ["4#a@10.0.0.1"])
  })

  it("knows whether others wait than those of a connection", () => {
    const { of, settle } = requests()
    const lane = new Lane<never>("key")
    const first = of("1#a@10.0.0.1")
    assert.isFalse(lane.othersWait(first))
    lane.push(of("2#a@10.0.0.1"))
    assert.isFalse(lane.othersWait(first))
    lane.push(of("1#b@10.0.0.1"))
    assert.isTrue(lane.othersWait(first))
    settle("1#b@10.0.0.1")
    assert.isFalse(lane.othersWait(first))
    assert.isTrue(lane.othersWait(of("2#b@10.0.0.1")))
    assert.deepStrictEqual(drained(lane), ["2#a@10.0.0.1"])
    assert.isFalse(lane.othersWait(of("3#b@10.0.0.1")))
  })

  for (const [what, make] of [
    ["a lane", () => new Lane<never>("key")],
    ["a queue", () => new Queue<never>("key")]
  ] as const) {
    it(`leaves out, and lets go of, what has its outcome before (${what})`, () => {
      const { of, settle } = requests()
      const waiting = make()
      const names = Array.from({ length: 100 }, (_, i) => `${i}#a@10.0.0.1`)
      for (const name of names) waiting.push(of(name))
      assert.strictEqual(nameOf(waiting.shift()), names[0])
      for (const [i, name] of names.entries()) if (i > 0 && i % 4 !== 0) settle(name)
      const kept = JSON.stringify([...held(waiting)])
      assert.isAtMost(kept.split("#a").length - 1, 2 * 24 + 1)
      for (const name of names.slice(96)) if (name !== names[96]) assert.notInclude(kept, name)
      assert.deepStrictEqual(
        drained(waiting),
        names.filter((_, i) => i > 0 && i % 4 === 0)
      )
    })

    it(`keeps nothing where all have left (${what})`, () => {
      const { of, settle } = requests()
      const waiting = make()
      for (let i = 0; i < 10; i++) waiting.push(of(`${i}#a@10.0.0.1`))
      for (let i = 0; i < 10; i++) settle(`${i}#a@10.0.0.1`)
      assert.deepStrictEqual([...held(waiting)], [])
      assert.isUndefined(waiting.shift())
      waiting.push(of("next#a@10.0.0.1"))
      assert.deepStrictEqual(drained(waiting), ["next#a@10.0.0.1"])
    })
  }

  it("grows with those that wait, not with those that have come and gone", () => {
    const { of, settle } = requests()
    const lane = new Lane<never>("key")
    lane.push(of("first#stays@10.0.0.9"))
    for (let i = 0; i < 10_000; i++) {
      lane.push(of(`1#${i}@10.0.${i % 200}.1`))
      settle(`1#${i}@10.0.${i % 200}.1`)
      assert.isAtMost((lane as unknown as { readonly rounds: { readonly size: number } }).rounds.size, 64)
    }
    assert.deepStrictEqual(drained(lane), ["first#stays@10.0.0.9"])
    assert.deepStrictEqual([...held(lane)], [])
  })
})

/** What is kept of requests, in whatever there is below. */
function* held(of: unknown, seen = new Set<unknown>()): Generator<string> {
  if (typeof of !== "object" || of === null || seen.has(of)) return
  seen.add(of)
  const name = (of as { readonly name?: unknown }).name
  if (typeof name === "string") yield name
  else if (of instanceof Map) for (const [, value] of of) yield* held(value, seen)
  else for (const value of Object.values(of)) yield* held(value, seen)
}

describe("a request whose key many others have", () => {
  class Words extends Server.Service<Words>()("Words", { protocol: Protocol.lines(), key: () => "the same" }) {}

  for (const [over, layer] of [
    ["connections", MemoryServer.layer],
    ["datagrams", MemoryServer.layerDatagrams]
  ] as const) {
    it.effect(`waits for one of each, not for all of theirs (${over})`, () =>
      Effect.gen(function* () {
        const begun: Array<string> = []
        const live = Words.serve(
          ({ body }) => {
            begun.push(body)
            return Effect.as(Effect.sleep("10 millis"), Response.make(body))
          },
          { policy: Policy.keyed() }
        )
        yield* Effect.gen(function* () {
          const write = (client: Effect.Success<typeof Words.rawClient>, line: string) =>
            client.write(new TextEncoder().encode(line))
          const hogs = yield* Effect.forEach(Array.from({ length: 10 }), () => Words.rawClient)
          const other = yield* Words.rawClient
          for (const [i, hog] of hogs.entries()) {
            for (let k = 0; k < 50; k++) yield* write(hog, `hog ${i} ${k}\n`)
          }
          for (let i = 0; i < 20; i++) yield* turn
          yield* write(other, "other\n")
          for (let i = 0; i < 500 && !begun.includes("other"); i++) {
            yield* TestClock.adjust("10 millis")
            for (let k = 0; k < 4; k++) yield* turn
          }
          assert.include(begun, "other")
          assert.isAtMost(begun.indexOf("other"), 13)
          // And those of each in their order.
          for (let i = 0; i < 10; i++) {
            const own = begun.filter((body) => body.startsWith(`hog ${i} `))
            assert.deepStrictEqual(
              own,
              own.map((_, k) => `hog ${i} ${k}`)
            )
          }
        }).pipe(Effect.provide(Layer.provideMerge(live, layer(Words, { drainTimeout: 0 }))))
      })
    )
  }
})
