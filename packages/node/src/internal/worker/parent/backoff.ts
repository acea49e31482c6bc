/** When workers may be started again after a start that failed. */
import type { Tick } from "../channel/tick.ts"

/**
 * How the starting of workers goes. After one that failed the next waits for a
 * while, and after each one more for longer.
 */
export class Backoff {
  private readonly tick: Tick
  private failures = 0
  private problem: string | undefined = undefined
  private callOff: (() => void) | undefined = undefined

  constructor(tick: Tick) {
    this.tick = tick
  }

  /** What was wrong with the last one, until one succeeds. */
  get lastFailure(): string | undefined {
    return this.problem
  }

  /** Whether the next one has to wait. */
  get isPaused(): boolean {
    return this.callOff !== undefined
  }

  /** Whether so many have failed that requests should not wait for the next. */
  get isHopeless(): boolean {
    return this.failures >= 5
  }

  /** A worker is ready. */
  succeeded(): void {
    this.problem = undefined
  }

  /** A worker has shown that it is well, or has lived as long as one that was. */
  isWell(): void {
    this.failures = 0
  }

  /** Calls back when it is time for the next one, after so many milliseconds. Without a problem nobody is to blame. */
  failed(problem: string | undefined, counts: boolean, again: () => void): number {
    this.problem = problem ?? this.problem
    // One round of starts is one failure.
    if (counts && !this.isPaused) this.failures++
    const delay = Math.min(longestDelay, shortestDelay * 2 ** Math.max(0, Math.min(this.failures - 1, 10)))
    this.pause(delay, again)
    return delay
  }

  /** Calls back when it is time for the next one, though none has failed. */
  pause(delay: number, again: () => void): void {
    this.callOff ??= this.tick.after(delay, () => {
      this.callOff = undefined
      again()
    })
  }

  /** Nobody is called back. */
  stop(): void {
    this.callOff?.()
    this.callOff = undefined
  }
}

const shortestDelay = 100

/** Between two starts, in milliseconds. Who has lived for longer had started well. */
export const longestDelay = 10_000
