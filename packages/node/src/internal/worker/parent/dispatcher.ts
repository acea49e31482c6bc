/** Which worker gets which call. */
import * as Outcome from "@socketserver/core/Outcome"
import type { Call } from "./call.ts"
import { noEnd } from "./child.ts"
import type { Crew } from "./crew.ts"
import type { PoolOptions } from "./options.ts"
import { type Parts, Prefetch } from "./prefetch.ts"
import type { WorkerHandle } from "./workerHandle.ts"

/** Decides which worker gets which call, and when: as many at a time as it may have, in the order in which they came. */
export class Dispatcher {
  private readonly options: PoolOptions
  private readonly sticky: boolean
  private readonly parts: Parts
  private readonly crew: Crew
  private readonly prefetch: Prefetch
  private readonly onRecycled: () => void
  /** Ready workers with room, the one first that has waited longest. */
  private readonly idle = new Set<WorkerHandle>()

  constructor(options: PoolOptions, sticky: boolean, parts: Parts, crew: Crew, onRecycled: () => void) {
    this.options = options
    this.sticky = sticky
    this.parts = parts
    this.crew = crew
    this.prefetch = new Prefetch(options, sticky, parts)
    this.onRecycled = onRecycled
    parts.queue.onRead = (connection) => this.goOn(connection)
  }

  /** Has a call done, now or when a worker has room. */
  submit(call: Call): void {
    const { affinity, order, queue } = this.parts
    queue.enter(call)
    const own = affinity.workerOf(call.connection)
    if (own !== undefined) return this.submitTo(own, call)
    const worker = this.sticky || !order.mayBegin(call) ? undefined : first(this.idle)
    if (worker !== undefined) return queue.holds(call) ? undefined : this.assign(worker, call)
    if (this.sticky) return queue.add(call, { add: (call) => affinity.hold(call) })
    queue.add(call)
    this.prefetch.fillLeast()
    this.crew.grow()
  }

  /** Gives the connection of a call to one worker for good, and lets that set up its state; later, if there is none. */
  bind(call: Call): void {
    const { affinity, queue, quota } = this.parts
    const able = [...this.parts.workers].filter((worker) => worker.state === "ready" && !quota.isDone(worker))
    const worker = affinity.fewest(able, this.options.recycle)
    if (worker === undefined) {
      affinity.postpone(call)
      return this.crew.grow()
    }
    const waiting = affinity.bind(call.connection, worker)
    this.assign(worker, call)
    for (const call of waiting) {
      if (call.isFinished) continue
      queue.leave(call)
      this.submitTo(worker, call)
    }
  }

  /** Nobody waits for a call any more. */
  cancel(call: Call): void {
    this.parts.queue.cancel(call)
    for (const worker of this.parts.workers) {
      // Taken back before it began, it leaves its place to the next.
      if (worker.cancel(call)) return this.dispatch(worker)
    }
  }

  /** Gives a worker its next calls, or lets it go. */
  dispatch(worker: WorkerHandle): void {
    const { affinity, queue, quota } = this.parts
    const { each } = this.options
    const { calls } = worker
    while (calls.taken < each) {
      const call = calls.promote()
      if (call === undefined) break
      queue.leave(call)
    }
    if (worker.state !== "ready") return
    const own = affinity.lineOf(worker)
    while (own !== undefined && calls.taken < each) {
      const call = queue.next(() => true, own)
      if (call === undefined) break
      queue.leave(call)
      this.assign(worker, call)
    }
    if (calls.size === 0 && this.crew.isOver) quota.exhaust(worker)
    if (quota.isDone(worker)) {
      this.idle.delete(worker)
      if (calls.size > 0) return
      if (!quota.isExhausted(worker)) this.onRecycled()
      this.retire(worker)
      return this.crew.grow()
    }
    if (calls.taken < each) this.idle.add(worker)
    this.feed()
  }

