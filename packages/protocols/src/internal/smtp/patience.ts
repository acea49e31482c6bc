import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** How long a client may still be waited for, in milliseconds. */
export interface Patience {
  readonly millis: number
  left: number
}

export const patience = (millis: number): Patience => ({ millis, left: millis })

interface Wait {
  readonly dueAt: number
  readonly late: () => void
}

/**
 * Bounds the waits of one dialogue, by one timer for all of them. It is set by the
 * first wait and is not cancelled when that is over: when it fires it looks whether
 * somebody still waits, and since when. A client that sends its bytes one by one
 * costs a note of the time for each, and a timer now and then.
 */
export class Waits {
  private readonly all = new Set<Wait>()
  private timer: Fiber.Fiber<void> | undefined = undefined
  private firesAt = Infinity

  /** Waits, for as long as there is patience, which is less by that afterwards; `late` where it was not enough. */
  bound<A, E, E2>(
    wait: Effect.Effect<A, E>,
    patience: Patience,
    late: Effect.Effect<never, E2>
  ): Effect.Effect<A, E | E2> {
    return Effect.withFiber((fiber) => {
      if (patience.left <= 0) return late
      const clock = fiber.getRef(Clock.Clock)
      const began = millisOf(clock)
      const due = Effect.callback<never, E2>((resume) => {
        const wait: Wait = { dueAt: began + patience.left, late: () => resume(late) }
        this.all.add(wait)
        this.arm(wait.dueAt, began, fiber)
        return Effect.sync(() => void this.all.delete(wait))
      })
      // What is there already is taken without a look at the second.
      return Effect.tap(Effect.raceFirst(wait, due), () => {
        patience.left -= millisOf(clock) - began
        return Effect.void
      })
    })
  }

  /** Nothing is waited for any more. */
  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.timer?.interruptUnsafe()
    this.timer = undefined
  })

  private arm(dueAt: number, now: number, fiber: Fiber.Fiber<unknown, unknown>): void {
    if (this.timer !== undefined && this.firesAt <= dueAt) return
    this.timer?.interruptUnsafe()
    this.firesAt = dueAt
    const clock = fiber.getRef(Clock.Clock)
    const look: Effect.Effect<void> = Effect.suspend(() => {
      const next = this.look(millisOf(clock))
      this.firesAt = next
      if (next !== Infinity) return sleep(next - millisOf(clock))
      this.timer = undefined
      return Effect.void
    })
    const sleep = (millis: number) => Effect.andThen(Effect.sleep(Math.max(1, millis)), look)
    this.timer = Effect.runForkWith(fiber.context)(sleep(dueAt - now))
  }

  /** Tells those who have waited too long; when to look again. */
  private look(now: number): number {
    let next = Infinity
    for (const wait of this.all) {
      if (wait.dueAt <= now) wait.late()
      else next = Math.min(next, wait.dueAt)
    }
    return next
  }
}

const millisOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
