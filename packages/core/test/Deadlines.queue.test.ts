import { assert, describe, it, vi } from "@effect/vitest"
import type * as Queues from "../src/internal/deadlines.ts"

// Not exported, as it should be: a test alone looks at them.
const { Deadlines, never } = await vi.importActual<typeof Queues>("../src/internal/deadlines.ts")

/** Time that passes when a test says so, with the one timer that there is. */
const setting = () => {
  let now = 0
  let timer: { readonly at: number; readonly f: () => void } | undefined
  const deadlines = new Deadlines({
    now: () => now,
    after: (millis, f) => {
      const mine = { at: now + millis, f }
      timer = mine
      return () => {
        if (timer === mine) timer = undefined
      }
    },
    troubles: { attempt: (_, f) => f() }
  })
  const fire = () => {
    const { f } = timer!
    timer = undefined
    f()
  }
  return {
    deadlines,
    now: () => now,
    armed: () => timer !== undefined,
    pass: (millis: number) => {
      const end = now + millis
      while (timer !== undefined && timer.at <= end) {
        now = timer.at
        fire()
      }
      now = end
    },
    /** The loop is held up: the timer fires when it is over. */
    holdUp: (millis: number) => {
      now += millis
      fire()
    }
  }
}

class Waiting implements Queues.Timed {
  dueAt = never
  queuedAt = never
  readonly looks: Array<number> = []
  next = Infinity

  look(now: number): number {
    this.looks.push(now)
    return this.next
  }
}

describe("deadlines", () => {
  it("looks at each when it is due, in any order, and has no timer for nothing", () => {
    let seed = 1
    const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n
    const { armed, deadlines, now, pass } = setting()
    const all = Array.from({ length: 60 }, () => new Waiting())
    const due = new Map<Waiting, number>()
    for (let round = 0; round < 5_000; round++) {
      const one = all[random(all.length)]!
      if (random(4) === 0) {
        deadlines.forget(one)
        due.delete(one)
      } else {
        const at = now() + 1 + random(100)
        deadlines.by(one, at)
        due.set(one, Math.min(due.get(one) ?? Infinity, at))
      }
      pass(random(4))
      for (const [waiting, at] of due) {
        const last = waiting.looks.at(-1)
        if (at > now()) assert.isTrue(last === undefined || last < at)
        else {
          assert.strictEqual(last, at)
          due.delete(waiting)
        }
      }
      assert.strictEqual(armed(), due.size > 0)
    }
  })

  it("looks again when it was told to, and never without end", () => {
    const { deadlines, pass } = setting()
    const one = new Waiting()
    deadlines.by(one, 10)
    one.next = 15
    pass(14)
    assert.deepStrictEqual(one.looks, [10])
    pass(2)
    // What says that it is due already is looked at a millisecond later.
    assert.deepStrictEqual(one.looks, [10, 15, 16])
    one.next = Infinity
    pass(100)
    assert.deepStrictEqual(one.looks, [10, 15, 16, 17])
  })

  it("ends nobody for what the loop has not read yet, after it was held up", () => {
    const { deadlines, holdUp, now, pass } = setting()
    const one = new Waiting()
    deadlines.by(one, 10)
    holdUp(5_000)
    assert.deepStrictEqual(one.looks, [])
    pass(1)
    assert.deepStrictEqual(one.looks, [now()])
  })
})
