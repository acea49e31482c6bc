/** What waits of one peer: connection by connection. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type { Call } from "./call.ts"

type Ref = Connection.Ref<never>
type Ring = Remote.Passing<Ref, Array<Call>>

/**
 * The connections of a peer of which something waits, in a ring. Where it is known who
 * had a turn before, those that had none go before others, three times in a row at most:
 * who comes beside many that ask all the time does not wait for all of them, and
 * they have every fourth turn, however often he comes again.
 */
export class Lanes {
  private ring: Ring = new Remote.Passing()
  /** Those of them that have had no turn yet. */
  private readonly fresh = new Set<Ref>()
  private readonly had: WeakSet<Ref> | undefined
  /** How often in a row a turn was taken before others. */
  private jumps = 0

  constructor(had: WeakSet<Ref> | undefined) {
    this.had = had
  }

  get size(): number {
    return this.ring.size
  }

  get(connection: Ref): Array<Call> | undefined {
    return this.ring.get(connection)
  }

  [Symbol.iterator](): Iterator<readonly [Ref, ReadonlyArray<Call>]> {
    return this.ring[Symbol.iterator]()
  }

  /** One of which nothing waits yet is the last from now on, or the next. */
  add(connection: Ref, call: Call, place: "next" | "last"): void {
    if (place === "last") this.ring.set(connection, [call])
    else this.ring = new Remote.Passing<Ref, Array<Call>>([[connection, [call]], ...this.ring])
    if (this.had?.has(connection) === false) this.fresh.add(connection)
  }

  /** The next that may be taken. Its connection is the last then. */
  next(may: (call: Call) => boolean): Call | undefined {
    const [head] = this.ring.keys()
    for (const connection of this.jumps < mostJumps ? this.fresh : []) {
      const call = this.take(connection, may)
      if (call === undefined) continue
      this.jumps = connection === head ? 0 : this.jumps + 1
      return call
    }
    this.jumps = 0
    for (const connection of this.ring.keys()) {
      const call = this.take(connection, may)
      if (call !== undefined) return call
    }
    return undefined
  }

  private take(connection: Ref, may: (call: Call) => boolean): Call | undefined {
    const { ring } = this
    const lane = ring.get(connection) as Array<Call>
    while (lane[0]?.isFinished === true) lane.shift()
    const call = lane[0]
    if (call !== undefined && !may(call)) return undefined
    this.delete(connection)
    if (call === undefined) return undefined
    lane.shift()
    this.had?.add(connection)
    if (lane.length > 0) ring.set(connection, lane)
    return call
  }

  private delete(connection: Ref): void {
    this.ring.delete(connection)
    this.fresh.delete(connection)
  }

  /** Lets go of those that nobody waits for any more. */
  sweep(): void {
    for (const [connection, lane] of this.ring) {
      const left = lane.filter(({ isFinished }) => !isFinished)
      if (left.length > 0) this.ring.set(connection, left)
      else this.delete(connection)
    }
  }
}

/** How often in a row one that has had no turn goes before those that have. */
const mostJumps = 3
