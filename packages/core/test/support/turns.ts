/** Turns of the event loop, and a clock that only work moves. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** A turn of the event loop. */
export const turn: Effect.Effect<void> = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** A clock that shows what has been `spent`; by default whoever sleeps does so for a turn. */
export class SpentClock implements Clock.Clock {
  private nanos = 0n
  readonly sleep: Clock.Clock["sleep"]
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.nanos)
  readonly monotonicTimeNanos = this.currentTimeNanos

  constructor(sleep: Clock.Clock["sleep"] = () => turn) {
    this.sleep = sleep
  }

  spend(millis: number): void {
    this.nanos += BigInt(Math.round(millis * 1e6))
  }

  currentTimeMillisUnsafe(): number {
    return Number(this.nanos / 1_000_000n)
  }

  currentTimeNanosUnsafe(): bigint {
    return this.nanos
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.nanos
  }

  /** In milliseconds, with what is less. */
  get spent(): number {
    return Number(this.nanos) / 1e6
  }
}
