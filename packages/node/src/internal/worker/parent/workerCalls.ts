/** What one worker has been given. */
import * as Remote from "@socketserver/core/Remote"
import { Ask } from "../channel/frames.ts"
import type { Call } from "./call.ts"
import type { Order } from "./order.ts"
import type { Slots } from "./slots.ts"

interface Channel {
  readonly tell: (kind: number, id: number, body?: Uint8Array | string) => void
  /** The turn of a call has come: it takes a place from now on. */
  readonly onTurn: (id: number) => void
  /** It has no call under an id any more. */
  readonly onGone: (id: number, call: Call) => void
  /** It waits until more of what it has answered is taken, or goes on. */
  readonly onWaiting: (call: Call) => void
}

/** The calls that one worker has been given and has not let go of, by their ids there: those whose turn has come, and those ahead of it. */
export class WorkerCalls {
  private readonly calls = new Remote.Passing<number, Call>()
  /** Of those, what it was given ahead of its turn, which comes first for the first. */
  private readonly prefetchedIds = new Remote.Passing<number, true>()
  /** Of those, what could not be taken back: it may have begun, and may as well come back. */
  private readonly contested = new Set<number>()
  private readonly order: Order
  private readonly slots: Slots
  private readonly channel: Channel
  private readonly nextId: () => number
  private occupied = 0
  private held = 0
  /** What it was given ahead, in bytes. */
  private aheadBytes = 0
  private ended = 0

  constructor(slots: Slots, order: Order, channel: Channel) {
    this.slots = slots
    this.order = order
    this.channel = channel
    this.nextId = counting((id) => !this.calls.has(id) && !slots.has(id))
  }

  get size(): number {
    return this.calls.size
  }

  /** How many of those whose turn has come take a place. */
  get taken(): number {
    return this.occupied
  }

  /** Whether all of those wait until more of what they have answered is taken. */
  get isHeld(): boolean {
    return this.held > 0 && this.held >= this.occupied
  }

  /** How much it has ahead of their turn, in bytes. */
  get prefetchedBytes(): number {
    return this.aheadBytes
  }

  /** How many it has ahead of their turn. */
  get prefetched(): number {
    return this.prefetchedIds.size
  }

  /** How many it has let go of. */
  get done(): number {
    return this.ended
  }

  /** The requests whose turn has come, and those that it was given ahead. */
  get requests(): { readonly has: ReadonlyArray<number>; readonly next: ReadonlyArray<number> } {
    const ids = [...this.calls.keys()]
    const of = (ahead: boolean) =>
      ids.filter((id) => this.prefetchedIds.has(id) === ahead).map((id) => (this.calls.get(id) as Call).request)
    return { has: of(false), next: of(true) }
  }

  /** Whether there is a claim for one more, without which none can be taken back. */
  get canClaim(): boolean {
    return this.slots.hasFree
  }

  get(id: number): Call | undefined {
    return this.calls.get(id)
  }

  /** Gives it a call, whose id tells its frames apart from those of others; ahead of its turn, if it is told so. */
  give(call: Call, prefetched = false): void {
    // A whole connection is a connection of the worker's server, by the same id.
    const id = call.kind.name === "connection" ? call.connection.id : this.nextId()
    const takesPlace = !prefetched && call.kind.occupies
    if (prefetched) {
      this.prefetchedIds.set(id, true)
      this.aheadBytes += call.bytes
      this.order.add(call, this)
    }
    if (takesPlace) this.occupied++
    this.calls.set(id, call)
    const claim = call.kind.isClaimed ? this.slots.take(id) : 0
    call.begin({
      claim,
      tell: (kind, body) => this.channel.tell(kind, id, body),
      waits: (waiting) => this.waits(id, call, waiting)
    })
    if (takesPlace) this.channel.onTurn(id)
  }

  /** Lets the turn come of what it was given ahead first; that call. */
  promote(): Call | undefined {
    for (const id of this.prefetchedIds.keys()) {
      this.prefetchedIds.delete(id)
      this.occupied++
      this.channel.onTurn(id)
      const call = this.calls.get(id)
      this.aheadBytes -= call?.bytes ?? 0
      // One that is in doubt keeps those after it in doubt.
      if (call !== undefined && !this.contested.has(id) && this.order.mayBegin(call)) this.order.remove(call)
      return call
    }
    return undefined
  }

  /** It has said something of a call: that has begun. Whether that was in doubt. */
  hasBegun(id: number): boolean {
    if (!this.contested.delete(id)) return false
    const begun = this.calls.get(id)
    if (begun === undefined) return false
    this.order.remove(begun)
    for (const [id, call] of this.calls) {
      if (call.connection !== begun.connection || this.prefetchedIds.has(id)) continue
      if (!this.contested.has(id) && this.order.mayBegin(call)) this.order.remove(call)
    }
    return true
  }

