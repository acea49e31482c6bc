import type * as Request from "../Request.ts"
import { Passing } from "./passing.ts"
import { peerKeyOf } from "./peerKey.ts"
import { Rounds } from "./rounds.ts"

/** What waits until a request with the same key has ended. */
export interface Waiting<A> {
  readonly key: unknown
  /** One more waits. */
  push(request: A): void
  /** The next one waits no longer: none if none waits. */
  shift(): A | undefined
  /** Whether requests of other connections wait than that of `request`. */
  othersWait(request: A): boolean
}

/** Requests of one connection that wait, in their order. One that has its outcome before is let go of: it may be large, and is counted no more. */
export class Queue<A extends Request.Request<unknown>> implements Waiting<A> {
  readonly key: unknown
  readonly peerKey: string
  private readonly onLeft: ((queue: Queue<A>) => void) | undefined
  private waiting: Array<A> = none
  private head = 0
  /** How many wait that have no outcome. */
  size = 0

  constructor(key: unknown, peerKey = "", onLeft?: (queue: Queue<A>) => void) {
    this.key = key
    this.peerKey = peerKey
    this.onLeft = onLeft
  }

  push(request: A): void {
    if (this.waiting === none) this.waiting = [request]
    else this.waiting.push(request)
    this.size++
    ;(request as Settling).waitsIn = this
  }

  shift(): A | undefined {
    while (this.head < this.waiting.length) {
      const request = this.waiting[this.head] as A & Settling
      this.waiting[this.head++] = undefined as never
      if (request.settled !== undefined) continue
      request.waitsIn = undefined
      this.size--
      if (this.size === 0) this.clear()
      return request
    }
    return undefined
  }

  othersWait(): boolean {
    return false
  }

  /** One of them has its outcome. */
  left(): void {
    this.size--
    if (this.size === 0) this.clear()
    else if (this.waiting.length - this.head > 2 * this.size) {
      this.waiting = this.waiting.slice(this.head).filter((request) => (request as Settling).settled === undefined)
      this.head = 0
    }
    this.onLeft?.(this)
  }

  private clear(): void {
    this.waiting = none
    this.head = 0
  }
}

/** Requests of several connections that wait: connections have turns, peer by peer, and each has its own in their order. */
export class Lane<A extends Request.Request<unknown>> implements Waiting<A> {
  readonly key: unknown
  // Made when something waits: behind most keys nothing does.
  private queues: Passing<unknown, Queue<A>> | undefined = undefined
  private rounds: Rounds<Queue<A>> | undefined = undefined
  private size = 0
  /** How many have a turn to come, and nothing left for it. */
  private empty = 0

  constructor(key: unknown) {
    this.key = key
  }

  push(request: A): void {
    const queues = (this.queues ??= new Passing())
    const whose = senderOf(request)
    let queue = queues.get(whose)
    if (queue === undefined) {
      queue = new Queue<A>(whose, peerKeyOf(request.peer), this.left)
      queues.set(whose, queue)
      this.rounds ??= new Rounds()
      this.rounds.push(queue)
    }
    queue.push(request)
    this.size++
  }

  shift(): A | undefined {
    const { rounds } = this
    while (rounds !== undefined && rounds.size > 0) {
      const queue = rounds.shift()
      const request = queue.shift()
      if (request === undefined) {
        this.empty--
        continue
      }
      this.size--
      if (queue.size > 0) rounds.push(queue)
      else this.queues?.delete(queue.key)
      return request
    }
    return undefined
  }

  othersWait(request: A): boolean {
    return this.size > (this.queues?.get(senderOf(request))?.size ?? 0)
  }

  private readonly left = (queue: Queue<A>): void => {
    this.size--
    if (queue.size > 0) return
    this.queues?.delete(queue.key)
    this.empty++
    const { rounds } = this
    if (rounds === undefined || this.empty <= mostEmpty || this.empty < rounds.size / 2) return
    const left = new Rounds<Queue<A>>()
    while (rounds.size > 0) {
      const each = rounds.shift()
      if (each.size > 0) left.push(each)
    }
    this.rounds = left
    this.empty = 0
  }
}

/** Its connection; of a datagram, which is one by itself, whoever has sent it. */
const senderOf = ({ connection, peer }: Request.Request<unknown>): unknown =>
  connection.kind === "datagram" ? peer.name : connection

/** A request that tells where it waits that it has its outcome. */
interface Settling {
  readonly settled?: unknown
  waitsIn?: { left(): void } | undefined
}

/** A list of one in which nothing waits, as of most; nothing is ever put into it. */
const none: Array<never> = []

// So many whose turn comes to nothing are left alone.
const mostEmpty = 32
