import { Garbage } from "./garbage.ts"
import type { LimitLog } from "./limitLog.ts"
import * as sizes from "./size.ts"

/** What a connection holds, and what is done to those that hold much. */
export interface Holder {
  /** What it was last known to hold, in bytes. */
  readonly charged: number
  /** Whether its peer has taken nothing for a while of what was sent. */
  readonly isStuck: boolean
  /** Since when, as far as that is known. */
  readonly stuckSince: number | undefined
  /** Looks at what it holds. */
  account(): void
  /** Goes on, if it may. */
  goOn(): void
  /** Breaks it off, without a word. */
  evict(): void
}

interface Holders {
  readonly size: number
  readonly all: ReadonlyArray<{ readonly holding: Holder }>
}

interface Surroundings {
  readonly now: () => number
  readonly limits: { readonly maxMemory: number; readonly collectGarbage: (() => void) | undefined }
  readonly limitLog: LimitLog
  readonly tick: { readonly soon: (f: () => void) => void; readonly run: (f: () => void) => void }
  readonly afterTick: (f: () => void) => void
  readonly after: (millis: number, f: () => void) => unknown
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
  private holders: Holders = { size: 0, all: [] }
  private onChange: () => void = () => {}
  private sum = 0
  private share = Infinity
  private armed = false
  /** Whether more are to be reset in the next turn. */
  private evicting = false
  /** How much there was when it was last looked at. */
  private seen = 0
  private slowed = new Set<Holder>()
  private deferred = new Set<Holder>()
  private looksAgainAt = 0
  /** Whether it looks again in a while. */
  private looksLater = false
  private readonly garbage: Garbage
  /** Whether it is known how many hold anything in this turn. */
  private isCounted = false

  constructor(context: Surroundings) {
    this.context = context
    this.garbage = new Garbage(context)
  }

  /** Whose connections they are; `onChange` is told when it is tight, and when no more. */
  watch(holders: Holders, onChange: () => void): void {
    this.holders = holders
    this.onChange = onChange
  }

  /** What is held, as far as it is known. */
  get total(): number {
    return this.sum
  }

  /** Whether it is worth a look at each message what it takes. What came before is at most a quarter. */
  get looks(): boolean {
    return this.sum > this.max / 4
  }

  /** Whether nobody new is let in. */
  get isTight(): boolean {
    return this.sum > this.max * 0.9
  }

  /** Whether more is held than may be. */
  get isSpent(): boolean {
    return this.sum > this.max
  }

  /** Whether one with so much is not read now. It goes on when there is room. */
  slows(holder: Holder): boolean {
    if (this.sum <= this.max * 0.75) return false
    if (holder.charged <= this.max / this.holders.size || holder.charged <= this.shareNow) return false
    this.slowed.add(holder)
    this.lookLater()
    return true
  }

  /**
   * Whether one has nothing more decoded now: much may arrive in one turn, and what
   * is over the limit is seen to before anything is added to it. It goes on after that.
   */
  defers(holder: Holder): boolean {
    if (this.sum <= this.max) return false
    this.deferred.add(holder)
    this.looksSoon()
    return true
  }

  /**
   * Whether one may hold so much more than it is known to: not where that is more than there is room for, and nobody
   * else holds half as much again, who would be reset for it. What is made to be thrown away is garbage, which no budget counts.
   */
  mayHold(holder: Holder, more: number): boolean {
    if (this.sum + more <= this.max) return true
    const much = (holder.charged + more) * 1.5
    for (const { holding: each } of this.holders.all) {
      if (each !== holder && each.charged > 0 && (each.isStuck || each.charged > much)) return true
    }
    return false
  }

  /** One has sent what it may not hold. */
  refuse(holder: Holder): void {
    this.breakOff(holder)
    this.garbage.collect()
  }

  /** Somebody new comes: of those that do not read, who hold most give way. Otherwise they would keep everybody out. */
  makeRoom(): void {
    const now = this.context.now()
    if (!this.isTight || now < this.looksAgainAt) return
    const stuck = this.largestFirst((each) => now - (each.stuckSince ?? now) >= stuckMillis)
    if (stuck.length === 0) this.looksAgainAt = now + restMillis
    this.reset(stuck)
  }

