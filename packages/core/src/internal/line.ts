import * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import type { Payload } from "../Protocol.ts"
import { type Heard, Incoming } from "./incoming.ts"
import { peerKeyOf } from "./peerKey.ts"
import type * as Ring from "./ring.ts"
import { Framed } from "./writing.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * The requests of a connection that have no outcome yet, in the order in which
 * they came: a list whose links are the requests themselves.
 */
export class Line<In, Out> implements Ring.Lane<Incoming<In, Out>> {
  inFlight = 0
  first: Incoming<In, Out> | undefined = undefined
  last: Incoming<In, Out> | undefined = undefined
  /** The first that nobody has taken. */
  private waiting: Incoming<In, Out> | undefined = undefined
  queued = false
  /** Replies that wait for their turn or for their reader. */
  parked = 0
  // Not initialised: few lines ever have them.
  declare private returned: Array<Incoming<In, Out>> | undefined
  declare private isShared: boolean | undefined
  /** Of those that a policy has taken and not begun: the first, and what goes on with them once that may begin. */
  declare private taken: { readonly first: Incoming<In, Out>; readonly goOn: () => void } | undefined
  declare private key: string | undefined
  private readonly on: ServerConnection<In, Out>

  constructor(on: ServerConnection<In, Out>) {
    this.on = on
  }

  /** Makes a request of a message, at the end of the line. */
  add(body: In, payload: Payload | undefined, heard: Heard = this.on.activity.heard): Incoming<In, Out> {
    const incoming = new Incoming(this.on.context.nextRequestId(), body, payload, heard, this.on)
    incoming.previous = this.last
    if (this.last === undefined) this.first = incoming
    else this.last.next = incoming
    this.last = incoming
    this.waiting ??= incoming
    this.inFlight++
    return incoming
  }

  /** What waits in it waits for a policy. */
  offer(): void {
    const { taken } = this
    if (taken !== undefined && this.mayBegin(taken.first)) {
      this.taken = undefined
      taken.goOn()
    }
    if (this.queued || (this.returned === undefined && (this.waiting === undefined || this.parked > 0))) return
    this.on.context.events.arrived(this)
  }

  /** Whether a request may begin. */
  mayBegin(incoming: Incoming<In, Out>): boolean {
    return this.on.holding.mayBegin(incoming === this.first)
  }

  /** Whether a request waits, and is not offered to anybody. */
  get isHeldBack(): boolean {
    return (!this.queued && this.hasWaiting) || this.taken !== undefined
  }

  /** A policy that has taken requests, and begun none of them, goes on once the first of these may begin. */
  whenMayBegin(first: Incoming<In, Out>, goOn: () => void): void {
    this.taken = { first, goOn }
  }

  /** Whether a request waits that nobody has taken. */
  get hasWaiting(): boolean {
    return this.waiting !== undefined || this.returned !== undefined
  }

  /**
   * Takes the next that waits: none behind a reply that waits for its reader, which
   * would have to wait as well, and hold memory meanwhile. One that has been
   * returned may be settled by now: its policy waits for it. Whoever waits for a
   * place with others does not wait for a reader.
   */
  take(): Incoming<In, Out> | undefined {
    const { returned, waiting } = this
    if (returned === undefined) {
      // Who does not read what it is sent has nothing further begun.
      if (this.parked > 0 || waiting === undefined || !this.mayBegin(waiting)) return undefined
      const { limits, shares } = this.on.context
      if (limits.maxRequestsPerPeer < Infinity && !shares.take(this, waiting)) return undefined
      this.waiting = waiting?.next
      return waiting
    }
    const [first] = returned as [Incoming<In, Out>]
    if (this.isShared !== true && first.settled === undefined && !this.mayBegin(first)) return undefined
    if (returned.length === 1) this.returned = undefined
    return returned.shift()
  }

  /** One that was taken and has not begun waits again, before the others. Those of other connections may wait for it. */
  back(incoming: Incoming<In, Out>, isShared: boolean): void {
    ;(this.returned ??= []).push(incoming)
    this.isShared = isShared
    this.offer()
  }

  /** Its requests that were taken, and have no outcome. */
  get atWork(): ReadonlyArray<Incoming<In, Out>> {
    const all: Array<Incoming<In, Out>> = []
    for (let incoming = this.first; incoming !== this.waiting && incoming !== undefined; incoming = incoming.next) {
      if (this.returned?.includes(incoming) !== true) all.push(incoming)
    }
    return all
  }

