import * as Effect from "effect/Effect"
import * as Outcome from "../Outcome.ts"
import type { Budget } from "./budget.ts"
import type { ReplyWire } from "./replyWire.ts"

/**
 * What is pushed to the sender of a datagram, beside its answer and after it. Its
 * connection may have ended long ago, so that nobody else counts it: it counts
 * from when it is given to the system until the system has taken it.
 */
export class Pushes {
  private readonly wire: ReplyWire
  private readonly budget: Budget
  private bytes = 0
  private waiting: Array<() => void> = []

  constructor(wire: ReplyWire, budget: Budget) {
    this.wire = wire
    this.budget = budget
  }

  /** Many may push at once: what is too much waits with its message. */
  send(bytes: Uint8Array): Effect.Effect<void, Outcome.Undelivered> {
    return Effect.suspend(() => {
      if (this.bytes > most) return Effect.andThen(this.fewer, this.send(bytes))
      // Nobody could be reset for it.
      if (this.budget.isSpent) return Effect.fail(Outcome.undelivered("Other", new Error("maxMemory is held")))
      return Effect.callback<void, Outcome.Undelivered>((resume) => {
        const cost = bytes.length + overhead
        this.bytes += cost
        this.budget.change(cost)
        this.wire.send(bytes, (failure) => {
          this.bytes -= cost
          this.budget.change(-cost)
          resume(failure === undefined ? Effect.void : Effect.fail(failure))
          this.wake()
        })
      })
    })
  }

  private readonly fewer: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.bytes <= most) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.waiting.push(wake)
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((other) => other !== wake)
    })
  })

  private wake(): void {
    if (this.waiting.length === 0 || this.bytes > most) return
    const { waiting } = this
    this.waiting = []
    for (const wake of waiting) wake()
  }
}

/** What may be on its way to the system at once. */
const most = 65_536

/** Each datagram costs, also an empty one. */
const overhead = 64