  /** What each may hold who holds anything. They come and go more often than all of them are looked at. */
  private get shareNow(): number {
    if (this.isCounted) return this.share
    this.isCounted = true
    this.context.tick.soon(() => {
      this.isCounted = false
    })
    let active = 0
    for (const { holding } of this.holders.all) if (holding.charged > 0) active++
    return (this.share = this.max / Math.max(1, active))
  }

  leave(holder: Holder): void {
    this.slowed.delete(holder)
    this.deferred.delete(holder)
    this.garbage.left(holder.charged)
  }

  change(delta: number): void {
    const before = this.sum
    const { max, seen } = this
    const sum = (this.sum = before + delta)
    if (before > max * 0.9 !== sum > max * 0.9) this.onChange()
    // Looking at all of them is for when it has grown, not for each change; or somebody waits that need not any more.
    const looks =
      delta > 0 ? sum > max * 0.75 && (sum > max || sum - seen > max / 64) : this.slowed.size > 0 && sum <= max * 0.75
    if (looks) this.looksSoon()
  }

  private looksSoon(): void {
    if (this.armed) return
    this.armed = true
    this.context.tick.soon(() => this.context.tick.run(this.look))
  }

  private get max(): number {
    return this.context.limits.maxMemory
  }

  private readonly look = (): void => {
    this.armed = false
    let active = 0
    for (const { holding } of this.holders.all) {
      holding.account()
      if (holding.charged > 0) active++
    }
    this.seen = this.sum
    this.share = this.max / Math.max(1, active)
    if (this.isTight) this.tell()
    if (this.sum > this.max || this.evicting) this.evict()
    const free = this.sum <= this.max * 0.75
    const { slowed } = this
    // Those that may not go on come back.
    this.slowed = new Set()
    for (const holder of slowed) {
      if (free || holder.charged <= this.share) holder.goOn()
      else this.slowed.add(holder)
    }
    const { deferred } = this
    this.deferred = new Set()
    for (const holder of deferred) if (!this.defers(holder)) holder.goOn()
    if (this.slowed.size > 0) this.lookLater()
  }

  /** What the system has taken meanwhile is told by nobody, unless it was so much that a connection waits for that. */
  private lookLater(): void {
    if (this.looksLater) return
    this.looksLater = true
    this.context.after(waitMillis, () => {
      this.looksLater = false
      if (this.slowed.size > 0) this.look()
    })
  }

  /** Resets those that hold most. */
  private evict(): void {
    const largest = this.largestFirst()
    this.evicting = false
    this.reset(largest)
    if (this.sum <= this.max * 0.9 || largest.length <= mostEvicted) return
    this.evicting = this.armed = true
    this.context.afterTick(this.look)
  }

  /** Resets some, until there is room, a bounded number in a turn. */
  private reset(largest: ReadonlyArray<Holder>): void {
    for (const holder of largest.slice(0, mostEvicted)) {
      if (this.sum <= this.max * 0.9) break
      this.breakOff(holder)
    }
    this.garbage.collect()
  }

  /** Those that hold most, first those that do not read. */
  private largestFirst(may: (holder: Holder) => boolean = () => true): ReadonlyArray<Holder> {
    const some: Array<Holder> = []
    for (const { holding } of this.holders.all) if (holding.charged > 0 && may(holding)) some.push(holding)
    return some.sort((a, b) => Number(b.isStuck) - Number(a.isStuck) || b.charged - a.charged)
  }

  private breakOff(holder: Holder): void {
    this.tell("reset")
    this.garbage.reset(holder.charged, () => holder.evict())
  }

  private tell(did?: string): void {
    this.context.limitLog.reached("maxMemory", sizes.format(this.max), did)
  }
}

const mostEvicted = 50

// How long a peer has taken nothing that has to give way.
const stuckMillis = 1_000

// How soon those are looked at that wait for room.
const waitMillis = 100

// How long nobody is looked at after a look in vain.
const restMillis = 10