  /** Gives what waits to who has room, and then to who will have some. */
  feed(): void {
    const { order, queue } = this.parts
    while (this.idle.size > 0) {
      const call = queue.next((call) => order.mayBegin(call)) ?? this.prefetch.takeBack()
      if (call === undefined) break
      queue.leave(call)
      this.assign(first(this.idle) as WorkerHandle, call)
    }
    // Also those that have just been given their first.
    this.prefetch.fillAll()
    this.crew.grow()
  }

  /** The peer of a connection has read: what waits of it goes on. */
  private goOn(connection: Call["connection"]): void {
    const own = this.parts.affinity.workerOf(connection)
    if (own === undefined) this.feed()
    else this.dispatch(own)
  }

  /** What was given ahead of a connection whose peer does not read waits for that. */
  takeFromUnread({ connection, isUnread }: Call): void {
    if (this.sticky || !isUnread) return
    const waits = (call: Call) => call.connection === connection && !call.mayBegin
    this.restore(
      [...this.parts.workers].flatMap(({ calls }) => calls.takeBackAhead(waits)),
      "first"
    )
  }

  /** Takes back what was given to those that are late. */
  takeFromLate(): void {
    this.restore(this.prefetch.takeBackFromLate(), "first")
  }

  /** Who waits and has nothing gets the turn of those that have more. */
  takeForNewcomers(): void {
    this.restore(this.prefetch.takeBackForNewcomers(), "last")
  }

  /** Takes back what was given to one that waits, if it does. */
  takeFromHeld(worker: WorkerHandle): void {
    if (worker.calls.isHeld) this.restore(this.prefetch.takeBackFrom(worker), "first")
  }

  /** What was given ahead waits again as if it had not been. */
  private restore(calls: ReadonlyArray<Call>, place: "first" | "last"): void {
    if (calls.length === 0) return
    this.parts.queue.restore(calls, place)
    this.feed()
  }

  /** Lets calls that have not begun wait again, before all others. */
  requeue(calls: ReadonlyArray<Call>): void {
    this.putBack(calls)
    this.feed()
  }

  putBack(calls: ReadonlyArray<Call>): void {
    const { queue } = this.parts
    for (const call of calls) queue.leave(call)
    const wanted = calls.filter((call) => !call.isFinished)
    if (!this.crew.isClosed && !this.sticky) return queue.putBack(wanted)
    const refusal = this.crew.isClosed ? "the server has stopped" : "the worker of its connection stops"
    for (const call of wanted) call.onRefused(refusal)
  }

  /** A worker is to be given nothing more, and what it has not begun goes to others. */
  withdraw(worker: WorkerHandle): void {
    this.exclude(worker)
    if (!this.sticky) this.requeue(worker.calls.takeBackAll())
  }

  retire(worker: WorkerHandle): void {
    worker.retire()
    this.exclude(worker)
  }

  /** Gives a worker nothing more of what waits for whoever has room. */
  exclude(worker: WorkerHandle): void {
    this.idle.delete(worker)
  }

  private assign(worker: WorkerHandle, call: Call): void {
    const { connections, pace, quota } = this.parts
    const { calls } = worker
    connections.introduce(worker, call.connection)
    if (calls.taken === 0) pace.begins(worker)
    calls.give(call)
    this.idle.delete(worker)
    if (calls.taken < this.options.each && !quota.isDone(worker)) this.idle.add(worker)
  }

  private submitTo(worker: WorkerHandle, call: Call): void {
    const { affinity, queue } = this.parts
    if (worker.state === "ended") return call.onCrash(Outcome.workerCrashed({ worker: worker.name, ...noEnd }))
    const line = affinity.lineOf(worker)
    if (worker.calls.taken < this.options.each) return queue.holds(call, line) ? undefined : this.assign(worker, call)
    queue.add(call, line)
    this.prefetch.fill(worker)
  }
}

const first = <A>(set: ReadonlySet<A>): A | undefined => {
  for (const a of set) return a
  return undefined
}
