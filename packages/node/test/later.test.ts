import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { platformTick } from "../src/internal/worker/channel/platformTick.ts"
import { later } from "../src/internal/later.ts"

const day = 86_400_000

/** Node's timers, which take a time that is too long for a millisecond, as the ones that stand in for them do. */
beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe("a time from outside", () => {
  for (const days of [1, 24.8, 24.9, 30, 100]) {
    it(`of ${days} days ends after ${days} days`, () => {
      let done = false
      later(days * day, () => (done = true))
      vi.advanceTimersByTime(days * day - 1)
      assert.isFalse(done)
      vi.advanceTimersByTime(1)
      assert.isTrue(done)
    })
  }

  it("that never ends has no timer", () => {
    later(Infinity, () => assert.fail("it ended")).cancel()
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("is what workers are given for their deadlines, and can be called off at any time", () => {
    let done = 0
    platformTick.after(30 * day, () => done++)
    const cancel = platformTick.after(30 * day, () => (done += 10))
    vi.advanceTimersByTime(25 * day)
    cancel()
    vi.advanceTimersByTime(10 * day)
    assert.strictEqual(done, 1)
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
