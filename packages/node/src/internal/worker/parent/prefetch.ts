/** Giving calls ahead of their turn, and taking them back. */
import type { Affinity } from "./affinity.ts"
import type { Call } from "./call.ts"
import type { Connections } from "./connections.ts"
import type { PoolOptions } from "./options.ts"
import type { Order } from "./order.ts"
import type { Pace } from "./pace.ts"
import type { Queue } from "./queue.ts"
import type { Quota } from "./quota.ts"
import type { WorkerHandle } from "./workerHandle.ts"

/** What those who give out calls share. */
export interface Parts {
  readonly workers: ReadonlySet<WorkerHandle>
  readonly queue: Queue
  readonly order: Order
  readonly affinity: Affinity
  readonly connections: Connections
  readonly quota: Quota
  readonly pace: Pace
}

/**
 * What busy workers are given ahead of their turn, before they run dry: they go
 * from one call to the next without a way to here and back, and are sent many at
 * a time. These calls still wait: who has nothing to do takes them back.
 */
export class Prefetch {
  private readonly options: PoolOptions
  private readonly sticky: boolean
  private readonly parts: Parts

  constructor(options: PoolOptions, sticky: boolean, parts: Parts) {
    this.options = options
    this.sticky = sticky
    this.parts = parts
  }

  /** Gives a busy worker several of what waits. */
  fill(worker: WorkerHandle): void {
    const { each } = this.options
    const { affinity, connections, order, pace, queue, quota } = this.parts
    const { calls } = worker
    const { ahead } = pace
    if (calls.taken < each || calls.prefetched > ahead / 2 || calls.isHeld) return
    if (quota.isDone(worker) || pace.isLate(worker)) return
    const most = affinity.countOf(worker) > 0 ? ahead : Math.min(ahead, quota.roomOf(worker))
    const { sharers } = this
    const own = affinity.lineOf(worker)
    while (calls.prefetched < most && calls.prefetchedBytes < mostBytes && canHaveMore(worker)) {
      const call = this.sticky
        ? own && queue.next(() => true, own)
        : queue.next((call) => order.mayPrefetch(call, calls, queue.line.connections, sharers))
      if (call === undefined) return
      connections.introduce(worker, call.connection)
      calls.give(call, true)
    }
  }

  /** How many share what waits. */
  private get sharers(): number {
    const { pace, workers } = this.parts
    let sharers = 0
    for (const worker of workers) if (worker.state === "ready" && !pace.isLate(worker)) sharers++
    return sharers
  }

  /** Gives some to all that have little. */
  fillAll(): void {
    if (this.parts.queue.size > 0) for (const worker of this.parts.workers) this.fill(worker)
  }

  /** Gives some to who has least of those with enough to do. */
  fillLeast(): void {
    const { pace, workers } = this.parts
    let least: WorkerHandle | undefined
    for (const worker of workers) {
      if (worker.calls.taken < this.options.each || !canHaveMore(worker) || pace.isLate(worker)) continue
      if (least === undefined || worker.calls.prefetched < least.calls.prefetched) least = worker
    }
    if (least !== undefined) this.fill(least)
  }

  /** Takes everything back from one that gets on with nothing, where others may. */
  takeBackFrom({ calls }: WorkerHandle): ReadonlyArray<Call> {
    const taken: Array<Call> = []
    if (this.sticky || this.parts.workers.size === 1) return taken
    for (let call = calls.takeBackPrefetched(); call !== undefined; call = calls.takeBackPrefetched()) taken.push(call)
    return taken
  }

  /** Takes one call back from whoever has one. */
  takeBack(): Call | undefined {
    if (this.sticky) return undefined
    for (const worker of this.parts.workers) {
      let call = worker.calls.takeBackPrefetched()
      // One that was cancelled stays there until its worker has heard of it.
      while (call !== undefined && (call.isFinished || this.parts.queue.holds(call))) {
        call = worker.calls.takeBackPrefetched()
      }
      if (call !== undefined) return call
    }
    return undefined
  }

  /**
   * Takes back what others have ahead besides what is at work for them, where somebody waits for whom nothing is, nor
   * will be next. By then all that is at work may take long, and four more of it would come first.
   */
  takeBackForNewcomers(): ReadonlyArray<Call> {
    const { queue, workers } = this.parts
    const { line } = queue
    if (this.sticky || line.connections === 0) return []
    const known = new Set<Call["connection"] | string>()
    const atWork = new Set<Call["connection"] | string>()
    let ahead = 0
    for (const { calls } of workers) {
      ahead += calls.prefetched
      calls.forEach(({ connection }, isAhead) => {
        const peer = line.keyOf(connection)
        known.add(connection).add(peer)
        if (!isAhead) atWork.add(connection).add(peer)
      })
    }
    const newcomer = ahead === 0 ? undefined : line.newcomers(known)
    if (newcomer === undefined) return []
    const hasMore = ({ connection }: Call): boolean =>
      atWork.has(connection) || (newcomer === "peer" && atWork.has(line.keyOf(connection)))
    return [...workers].flatMap(({ calls }) => calls.takeBackAhead(hasMore))
  }

  /** Takes everything back from those that take much longer than others, whom it would wait for. */
  takeBackFromLate(): ReadonlyArray<Call> {
    const taken: Array<Call> = []
    for (const worker of this.parts.workers) {
      if (worker.calls.prefetched > 0 && this.parts.pace.isLate(worker)) taken.push(...this.takeBackFrom(worker))
    }
    return taken
  }
}

/** How much a worker is given ahead, in bytes: the last may pass it. */
const mostBytes = 262_144

/** Whether it can be given a call that can be taken back. */
const canHaveMore = ({ calls, state }: WorkerHandle): boolean => state === "ready" && calls.canClaim
