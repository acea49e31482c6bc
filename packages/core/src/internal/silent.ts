import type { ServerContext } from "./context.ts"
import { never, type Timed } from "./deadlines.ts"
import type { Slot, Slots } from "./slots.ts"

/** One that has a slot, and may have nothing to say. */
interface Listened {
  /** When it had come, or was last heard. */
  readonly from: number
  /** Whether nothing has come since it was last asked. */
  readonly isSilent: () => boolean
  /** Gives its slot to others: behind those that have had none, where it has been silent. */
  readonly giveWay: (wasSilent: boolean) => void
}

/**
 * Those that have a slot and send nothing: after a second of silence each gives
 * it up, if others wait that could have it. Whoever sends more now and then does so after three.
 *
 * One that has waited for its slot has been silent for as long, or what it has sent is
 * read in a moment: so a flood of silent peers costs a newcomer about a second, however
 * many they are. Nobody is looked at while nobody waits.
 */
export class Silent implements Timed {
  dueAt = never
  queuedAt = never
  private readonly context: Pick<ServerContext<never, never>, "afterTick" | "deadlines" | "now">
  private readonly slots: Slots
  /** Each, when it got its slot, and since when it has been silent there. */
  private readonly all = new Map<Slot, Listened & { readonly takenAt: number; readonly since: number }>()

  constructor(context: Silent["context"], slots: Slots) {
    this.context = context
    this.slots = slots
  }

  /** One has its slot from now on. */
  listen(slot: Slot, listened: Listened): void {
    const since = this.context.now()
    this.all.delete(slot)
    this.all.set(slot, { ...listened, takenAt: since, since })
    if (this.slots.isAwaited) this.awaited()
  }

  /** It has said something, or has its slot no more. */
  forget(slot: Slot): void {
    this.all.delete(slot)
  }

  /** Somebody waits. */
  awaited(): void {
    this.context.deadlines.by(this, this.context.now() + readMillis)
  }

  look(): number {
    // Where the loop was held up, what has arrived is read first.
    if (this.slots.isAwaited) this.context.afterTick(() => this.context.deadlines.by(this, this.giveWay()))
    return Infinity
  }

  /** Those whose second is over give way; when the next may have to. */
  private giveWay(): number {
    if (!this.slots.isAwaited) return Infinity
    const now = this.context.now()
    let next = now + silentMillis
    for (const [slot, { from, giveWay, isSilent, since, takenAt }] of this.all) {
      const isLong = now - takenAt >= longMillis
      const silent = isSilent()
      if (!silent && !isLong) {
        this.all.set(slot, { from: now, since: now, takenAt, isSilent, giveWay })
        next = Math.min(next, takenAt + longMillis)
        continue
      }
      const heir = this.slots.heirOf(slot)
      if (heir === undefined) continue
      // Among those that were silent once before, none is in more of a hurry.
      const until = heir === "first" ? Math.max(from + silentMillis, since + readMillis) : since + silentMillis
      if (now < until && !isLong) next = Math.min(next, until)
      else {
        this.all.delete(slot)
        giveWay(silent)
      }
    }
    return next
  }

  end(): void {
    this.all.clear()
    this.context.deadlines.forget(this)
  }
}

/** For how long one may say nothing while others wait. */
const silentMillis = 1_000
/** For how long one may say something while others wait: a byte now and then is no reason to have a turn. */
const longMillis = 3_000
/** What has arrived by then was read. */
const readMillis = 50
