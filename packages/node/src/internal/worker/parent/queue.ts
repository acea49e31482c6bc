/** What waits for a worker, and in which order. */
import type { Call } from "./call.ts"

/**
 * The calls that wait and how many they are, wherever they do: for whoever has
 * room, for one worker alone, or with a worker that was given them ahead.
 */
export class Queue {
  private readonly limit: number
  /** Those that wait for whoever has room. */
  private line: Array<Call> = []
  /** All that wait, and have somebody waiting for them. */
  private readonly waiting = new Set<Call>()
  private arrived = 0

  constructor(limit: number) {
    this.limit = limit
  }

  get size(): number {
    return this.waiting.size
  }

  get isFull(): boolean {
    return this.waiting.size >= this.limit
  }

  /** A call has come. Its place is after those that came before. */
  enter(call: Call): void {
    call.arrive(++this.arrived)
  }

  /** Lets a call wait for whoever has room, or in a line of its own; whether it is the only one there. */
  add(call: Call, line: Array<Call> = this.line): boolean {
    this.waiting.add(call)
    return line.push(call) === 1
  }

  /** Lets calls that have waited before wait again, before all others. */
  putBack(calls: ReadonlyArray<Call>): void {
    for (const call of calls) this.waiting.add(call)
    this.line.unshift(...calls.toSorted((a, b) => a.sequence - b.sequence))
  }

  /** What has waited longest. It waits until it {@link leave}s. */
  next(line: Array<Call> = this.line): Call | undefined {
    let call = line.shift()
    while (call?.isFinished === true) call = line.shift()
    return call
  }

  /** A call waits no more, if it has: it begins, or nobody waits for it. */
  leave(call: Call): void {
    if (!this.waiting.delete(call)) return
    // Those that have left are passed over when their turn comes. It must not take too many.
    if (this.line.length > 2 * this.size + 64) this.line = this.line.filter(({ isFinished }) => !isFinished)
  }

  /** What waits for whoever has room, of which nothing waits any more. */
  takeAll(): ReadonlyArray<Call> {
    const calls = this.line.filter((call) => !call.isFinished)
    this.line = []
    for (const call of calls) this.leave(call)
    return calls
  }
}