  /** Whether all of its requests wait for what their peer says. */
  get awaitsPeer(): boolean {
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) {
      if (incoming.awaitsPeer !== true) return false
    }
    return true
  }

  /** How many of its requests have not begun. */
  get unbegun(): number {
    let count = 0
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) if (!incoming.begun) count++
    return count
  }

  /** A reply waits for its turn or for its reader. */
  park(): void {
    this.parked++
  }

  /** It waits no longer. */
  unpark(): void {
    if (--this.parked === 0) this.offer()
  }

  get peerKey(): string {
    return (this.key ??= peerKeyOf(this.on.peer))
  }

  /** How many bytes its requests came in, and replies have that wait for those before them; with `costs`, what all that takes. */
  bytes(costs: boolean): number {
    let sum = 0
    let heard: object | undefined
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) {
      if (costs) sum += requestCost
      if (incoming.heard !== heard) sum += incoming.heard.bytes + (costs ? incoming.heard.cost : 0)
      ;({ heard } = incoming)
      sum += parkedOf(incoming.response)
    }
    return sum
  }

  /** How many bytes the replies have that wait for those before them. */
  get parkedBytes(): number {
    let sum = 0
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) sum += parkedOf(incoming.response)
    return sum
  }

  /** A request has its outcome, and leaves the line. */
  settle(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    const { context } = this.on
    this.remove(incoming)
    if (this.inFlight === 0) this.on.timeouts.freed()
    incoming.settle(outcome)
    context.ledger.record(outcome, incoming, this.on)
    if (context.shares.counts) context.shares.leave(this, incoming)
    this.on.settled(incoming)
  }

  private remove(incoming: Incoming<In, Out>): void {
    if (incoming.previous === undefined) this.first = incoming.next
    else incoming.previous.next = incoming.next
    if (incoming.next === undefined) this.last = incoming.previous
    else incoming.next.previous = incoming.previous
    if (incoming === this.waiting) this.waiting = incoming.next
    // Whoever keeps a request does not keep those around it.
    incoming.previous = incoming.next = undefined
    this.inFlight--
  }

  /** Ends a request without an answer. */
  cancel(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    if (incoming.settled !== undefined) return
    const wasFirst = incoming === this.first
    this.settle(incoming, outcome)
    if (!incoming.begun) this.on.context.events.abandoned(this)
    if (this.returned !== undefined) this.offer()
    incoming.fiber?.interruptUnsafe()
    if (wasFirst) this.on.replies.turned()
  }

  /** Ends all that wait for an answer, but those whose handlers run on. `except` is one of those from now on. */
  cancelAll(outcome: Outcome.Outcome, except?: object): void {
    const all: Array<Incoming<In, Out>> = []
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) {
      if (incoming === except) incoming.finishes = true
      if (!incoming.finishes || incoming.fiber === undefined) all.push(incoming)
    }
    this.endAll(all, outcome)
    this.first?.streaming?.wake()
  }

  /** The deadline of a stop has passed: nobody is waited for. */
  cut(): void {
    const all: Array<Incoming<In, Out>> = []
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) all.push(incoming)
    this.endAll(all, Outcome.drained)
  }

  /**
   * All have their outcome before the first handler is interrupted: its end lets a
   * policy begin the next, which must not be one of them.
   */
  private endAll(all: ReadonlyArray<Incoming<In, Out>>, outcome: Outcome.Outcome): void {
    const fibers: Array<Incoming<In, Out>["fiber"]> = []
    for (const incoming of all) {
      if (incoming.settled !== undefined) continue
      fibers.push(incoming.fiber)
      this.settle(incoming, outcome)
      if (!incoming.begun) this.on.context.events.abandoned(this)
    }
    if (this.returned !== undefined) this.offer()
    for (const fiber of fibers) fiber?.interruptUnsafe()
  }

  /** Whether a handler is at work on a request that `counts`, and does not wait in line with its answer. */
  isAtWork(counts: (request: Incoming<In, Out>) => boolean): boolean {
    for (let request = this.first; request !== undefined; request = request.next) {
      if (request.fiber !== undefined && request.streaming?.isHeld !== true && counts(request)) return true
    }
    return false
  }
}

/** What a request takes beside its message, in bytes. */
export const requestCost = 256

/** What a reply takes that waits for those before it. */
const parkedOf = (response: Response.Response<unknown> | undefined): number =>
  response?._tag === "Reply" && response.value instanceof Framed ? response.value.frame.length : 0
