/** What waits for a worker, and in which order. */
import type * as Connection from "@socketserver/core/Connection"
import type { Room } from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import type { Call } from "./call.ts"
import type { Turns } from "./turns.ts"
import { Unread } from "./unread.ts"

/**
 * The calls that wait and how many they are, wherever they do: for whoever has
 * room, for one worker alone, or with a worker that was given them ahead.
 */
export class Queue {
  private readonly limit: number
  /** Those that wait for whoever has room. */
  readonly line: Turns
  /** All that wait, and have somebody waiting for them. */
  private readonly waiting = new Remote.Passing<Call, true>()
  /** Those whose worker had ended before it began them, and whose place there another worker has taken. */
  private readonly stranded = new Set<Call>()
  /** Who waits for room. */
  private readonly blocked = new Set<() => void>()
  private readonly unread: Unread
  private arrived = 0
  private left = 0

  /** Something waits that did not, or does so no more. */
  private readonly onChange: () => void
  /** The peer of a connection has read, and what is asked for there goes on. */
  onRead: (connection: Connection.Ref<never>) => void = () => {}

  constructor(limit: number, line: Turns, onChange: () => void = () => {}) {
    this.limit = limit
    this.line = line
    this.onChange = onChange
    this.unread = new Unread((connection, calls, line) => {
      for (const call of calls) this.waiting.set(call, true)
      line.restore(calls, "first")
      this.onChange()
      this.onRead(connection)
    })
  }

  get size(): number {
    return this.waiting.size
  }

  /** Whether there is room for one more. What comes back is put there all the same. */
  readonly room: Room = {
    isFull: () => this.waiting.size >= this.limit,
    // Whoever is in the middle of giving out calls ends that first.
    free: Effect.andThen(
      Effect.callback<void>((resume) => {
        if (this.waiting.size < this.limit) return resume(Effect.void)
        const wake = () => resume(Effect.void)
        this.blocked.add(wake)
        return Effect.sync(() => this.blocked.delete(wake))
      }),
      Effect.yieldNow
    )
  }

  /** A call has come. Its place is after those that came before. */
  enter(call: Call): void {
    call.arrive(++this.arrived)
  }

  /** Lets a call wait for whoever has room, or elsewhere. */
  add(call: Call, line: { readonly add: (call: Call) => void } = this.line): void {
    this.waiting.set(call, true)
    line.add(call)
    this.onChange()
  }

  /** The next of a line that may be taken. Those wait aside whose turn it is, and whose peers do not read. */
  next(may: (call: Call) => boolean, line: Turns = this.line): Call | undefined {
    for (;;) {
      const call = line.next(may)
      if (call === undefined || !this.holds(call, line)) return call
    }
  }

  /** Whether a call has to wait aside, since its peer does not read. */
  holds(call: Call, line: Turns = this.line): boolean {
    if (!this.unread.holds(call, line)) return false
    this.leave(call)
    return true
  }

  /** Nobody waits for a call any more. */
  cancel(call: Call): void {
    this.unread.leave(call)
    this.leave(call)
  }

  /** Whether another connection than this one waits. */
  hasOther(connection: Connection.Ref<never>): boolean {
    for (const call of this.waiting.keys()) if (call.connection !== connection) return true
    return false
  }

  get strandedSize(): number {
    return this.stranded.size
  }

  /** Calls have come back from a worker in whose place there is another one already. */
  strand(calls: ReadonlyArray<Call>): void {
    for (const call of calls) if (this.waiting.has(call)) this.stranded.add(call)
  }

  /** Lets calls that have had their turn wait again, before all others, as they came. */
  putBack(calls: ReadonlyArray<Call>): void {
    for (const call of calls) this.waiting.set(call, true)
    this.line.putBack(calls)
    this.onChange()
  }

  /** Lets calls that were given ahead wait for their turn as those of others do: see {@link Turns.restore}. */
  restore(calls: ReadonlyArray<Call>, place: "first" | "last"): void {
    for (const call of calls) if (call.isFinished) this.leave(call)
    this.line.restore(
      calls.filter((call) => this.waiting.has(call)),
      place
    )
  }

  /** A call waits no more, if it has: it begins, or nobody waits for it. */
  leave(call: Call): void {
    this.stranded.delete(call)
    if (!this.waiting.delete(call)) return
    if (this.waiting.size < this.limit) this.wake()
    this.onChange()
    if (!call.isFinished) return
    // Those that have left are passed over when their turn comes. It must not take too many.
    if (++this.left <= 2 * this.size + 64) return
    this.left = 0
    this.line.sweep()
  }

  private wake(): void {
    if (this.blocked.size === 0) return
    const blocked = [...this.blocked]
    this.blocked.clear()
    for (const wake of blocked) wake()
  }

  /** What waits for whoever has room, of which nothing waits any more. */
  takeAll(): ReadonlyArray<Call> {
    const calls = this.line.takeAll()
    for (const call of calls) this.leave(call)
    return [...calls, ...this.unread.takeAll()]
  }
}
