/** How many workers there are: starting them, replacing them, and what is said of it. */
import * as Outcome from "@socketserver/core/Outcome"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Backoff, longestDelay } from "./backoff.ts"
import { NoRoom, noEnd } from "./child.ts"
import type { PoolMetrics } from "./metrics.ts"
import type { PoolOptions } from "./options.ts"
import type { Order } from "./order.ts"
import type { Setting } from "./setting.ts"
import { type Ending, type Owner, WorkerHandle } from "./workerHandle.ts"

/** What a crew has to be told. */
export interface Demand {
  /** How many calls wait. */
  readonly waiting: () => number
  /** How many of them others wait for that have begun, on workers in whose place others are already. */
  readonly stranded: () => number
  /** Whether a worker takes nothing more. */
  readonly isDone: (worker: WorkerHandle) => boolean
  /** So many starts have failed, and none is ready, that nobody should wait for the next. */
  readonly onHopeless: (crash: Outcome.WorkerCrashed) => void
}

/**
 * The workers of a pool: as many are started as there should be, and those that
 * end are replaced; after a start that failed, with back-off.
 */
export class Crew {
  readonly workers = new Set<WorkerHandle>()
  private readonly startedAt = new WeakMap<WorkerHandle, number>()
  private readonly options: PoolOptions
  private readonly setting: Setting
  private readonly owner: Owner
  private readonly demand: Demand
  private readonly order: Order
  private readonly metrics: PoolMetrics
  readonly backoff: Backoff
  private closed = false
  /** Whether the first worker is waited for, whose failure is that of the whole start. */
  private isOpening = true
  private endedAt = -Infinity
  private crampedAt = -Infinity
  /** Whether another one is started at the end of this turn. */
  private isGrowing = false
  private addedAt = -Infinity
  /** How much of a core the last start took, in milliseconds. */
  private spentMillis = usualMillis
  /** Calls off the next start, which waits for its moment. */
  private unpace: (() => void) | undefined = undefined
  private nextAt = Infinity
  private watchers: Array<() => void> = []

  constructor(
    options: PoolOptions,
    setting: Setting,
    owner: Owner,
    demand: Demand,
    order: Order,
    metrics: PoolMetrics
  ) {
    this.options = options
    this.setting = setting
    this.owner = owner
    this.demand = demand
    this.order = order
    this.metrics = metrics
    this.backoff = new Backoff(setting.tick)
  }

  get isClosed(): boolean {
    return this.closed
  }

  /** Starts the first workers, and waits until one of them is ready; fails with what is wrong if none will be. */
  readonly open: Effect.Effect<void, string> = Effect.callback((resume) => {
    const opened = (result: Effect.Effect<void, string>) => {
      this.isOpening = false
      resume(result)
    }
    const look = () => {
      if (hasReady(this.workers)) opened(Effect.void)
      else if (this.backoff.lastFailure !== undefined) opened(Effect.fail(this.backoff.lastFailure))
      else this.watchers.push(look)
    }
    this.grow()
    // One shows whether workers can be had, also where none is kept.
    if (this.workers.size === 0) this.add()
    look()
  })

  /** No worker is started any more. */
  close(): void {
    this.closed = true
    this.unpace?.()
    this.backoff.stop()
    this.metrics.stop()
  }

  /** Waits until all workers have ended. */
  readonly ended: Effect.Effect<void> = Effect.callback((resume) => {
    const look = () => {
      if (this.workers.size === 0) resume(Effect.void)
      else this.watchers.push(look)
    }
    look()
  })

  /** Starts as many workers as there should be, one a turn: starting one holds the event loop for milliseconds, and others want to be accepted. */
  grow(): void {
    this.changed()
    if (this.closed || this.backoff.isPaused) return
    const { fixed, max, spares } = this.options
    let busy = 0
    let ending = 0
    let starting = 0
    for (const worker of this.workers) {
      // One that takes far longer than its work does waits for something, and leaves the cores to others.
      if (worker.state === "starting" && this.ageOf(worker) < 4 * this.spentMillis) starting++
      if (worker.state === "retiring" || this.demand.isDone(worker)) ending++
      else if (worker.calls.taken > 0) busy++
    }
    // Those that end make room in a pool of a fixed size, and count where the number of processes is what is bounded.
    const want = fixed
      ? max + ending + this.demand.stranded()
      : Math.min(max, busy + ending + this.demand.waiting() + spares)
    if (this.workers.size >= want || this.isGrowing || this.waits(starting)) return
    this.add()
    if (this.workers.size >= want) return
    this.isGrowing = true
    this.setting.tick.afterTurn(() => {
      this.isGrowing = false
      this.grow()
    })
  }

  /**
   * Whether the next start waits for its moment: more processes that start together than there
   * are cores would all be ready together, late, and nobody would be answered until then.
   */
  private waits(starting: number): boolean {
    const { fixed, startsAtOnce = Infinity } = this.options
    // Where nobody waits, a spare may start beside others: it is for who comes next.
    if (fixed || starting < startsAtOnce || this.demand.waiting() === 0) return false
    // As many as the cores have time for, and again as long: handlers and ends take theirs, and each other's caches.
    const due = this.addedAt + (2 * this.spentMillis) / startsAtOnce
    const left = due - this.setting.tick.now()
    if (left <= 0) return false
    // A later start may have taken less, so that the moment has come closer.
    if (this.nextAt <= due) return true
    this.unpace?.()
    this.nextAt = due
    this.unpace = this.setting.tick.after(Math.max(1, left), () => {
      this.nextAt = Infinity
      this.grow()
    })
    return true
  }

