import { assert, describe, it, vi } from "@effect/vitest"
import * as Scheduler from "effect/Scheduler"
import type * as Ticks from "../src/internal/tick.ts"

const { Tick } = await vi.importActual<typeof Ticks>("../src/internal/tick.ts")

describe("a turn", () => {
  it("in which something throws ends all the same, and those that follow flush what they have", () => {
    const tick = new Tick(new Scheduler.MixedScheduler())
    const flushed: Array<string> = []
    const writes = (what: string) => tick.mark({ flush: () => void flushed.push(what) })
    assert.throws(() =>
      tick.run(() => {
        writes("before")
        throw new Error("a transport's event threw")
      })
    )
    assert.deepStrictEqual(flushed, ["before"])
    tick.run(() => writes("after"))
    assert.deepStrictEqual(flushed, ["before", "after"])
  })
})
