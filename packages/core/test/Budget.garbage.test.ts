/** What was let go of is memory until garbage is collected. */
import { assert, describe, it } from "@effect/vitest"
import { Protocol, Response, Server } from "@socketserver/core"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { vi } from "vitest"
import type * as Budgets from "../src/internal/budget.ts"
import { listener, Scripted, turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

// Not exported, as it should be: a test alone looks at it.
const { Budget } = await vi.importActual<typeof Budgets>("../src/internal/budget.ts")

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const mebi = 1_024 * 1_024

/** A budget of a thousand bytes on a clock that passes by hand, where collecting takes so long, if it can be done. */
const budgeted = (takes?: number, maxMemory = 1_000) => {
  let now = 0
  let collected = 0
  const collectGarbage = () => {
    collected++
    now += takes ?? 0
  }
  const budget = new Budget({
    now: () => now,
    limits: { maxMemory, collectGarbage: takes === undefined ? undefined : collectGarbage },
    limitLog: { reached: () => {} } as never,
    tick: { soon: (f) => f(), run: (f) => f() },
    afterTick: (f) => f(),
    after: () => {}
  })
  return {
    budget,
    collected: () => collected,
    /** One is reset that holds so much. */
    resets: (charged: number) => budget.refuse({ charged, evict: () => {} } as Budgets.Holder),
    passes: (millis: number) => {
      now += millis
    }
  }
}

describe("what a connection held as it ended", () => {
  const maxMemory = 32 * mebi

  it("is collected once it is half of maxMemory, where it is much", () => {
    const { budget, collected } = budgeted(20, maxMemory)
    const ends = (charged: number) => budget.leave({ charged } as Budgets.Holder)
    for (let i = 0; i < 10_000; i++) ends(16 * 1_024 - 1)
    for (let i = 0; i < 1_024; i++) ends(16 * 1_024)
    assert.strictEqual(collected(), 0)
    ends(16 * 1_024)
    assert.strictEqual(collected(), 1)
  })

  it("is collected after all that are reset together, and counts once", () => {
    const { budget, collected } = budgeted(20, maxMemory)
    const evicted: Array<number> = []
    const all = Array.from({ length: 10 }, (_, i) => ({
      charged: 10 * mebi,
      isStuck: false,
      stuckSince: undefined,
      account: () => {},
      goOn: () => {},
      evict: () => {
        evicted.push(collected())
        budget.leave(all[i]!)
        budget.change(-10 * mebi)
        all[i]!.charged = -1
      }
    }))
    budget.watch({ size: 10, all: all.map((holding) => ({ holding })) }, () => {})
    budget.change(100 * mebi)
    assert.deepStrictEqual(evicted, [0, 0, 0, 0, 0, 0, 0, 0])
    assert.strictEqual(collected(), 1)
    budget.refuse({ charged: 16 * mebi, evict: () => budget.leave({ charged: 16 * mebi } as Budgets.Holder) } as never)
    assert.strictEqual(collected(), 1)
  })

  it("is left to an engine that comes first, where more may be held", () => {
    const { budget, collected } = budgeted(20, 128 * mebi + 1)
    for (let i = 0; i < 1_000; i++) budget.leave({ charged: mebi } as Budgets.Holder)
    assert.strictEqual(collected(), 0)
  })

  it.effect("is what datagrams of a server were that have been answered", () =>
    Effect.gen(function* () {
      let collected = 0
      const options = Transport.withFound(
        { maxConnections: 100, maxMemory: "1MiB" },
        { collectGarbage: () => void collected++ }
      )
      const { listen, receive } = listener()
      const echo = Lines.serve(({ body }) => Effect.succeed(Response.make(body)))
      yield* Layer.build(Layer.provideMerge(echo, Transport.layer(Lines, options, listen)))
      let answered = 0
      const data = new TextEncoder().encode("x".repeat(60_000))
      for (let i = 0; i < 20; i++) {
        const peer = Peer.make({ transport: "memory", name: `peer-${i}` })
        const reply = (_: Uint8Array, sent: () => void) => {
          answered++
          sent()
        }
        receive({ data, peer, listener: Endpoint.memory("scripted"), reply })
        yield* turns
      }
      assert.strictEqual(answered, 20)
      // Each counts with the text that was made of it, so five are more than half.
      assert.strictEqual(collected, 4)
    })
  )
})

describe("what was reset", () => {
  it("is collected once it is half of maxMemory", () => {
    const { collected, resets } = budgeted(20)
    resets(400)
    resets(100)
    assert.strictEqual(collected(), 0)
    resets(1)
    assert.strictEqual(collected(), 1)
    resets(500)
    assert.strictEqual(collected(), 1)
  })

  it("is collected once for all that are reset together, after them", () => {
    const { budget, collected } = budgeted(20)
    const evicted: Array<number> = []
    const all = Array.from({ length: 10 }, (_, i) => ({
      charged: 300,
      isStuck: false,
      stuckSince: undefined,
      account: () => {},
      goOn: () => {},
      evict: () => {
        evicted.push(collected())
        budget.change(-300)
        all[i]!.charged = -1
      }
    }))
    budget.watch({ size: 10, all: all.map((holding) => ({ holding })) }, () => {})
    budget.change(3_000)
    // Down to nine tenths of what may be held.
    assert.deepStrictEqual(evicted, [0, 0, 0, 0, 0, 0, 0])
    assert.strictEqual(collected(), 1)
  })

  it.each([
    { takes: 50, rests: 50 },
    { takes: 51, rests: 459 }
  ])("is collected again $rests ms after that has taken $takes ms", ({ rests, takes }) => {
    const { collected, passes, resets } = budgeted(takes)
    resets(600)
    passes(rests - 1)
    resets(600)
    assert.strictEqual(collected(), 1)
    passes(1)
    resets(1)
    assert.strictEqual(collected(), 2)
  })

  it("stays where the engine cannot be asked, and where nothing was held", () => {
    const { collected, resets } = budgeted()
    resets(3_000)
    assert.strictEqual(collected(), 0)
    const ended = budgeted(20)
    for (let i = 0; i < 1_000; i++) ended.resets(-1)
    ended.resets(500)
    assert.strictEqual(ended.collected(), 0)
    ended.resets(1)
    assert.strictEqual(ended.collected(), 1)
  })

  it.effect("is collected by a server whose transport knows how", () => {
    const [, logging] = logs()
    return Effect.gen(function* () {
      let collected = 0
      const { accept, listen } = listener()
      const options = Transport.withFound(
        { maxConnections: 100, maxMemory: "300KiB" },
        { maxConnections: 1, collectGarbage: () => void collected++ }
      )
      const never = Lines.serve(({ body }) => (body === "" ? Effect.succeed(Response.empty) : Effect.never))
      yield* Layer.build(Layer.provideMerge(never, Transport.layer(Lines, options, listen)))
      const wires = Array.from({ length: 4 }, () => new Scripted())
      for (const wire of wires) accept(wire)
      for (const wire of wires) wire.data(`${"x".repeat(45 * 1_024)}\n`)
      yield* turns
      assert.isTrue(wires.some((wire) => wire.asked().includes("reset")))
      assert.strictEqual(collected, 1)
    }).pipe(Effect.provide(logging))
  })
})