  /** It has not begun a call that was in doubt, and lets those after it on its connection wait for this: they are taken back. */
  takeBackAfter(id: number): ReadonlyArray<Call> {
    if (!this.contested.has(id)) return []
    const { connection, sequence } = this.calls.get(id) as Call
    const later = [...this.calls].flatMap(([id, call]) =>
      call.connection === connection && call.sequence > sequence ? (this.takeBack(id) ?? []) : []
    )
    this.channel.tell(Ask.cancel, id)
    return later
  }

  /** It has let go of a call: it has handled it, or says that it will not. */
  release(id: number, how: "handled" | "returned" | "dropped"): Call | undefined {
    this.slots.release(id)
    const hadItsTurn = !this.prefetchedIds.has(id)
    const call = this.take(id)
    // One that was dropped in its turn counts: another worker may have been started for what comes next.
    if (call !== undefined && (how === "handled" || (how === "dropped" && hadItsTurn))) this.ended++
    return call
  }

  /** Takes the first call back of those that it was given ahead and has not begun. Of a connection, none before those that came before. */
  takeBackPrefetched(): Call | undefined {
    for (const id of this.prefetchedIds.keys()) {
      const call = this.calls.get(id)
      if (call === undefined || !this.order.mayBegin(call)) continue
      if (this.takeBack(id) !== undefined) return call
    }
    return undefined
  }

  /** Takes back what it was given ahead and has not begun, of those that do. */
  takeBackAhead(may: (call: Call) => boolean): ReadonlyArray<Call> {
    const taken: Array<Call> = []
    for (const id of this.prefetchedIds.keys()) {
      const call = this.calls.get(id)
      if (call === undefined || !may(call) || !this.order.mayBegin(call)) continue
      if (this.takeBack(id) !== undefined) taken.push(call)
    }
    return taken
  }

  /** All that it has, each with whether that is ahead of its turn. */
  forEach(f: (call: Call, isAhead: boolean) => void): void {
    for (const [id, call] of this.calls) f(call, this.prefetchedIds.has(id))
  }

  /** Takes everything back that it has not begun. */
  takeBackAll(): ReadonlyArray<Call> {
    return [...this.calls.keys()].flatMap((id) => this.takeBack(id) ?? [])
  }

  /** Nobody waits for a call any more. The id under which it has one that it may have begun, or whether it has it no more, or never had. */
  cancel(call: Call): number | "taken back" | "not mine" {
    for (const [id, mine] of this.calls) {
      if (mine !== call) continue
      const hadItsTurn = !this.prefetchedIds.has(id)
      if (this.takeBack(id) === undefined) {
        this.channel.tell(Ask.cancel, id, call.connection.endedBy)
        return id
      }
      // It counts as handled, as one that was cancelled a moment later.
      if (hadItsTurn) this.ended++
      return "taken back"
    }
    return "not mine"
  }

  /** It has ended: what it may have begun, and the others. */
  partition(): { readonly begun: ReadonlyArray<Call>; readonly others: ReadonlyArray<Call> } {
    const begun: Array<Call> = []
    const others: Array<Call> = []
    for (const [id, call] of this.calls) {
      this.order.remove(call)
      ;(this.slots.mayHaveBegun(id) ? begun : others).push(call)
    }
    return { begun, others }
  }

  private takeBack(id: number): Call | undefined {
    if (!this.slots.revoke(id)) {
      // Who has no claim has begun it for sure.
      if (this.slots.has(id) && this.prefetchedIds.has(id)) this.contested.add(id)
      return undefined
    }
    this.channel.tell(Ask.cancel, id)
    return this.take(id)
  }

  private take(id: number): Call | undefined {
    const call = this.calls.get(id)
    if (call === undefined) return undefined
    this.calls.delete(id)
    this.contested.delete(id)
    this.order.remove(call)
    if (this.prefetchedIds.delete(id)) this.aheadBytes -= call.bytes
    else if (call.kind.occupies) this.occupied--
    if (call.isHeld) this.held--
    call.isHeld = false
    this.channel.onGone(id, call)
    return call
  }

  private waits(id: number, call: Call, waiting: boolean): void {
    if (this.calls.get(id) !== call || call.isHeld === waiting) return
    call.isHeld = waiting
    this.held += waiting ? 1 : -1
    this.channel.onWaiting(call)
  }
}

/** Counts in 32 bits from 1, without what is in use. */
const counting = (isFree: (id: number) => boolean): (() => number) => {
  let id = 0
  return () => {
    do id = (id + 1) >>> 0 || 1
    while (!isFree(id))
    return id
  }
}
