/**
 * How the starting of workers goes. After one that failed the next waits for a
 * while, and after each one more for longer.
 */
export class Starts {
  /** What was wrong with the last one, until one succeeds. */
  lastFailure: string | undefined = undefined
  private failures = 0
  private timer: NodeJS.Timeout | undefined = undefined

  /** Whether the next one has to wait. */
  get isPaused(): boolean {
    return this.timer !== undefined
  }

  /** Whether so many have failed that requests should not wait for the next. */
  get isHopeless(): boolean {
    return this.failures >= 5
  }

  /** A worker has shown that it is well, or has lived as long as one that was. */
  isWell(): void {
    this.failures = 0
  }

  /** Calls back when it is time for the next one, after so many milliseconds. */
  failed(problem: string, counts: boolean, again: () => void): number {
    this.lastFailure = problem
    // One round of starts is one failure.
    if (counts && !this.isPaused) this.failures++
    const delay = Math.min(longestDelay, 100 * 2 ** Math.max(0, Math.min(this.failures - 1, 10)))
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      again()
    }, delay)
    return delay
  }

  stop(): void {
    clearTimeout(this.timer)
  }
}

/** Between two starts, in milliseconds. Who has lived for longer had started well. */
export const longestDelay = 10_000
