/** What waits takes turns: peer by peer, of a peer connection by connection, of a connection as it came. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type { Call } from "./call.ts"
import { Lanes } from "./lanes.ts"

type Ref = Connection.Ref<never>

/**
 * Calls that wait, in rings: who asks for much waits behind his own, and delays
 * others by one call of his at a time.
 */
export class Turns {
  /** The first is the one whose turn is next. */
  private peers = new Remote.Passing<string, Lanes>()
  /** Who has had a turn, where those come first that have had none. */
  private readonly had: WeakSet<Ref> | undefined
  /** What has come back after it had its turn; the earliest first. Few do. */
  private returned: Array<Call> = []
  private readonly keys = new WeakMap<Ref, string>()

  constructor(order: "ring" | "firstTimersFirst" = "ring") {
    this.had = order === "ring" ? undefined : new WeakSet()
  }

  /** How many connections have something that waits. */
  get connections(): number {
    let count = 0
    for (const lanes of this.peers.values()) count += lanes.size
    return count
  }

  /** Whether another connection than this one waits. */
  hasOther(connection: Ref): boolean {
    for (const lanes of this.peers.values()) for (const [other] of lanes) if (other !== connection) return true
    return this.returned.some((call) => call.connection !== connection)
  }

  /** Lets calls that have had their turn wait again, before all others. */
  putBack(calls: ReadonlyArray<Call>): void {
    this.returned = [...this.returned, ...calls].toSorted((a, b) => a.sequence - b.sequence)
  }

  /**
   * Lets calls that were given ahead wait again, before what comes after them on their connections. Whose turn is next
   * stays as it is; those of which nothing else waits are `"first"`, as they were, in the order of their arrival, or `"last"`.
   */
  restore(calls: ReadonlyArray<Call>, place: "first" | "last"): void {
    for (const call of calls.toSorted((a, b) => b.sequence - a.sequence)) {
      const lane = this.peers.get(this.keyOf(call.connection))?.get(call.connection)
      if (lane !== undefined) lane.unshift(call)
      else if (place === "last") this.add(call)
      else this.addFirst(call)
    }
  }

  /** Whether somebody waits who is not among these: a connection, or even a peer. */
  newcomers(known: ReadonlySet<Ref | string>): "connection" | "peer" | undefined {
    let found: "connection" | undefined
    for (const [peer, lanes] of this.peers) {
      for (const [connection, lane] of lanes) {
        if (known.has(connection) || lane.every(({ isFinished }) => isFinished)) continue
        if (!known.has(peer)) return "peer"
        found = "connection"
      }
    }
    return found
  }

  /** Lets a call wait for its turn. */
  add(call: Call): void {
    const { connection } = call
    const peer = this.keyOf(connection)
    let lanes = this.peers.get(peer)
    if (lanes === undefined) this.peers.set(peer, (lanes = new Lanes(this.had)))
    const lane = lanes.get(connection)
    if (lane === undefined) lanes.add(connection, call, "last")
    else lane.push(call)
  }

  /** Lets a call of a connection of which nothing waits have the next turn of its peer, and that the next of all if nothing of it waits. */
  private addFirst(call: Call): void {
    const { connection } = call
    const peer = this.keyOf(connection)
    let lanes = this.peers.get(peer)
    if (lanes === undefined)
      this.peers = new Remote.Passing<string, Lanes>([[peer, (lanes = new Lanes(this.had))], ...this.peers])
    lanes.add(connection, call, "next")
  }

  /** The next whose turn it is and that may be taken; it waits no more, and its peer and its connection are the last. */
  next(may: (call: Call) => boolean = () => true): Call | undefined {
    for (let at = 0; at < this.returned.length; at++) {
      const call = this.returned[at] as Call
      if (call.isFinished) this.returned.splice(at--, 1)
      else if (may(call)) return this.returned.splice(at, 1)[0]
    }
    for (const [peer, lanes] of this.peers) {
      const call = lanes.next(may)
      if (call === undefined && lanes.size > 0) continue
      this.peers.delete(peer)
      if (lanes.size > 0) this.peers.set(peer, lanes)
      if (call !== undefined) return call
    }
    return undefined
  }

  /** All that wait, of which none waits any more. */
  takeAll(): ReadonlyArray<Call> {
    const calls: Array<Call> = []
    for (let call = this.next(); call !== undefined; call = this.next()) calls.push(call)
    return calls
  }

  /** Lets go of those that nobody waits for any more. */
  sweep(): void {
    this.returned = this.returned.filter(({ isFinished }) => !isFinished)
    for (const [peer, lanes] of this.peers) {
      lanes.sweep()
      if (lanes.size === 0) this.peers.delete(peer)
    }
  }

  /** Who its peer is, for turns. */
  keyOf(connection: Ref): string {
    const known = this.keys.get(connection)
    if (known !== undefined) return known
    const key = Remote.peerKey(connection.peer)
    this.keys.set(connection, key)
    return key
  }
}
