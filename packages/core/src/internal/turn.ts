import type { Limits } from "./limits.ts"

/** What a turn depends on. */
export interface TurnContext {
  readonly now: () => number
  readonly limits: Limits
  /** Connections that the system has handed over. */
  readonly accepted: number
}

/**
 * What may be done in a turn of the event loop: so many pieces of work, and so much time.
 *
 * The system hands over one connection in a turn (https://github.com/libuv/libuv/pull/3696). So
 * where one has come others may wait behind it, for a turn each, and the next turn is brief.
 */
export class Turn {
  /** How many may still be done. */
  left = 0
  /** When it began. */
  beganAt = 0
  /** When something was last done, as far as it was seen. */
  spentAt = 0
  /** How long it may take, in milliseconds. */
  millis = 0
  private readonly context: TurnContext
  private until = 0
  /** How many connections the system had handed over when it began. */
  private accepted = 0
  /** Of how many pieces the clock is looked at, how many are left until then, and when that was last. */
  private stride = 1
  private unlooked = 0
  private lookedAt = 0
  /** What counts as quick, in milliseconds for all that lies between two looks. */
  private quick = 0

  constructor(context: TurnContext) {
    this.context = context
  }

  /** Begins one that has all of the time, or half of it. */
  begin(part: 1 | 0.5): void {
    const { accepted, limits } = this.context
    const whole = limits.turnMillis * part
    this.millis = accepted === this.accepted ? whole : whole / 10
    this.accepted = accepted
    this.left = limits.turnRequests
    this.beganAt = this.lookedAt = this.context.now()
    this.until = this.beganAt + this.millis
    this.quick = whole / 50
    this.stride = this.unlooked = 1
  }

  /** Whether it has had its share. */
  get isOver(): boolean {
    if (this.unlooked === 0 && this.left > 0) this.look()
    return this.left === 0
  }

  /** Another piece is done. */
  spend(): void {
    this.left--
    this.unlooked--
  }

  /** Looks at the clock. As long as the pieces are quick, that costs too much for each. */
  private look(): void {
    const now = this.context.now()
    if (now >= this.until) this.left = 0
    const isQuick = now - this.lookedAt < this.quick
    this.stride = this.unlooked = isQuick ? Math.min(mostUnlooked, this.stride * 2) : 1
    this.lookedAt = this.spentAt = now
  }

  /** Whether what it does takes hardly any time. */
  get isQuick(): boolean {
    return this.stride === mostUnlooked
  }
}

// How many pieces of work lie between two looks at the clock, at most.
const mostUnlooked = 16
