import * as Effect from "effect/Effect"
import * as sizes from "./size.ts"

/** What a connection holds, and what is done to those that hold much. */
export interface Holder {
  /** What it was last known to hold, in bytes. */
  readonly charged: number
  /** Whether its peer has taken nothing for a while of what was sent. */
  readonly isStuck: boolean
  /** Looks at what it holds. */
  account(): void
  /** Goes on, if it may. */
  goOn(): void
  /** Breaks it off, without a word. */
  evict(): void
}

interface Surroundings {
  readonly service: string
  readonly limits: { readonly maxMemory: number }
  readonly now: () => number
  readonly run: (effect: Effect.Effect<void>) => unknown
  readonly tick: { readonly soon: (f: () => void) => void; readonly run: (f: () => void) => void }
}

/**
 * What a server holds for all its peers, in bytes. Connections say what they hold
 * when a chunk has come and when something was sent, never for each message.
 *
 * Nobody waits for room in it: near the limit those with more than their share
 * are not read, then nobody new is let in, then those that hold most are reset.
 */
export class Budget {
  private readonly context: Surroundings
  private holders: ReadonlyMap<unknown, Holder> = new Map()
  private onChange: () => void = () => {}
  private sum = 0
  private share = Infinity
  private armed = false
  /** How much there was when it was last looked at. */
  private seen = 0
  private slowed = new Set<Holder>()
  private readonly story: Story

  constructor(context: Surroundings) {
    this.context = context
    this.story = new Story(context)
  }

  /** Whose connections they are; `onChange` is told when it is tight, and when no more. */
  watch(holders: ReadonlyMap<unknown, Holder>, onChange: () => void): void {
    this.holders = holders
    this.onChange = onChange
  }

  /** What is held, as far as it is known. */
  get total(): number {
    return this.sum
  }

  /** Whether nobody new is let in. */
  get isTight(): boolean {
    return this.sum > this.max * 0.9
  }

  /** One was turned away because of it. */
  refused(): void {
    this.story.refused++
  }

  /** Whether one with so much is not read now. It goes on when there is room. */
  slows(holder: Holder): boolean {
    if (this.sum <= this.max * 0.75 || holder.charged <= this.share) return false
    this.slowed.add(holder)
    return true
  }

  leave(holder: Holder): void {
    this.slowed.delete(holder)
  }

  change(delta: number): void {
    const wasTight = this.isTight
    this.sum += delta
    const { max, seen, sum } = this
    if (wasTight !== this.isTight) this.onChange()
    // Looking at all of them is for when it has grown, not for each change.
    const looks = delta > 0 ? sum > max * 0.75 && (sum > max || sum - seen > max / 64) : this.isOverAgain
    if (!looks || this.armed) return
    this.armed = true
    this.context.tick.soon(() => this.context.tick.run(this.look))
  }

  private get max(): number {
    return this.context.limits.maxMemory
  }

  /** Whether somebody waits, or something is to be told, that need not be any more. */
  private get isOverAgain(): boolean {
    return this.sum <= this.max * 0.75 && (this.slowed.size > 0 || this.story.isOpen)
  }

  private readonly look = (): void => {
    this.armed = false
    let active = 0
    for (const holder of this.holders.values()) {
      holder.account()
      if (holder.charged > 0) active++
    }
    this.seen = this.sum
    this.share = this.max / Math.max(1, active)
    if (this.sum > this.max * 0.75) this.story.begin(this.sum > this.max * 0.9)
    if (this.sum > this.max) this.evict()
    const free = this.sum <= this.max * 0.75
    const { slowed } = this
    // Those that may not go on come back.
    this.slowed = new Set()
    for (const holder of slowed) {
      if (free || holder.charged <= this.share) holder.goOn()
      else this.slowed.add(holder)
    }
    if (this.sum <= this.max * 0.75) this.story.end()
  }

  /** Resets those that hold most, first those that do not read, a bounded number in a turn. */
  private evict(): void {
    const largest = [...this.holders.values()]
      .filter(({ charged }) => charged > 0)
      .sort((a, b) => Number(b.isStuck) - Number(a.isStuck) || b.charged - a.charged)
    for (const holder of largest.slice(0, mostEvicted)) {
      if (this.sum <= this.max * 0.9) return
      this.story.evicted++
      holder.evict()
    }
  }
}

/** What is told of it: a line when it begins, one when it is over, and neither often. */
class Story {
  refused = 0
  evicted = 0
  private readonly context: Surroundings
  private began: number | undefined = undefined
  private told = -Infinity

  constructor(context: Surroundings) {
    this.context = context
  }

  get isOpen(): boolean {
    return this.began !== undefined
  }

  begin(tells: boolean): void {
    this.began ??= this.context.now()
    if (!tells || this.context.now() - this.told < silenceMillis) return
    this.told = this.context.now()
    const { limits, service } = this.context
    this.say(`${service} holds nearly maxMemory (${sizes.format(limits.maxMemory)}) for its peers`)
  }

  end(): void {
    if (this.began === undefined) return
    const millis = this.context.now() - this.began
    const { evicted, refused } = this
    this.began = undefined
    if (evicted + refused === 0) return
    this.refused = this.evicted = 0
    const { limits, service } = this.context
    this.say(
      `${service} was near maxMemory (${sizes.format(limits.maxMemory)}) for ${millis} ms: ${refused} refused, ${evicted} connections reset`
    )
  }

  private say(line: string): void {
    this.context.run(Effect.logWarning(line))
  }
}

const mostEvicted = 50

// How long nothing more is told once something was.
const silenceMillis = 10_000
