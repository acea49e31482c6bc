import * as Clock from "effect/Clock"
import * as Context from "effect/Context"

/**
 * The time that has passed since some moment, in milliseconds: by a clock that
 * nobody can set. What is measured or waited for goes by it; the wall clock is for
 * what is shown.
 */
export const elapsed = (clock: Clock.Clock): number =>
  // The same clock of the system, at half the cost: Effect's makes a bigint of it.
  clock === live ? performance.now() : Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

const live = Context.get(Context.empty(), Clock.Clock)
