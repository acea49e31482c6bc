/** In which order the calls of a connection begin: as they came. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type { Call } from "./call.ts"

type Ref = Connection.Ref<never>

/** What was given ahead of a connection, all of it to one holder, the earliest first. */
interface Ahead {
  readonly holder: object
  readonly calls: Array<Call>
}

/**
 * What workers were given and may not have begun.
 *
 * The calls of a connection begin in their order, for one that has begun may
 * have to wait for those before it: a stream that has more to send than it may
 * keep waits for its turn, and holds its worker meanwhile. Where the one before
 * has not begun, and waits for that worker, neither would ever end. So a call is
 * given ahead only to who has all that comes before it and has not begun, and
 * that begins its own in their order. See `docs/explanation/architecture.md`.
 */
export class Order {
  private readonly ahead = new Remote.Passing<Ref, Ahead>()
  private readonly connections = new Map<object, number>()

  /** Whether nothing was given ahead that comes before a call: that may begin, whoever gets it. */
  mayBegin(call: Call): boolean {
    const first = this.ahead.get(call.connection)?.calls[0]
    return first === undefined || first.sequence >= call.sequence
  }

  /** Whether a call may be given ahead to one of so many who share what waits, which is of this many connections. */
  mayPrefetch(call: Call, holder: object, waiting: number, sharers: number): boolean {
    const ahead = this.ahead.get(call.connection)
    // Where connections are few, each of the others has some to begin, too.
    if (ahead === undefined) return this.countOf(holder) * sharers < Math.max(this.ahead.size + 1, waiting)
    return ahead.holder === holder && (ahead.calls.at(-1) as Call).sequence < call.sequence
  }

  /** A call was given ahead. */
  add(call: Call, holder: object): void {
    const ahead = this.ahead.get(call.connection)
    if (ahead !== undefined) return void ahead.calls.push(call)
    this.ahead.set(call.connection, { holder, calls: [call] })
    this.connections.set(holder, this.countOf(holder) + 1)
  }

  /** A call begins, or is given ahead no more. */
  remove(call: Call): void {
    const ahead = this.ahead.get(call.connection)
    const at = ahead?.calls.indexOf(call) ?? -1
    if (ahead === undefined || at === -1) return
    ahead.calls.splice(at, 1)
    if (ahead.calls.length > 0) return
    this.ahead.delete(call.connection)
    const left = this.countOf(ahead.holder) - 1
    if (left === 0) this.connections.delete(ahead.holder)
    else this.connections.set(ahead.holder, left)
  }

  /** Of how many connections somebody has something ahead. */
  private countOf(holder: object): number {
    return this.connections.get(holder) ?? 0
  }
}
