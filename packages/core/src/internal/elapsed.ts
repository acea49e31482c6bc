import type * as Clock from "effect/Clock"

/**
 * The time that has passed since some moment, in milliseconds: by a clock that
 * nobody can set. What is measured or waited for goes by it; the wall clock is for
 * what is shown.
 */
export const elapsed = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
