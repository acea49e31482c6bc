/**
 * What the wing asks instead of its platform: the time, and to be called later.
 *
 * Whatever decides who works on what takes its time from here alone, so that it
 * runs in virtual time as well. `platformTick.ts` is the real one.
 */
export interface Tick {
  /** Milliseconds, by a clock that nobody can set. */
  readonly now: () => number
  /** Calls `f` when what runs now has ended. */
  readonly soon: (f: () => void) => void
  /** Calls `f` when this turn of the loop has ended, and what has arrived meanwhile was read. */
  readonly afterTurn: (f: () => void) => void
  /** Calls `f` in so many milliseconds, unless the returned function is called before. */
  readonly after: (millis: number, f: () => void) => () => void
}