  /** Whether there are more than there should be, after one more was needed. */
  get isOver(): boolean {
    const { fixed, max } = this.options
    if (!fixed || this.workers.size <= max) return false
    let lasting = 0
    for (const worker of this.workers) if (worker.state !== "retiring" && !this.demand.isDone(worker)) lasting++
    return lasting > max + this.demand.stranded()
  }

  onReady(worker: WorkerHandle, spentMillis: number): void {
    this.backoff.succeeded()
    if (spentMillis > 0) this.spentMillis = spentMillis
    this.metrics.start(this.ageOf(worker) / 1_000)
  }

  /** A worker has ended, with so many calls that it had begun. */
  onEnd(worker: WorkerHandle, { wasAsked, wasReady }: Ending, crash: Outcome.WorkerCrashed, begun: number): void {
    this.endedAt = this.setting.tick.now()
    if (wasAsked || this.closed) return
    this.metrics.crashed(1)
    // One that ends of itself before it has done anything is no better than one that does not start.
    const unused = worker.calls.done === 0 && begun === 0 && !isFromOutside(crash)
    if (this.ageOf(worker) > longestDelay) this.backoff.isWell()
    if (!wasReady || unused) this.failedToStart(crash, wasReady ? "before it was used" : "before it was ready")
  }

  /** Something that somebody may wait for has changed. */
  changed(): void {
    this.metrics.changed()
    const { watchers } = this
    this.watchers = []
    for (const watch of watchers) watch()
  }

  private add(): void {
    const { setting } = this
    this.addedAt = setting.tick.now()
    const started = Result.try({ try: setting.start, catch: (error) => error })
    if (Result.isFailure(started)) {
      const reason = started.failure instanceof Error ? started.failure.message : String(started.failure)
      if (started.failure instanceof NoRoom && this.makesRoom) return this.cramped(reason)
      const crash = Outcome.workerCrashed({ worker: "that could not be started", ...noEnd, reason })
      return this.failedToStart(crash, "before it was ready")
    }
    const worker = new WorkerHandle(started.success, this.owner, this.options, this.order, setting.tick)
    this.startedAt.set(worker, setting.tick.now())
    this.workers.add(worker)
  }

  /** Whether there is a worker that can end, or one whose descriptors are just being closed. */
  private get makesRoom(): boolean {
    return this.workers.size > 0 || this.setting.tick.now() - this.endedAt < 1_000
  }

  /** There is no room for more workers, but there will be. */
  private cramped(reason: string): void {
    const { context, service, tick } = this.setting
    this.backoff.pause(crampedMillis, () => this.grow())
    if (tick.now() - this.crampedAt < silentMillis) return
    this.crampedAt = tick.now()
    const line = `${service}: ${reason} (more: ulimit -n, LimitNOFILE=); requests wait for one of ${this.workers.size} to end`
    Effect.runForkWith(context)(Effect.logWarning(line))
  }

  /** Tries again later; whoever waits meanwhile does not wait for ever. */
  private failedToStart(crash: Outcome.WorkerCrashed, when: string): void {
    const { context, service } = this.setting
    const problem = Outcome.describe(crash).replace("before it had answered", when)
    // A signal to all processes of a program ends those that are not there yet.
    const delay = this.backoff.failed(isSignalled(crash) ? undefined : problem, !isFromOutside(crash), () =>
      this.grow()
    )
    const ends = this.isOpening && this.backoff.lastFailure !== undefined
    const line = Outcome.printable(`${service}: ${problem}; the next start is in ${delay} ms`)
    if (!ends) Effect.runForkWith(context)(Effect.annotateLogs(Effect.logError(line), { server: service }))
    if (!hasReady(this.workers) && this.backoff.isHopeless) this.demand.onHopeless(crash)
  }

  private ageOf(worker: WorkerHandle): number {
    return this.setting.tick.now() - (this.startedAt.get(worker) ?? 0)
  }
}

/** What a start takes of a core, until one has said so. */
const usualMillis = 200

/** Another worker, or what else has taken the room, may have ended by then. */
const crampedMillis = 100

/** What goes on for long is not told of more often. */
const silentMillis = 10_000

const hasReady = (workers: Iterable<WorkerHandle>): boolean => {
  for (const { state } of workers) if (state === "ready") return true
  return false
}

/** Who is killed from outside has not failed by itself. */
const isFromOutside = (crash: Outcome.WorkerCrashed): boolean =>
  isSignalled(crash) || (crash.signal === "SIGKILL" && crash.reason === undefined)

/** A worker minds none of these once it is there. */
const isSignalled = ({ reason, signal }: Outcome.WorkerCrashed): boolean =>
  reason === undefined && (signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP")
