import { never, type Timed } from "./deadlines.ts"

/** How often something may happen, with what may happen at once: a clock is looked at only when that much has. */
export class Pace implements Timed {
  dueAt = never
  queuedAt = never
  private readonly perMilli: number
  private readonly burst: number
  private left: number
  private at: number
  private readonly onDue: () => void

  /** `onDue` is called when it was waited for, and may happen again. */
  constructor(perSecond: number, now: number, onDue: () => void) {
    this.onDue = onDue
    this.perMilli = perSecond / 1_000
    this.burst = Math.max(1, Math.ceil(perSecond / 40))
    this.left = this.burst
    this.at = now
  }

  /** How often it may happen now, `now` being asked where that was used up. */
  leftAt(now: () => number): number {
    if (this.left >= 1) return Math.floor(this.left)
    const at = now()
    this.left = Math.min(this.burst, this.left + (at - this.at) * this.perMilli)
    this.at = at
    return Math.floor(this.left)
  }

  look(): number {
    this.onDue()
    return Infinity
  }

  take(): void {
    this.left--
  }

  /** In how many milliseconds it may happen again, and not only once where it may often. */
  get wait(): number {
    return Math.max(1, Math.ceil((Math.max(1, this.burst / 2) - this.left) / this.perMilli))
  }
}
