/** The place of one copy, and of those that follow it. */
import type { Tick } from "../worker/channel/tick.ts"
import { Backoff, longestDelay } from "../worker/parent/backoff.ts"
import type { CopyHandle, Ending } from "./copyHandle.ts"
import type { Standing } from "./messages.ts"

/** What the place of a copy asks, and tells. */
export interface SlotOwner {
  /** Starts a copy for a place. */
  readonly spawn: (slot: Slot, standing: Standing) => CopyHandle
  /** A copy serves in its place. */
  readonly onServing: (slot: Slot) => void
  /** The first copy of a place cannot start. */
  readonly onCannotStart: (ending: Ending) => void
  /** The copy that was started for one that goes on could not take its place. */
  readonly onNotReplaced: (slot: Slot, ending: Ending) => void
  readonly onGone: () => void
  readonly say: (line: string) => void
}

/**
 * There is one copy in it that serves, and at most one that is being started: the
 * first one, or one that follows. One that follows takes the place when it is
 * ready, and not before; then the one before it ends.
 */
export class Slot {
  private readonly owner: SlotOwner
  private readonly backoff: Backoff
  private current: CopyHandle | undefined = undefined
  private next: CopyHandle | undefined = undefined
  /** All that have not ended. */
  private readonly alive = new Set<CopyHandle>()
  private announces = false
  private started = false
  private served = false
  private stopping = false

  constructor(owner: SlotOwner, tick: Tick) {
    this.owner = owner
    this.backoff = new Backoff(tick)
  }

  /** Whether a copy has been there that served. */
  get hasServed(): boolean {
    return this.served
  }

  get isRunning(): boolean {
    return this.alive.size > 0
  }

  /** Who takes what comes to its place. */
  get serving(): CopyHandle | undefined {
    const { current } = this
    return current === undefined || current.isSilent || current.isStopping ? undefined : current
  }

  /** Whether it has had a copy that did, and has none. */
  get isVacant(): boolean {
    return this.served && !this.stopping && this.serving === undefined
  }

  /** Whether what its place is given waits for a copy that hangs. */
  get hangs(): boolean {
    return this.current?.isSilent === true
  }

  /** Starts the first copy, once. */
  start(announces: boolean): void {
    if (this.started) return
    this.started = true
    this.announces = announces
    this.begin()
  }

  /** Starts another copy to take the place. One that is being started is given up for it. */
  replace(): void {
    if (this.stopping) return
    this.backoff.stop()
    this.begin()
  }

  /** Gives up the copy that is being started for one that goes on. */
  keep(): void {
    if (this.current === undefined) return
    this.next?.stop()
    this.next = undefined
  }

  stop(): void {
    this.stopping = true
    this.backoff.stop()
    for (const copy of this.alive) copy.stop()
  }

  kill(): void {
    for (const copy of this.alive) copy.kill()
  }

  onReady(copy: CopyHandle): void {
    if (copy !== this.next) return
    this.next = undefined
    this.backoff.succeeded()
    const before = this.current
    this.current = copy
    this.served = true
    before?.retire()
    this.owner.onServing(this)
  }

  /** It has not started in time. */
  onLate(copy: CopyHandle, ending: Ending): void {
    if (copy === this.next) this.failed(ending)
  }

  /** It has given no sign of life for a while: another one takes what comes from now on. */
  onSilent(copy: CopyHandle, millis: number): void {
    if (this.stopping || copy !== this.current || this.next !== undefined) return
    this.owner.say(`copy ${copy.name} has given no sign of life for ${millis} ms; another is started in its place`)
    this.begin()
  }

  onEnd(copy: CopyHandle, ending: Ending): void {
    this.alive.delete(copy)
    if (ending.livedMillis > longestDelay) this.backoff.isWell()
    if (this.stopping) {
      if (ending.wasKilled) this.owner.say(ending.why)
      return this.owner.onGone()
    }
    if (copy === this.next) return this.failed(ending)
    if (copy === this.current) {
      this.current = undefined
      if (this.next === undefined) return this.again(ending)
      this.owner.say(`${ending.why}; another is being started`)
    } else if (ending.wasKilled) this.owner.say(ending.why)
  }

  private begin(): void {
    this.next?.stop()
    this.next = this.owner.spawn(this, this.served ? "follows" : this.announces ? "announces" : "silent")
    this.alive.add(this.next)
  }

  /** The copy that was being started is none. */
  private failed(ending: Ending): void {
    this.next = undefined
    if (this.current !== undefined) return this.owner.onNotReplaced(this, ending)
    // A signal to all processes of a program ends those that are not there yet.
    if (!this.served && !ending.isFromOutside) return this.owner.onCannotStart(ending)
    this.again(ending)
  }

  private again(ending: Ending): void {
    const delay = this.backoff.failed(ending.why, !ending.isFromOutside, () => this.begin())
    this.owner.say(`${ending.why}; another is started in ${delay} ms`)
  }
}
