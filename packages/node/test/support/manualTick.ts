/** Time that passes when a test says so. Turns are real: what is due `soon` runs as a microtask. */
import type { Tick } from "../../src/internal/worker/channel/tick.ts"

export class ManualTick implements Tick {
  /** The least time that passes, in milliseconds; less of it is none. */
  least = 0
  private time = 0
  private readonly timers = new Set<{ readonly at: number; readonly f: () => void }>()

  readonly now = (): number => this.time

  readonly soon = (f: () => void): void => queueMicrotask(f)

  /** Nothing arrives between a timer and the end of its turn. */
  readonly afterTurn = (f: () => void): void => f()

  readonly after = (millis: number, f: () => void): (() => void) => {
    const timer = { at: this.time + (millis < this.least ? 0 : millis), f }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }

  /** How many are waited for. */
  get pending(): number {
    return this.timers.size
  }

  /** Lets time pass, with everything that is due on the way, in its order. */
  advance(millis: number): void {
    const end = this.time + millis
    for (;;) {
      const next = [...this.timers].toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > end) break
      this.timers.delete(next)
      this.time = next.at
      next.f()
    }
    this.time = end
  }
}
