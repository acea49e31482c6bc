/** What waits for peers that do not read what they are sent. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type { Call } from "./call.ts"
import type { Turns } from "./turns.ts"

type Ref = Connection.Ref<never>

/** The calls of a connection that wait, and where they have waited for their turn. */
interface Aside {
  readonly calls: Array<Call>
  readonly line: Turns
}

/**
 * Calls of connections that may have nothing further begun: so much is unsent there. They
 * wait aside, where they take no place from others, until their peers have read.
 */
export class Unread {
  private readonly aside = new Remote.Passing<Ref, Aside>()
  private readonly onRead: (connection: Ref, calls: ReadonlyArray<Call>, line: Turns) => void

  /** `onRead` gets those of a connection that may go on. */
  constructor(onRead: (connection: Ref, calls: ReadonlyArray<Call>, line: Turns) => void) {
    this.onRead = onRead
  }

  /** Whether a call waits, from now on: none begins before those that came before it. */
  holds(call: Call, line: Turns): boolean {
    const { calls = [] } = this.aside.get(call.connection) ?? {}
    const first = calls[0]
    if (first !== undefined && first.sequence < call.sequence) {
      calls.splice(calls.findLastIndex(({ sequence }) => sequence < call.sequence) + 1, 0, call)
      return true
    }
    // One that comes back from a worker may be before them.
    if (call.mayBegin) return false
    if (first === undefined) this.aside.set(call.connection, { calls, line })
    calls.unshift(call)
    this.await(call)
    return true
  }

  /** Nobody waits for a call any more. */
  leave(call: Call): void {
    const { calls } = this.aside.get(call.connection) ?? {}
    const at = calls?.indexOf(call) ?? -1
    if (calls === undefined || at === -1) return
    calls.splice(at, 1)
    const [first] = calls
    if (first === undefined) this.aside.delete(call.connection)
    else if (at === 0) this.await(first)
  }

  /** The first of a connection is the one that is waited for. */
  private await(first: Call): void {
    first.whenMayBegin(() => this.goOn(first.connection))
  }

  /** All that wait, of which none waits any more. */
  takeAll(): ReadonlyArray<Call> {
    const calls = [...this.aside.values()].flatMap(({ calls }) => calls)
    this.aside.clear()
    return calls
  }

  private goOn(connection: Ref): void {
    const aside = this.aside.get(connection)
    if (aside === undefined) return
    this.aside.delete(connection)
    this.onRead(connection, aside.calls, aside.line)
  }
}
