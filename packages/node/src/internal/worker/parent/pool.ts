/** The pool of a server's workers, whole: whoever has a call done by a worker starts here. */
import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import type { Room } from "@socketserver/core/Policy"
import * as Effect from "effect/Effect"
import { Affinity } from "./affinity.ts"
import type { Call } from "./call.ts"
import { noEnd } from "./child.ts"
import { Connections } from "./connections.ts"
import { Crew } from "./crew.ts"
import { Dispatcher } from "./dispatcher.ts"
import { Holds } from "./holds.ts"
import { PoolMetrics } from "./metrics.ts"
import { aheadOf, type PoolOptions } from "./options.ts"
import { Order } from "./order.ts"
import { Pace } from "./pace.ts"
import { Queue } from "./queue.ts"
import { Quota } from "./quota.ts"
import type { Setting } from "./setting.ts"
import { Turns } from "./turns.ts"
import type { Ending, Owner, WorkerHandle } from "./workerHandle.ts"

/**
 * The workers of one server, and the calls that wait for them.
 *
 * It has each call done by a worker, and answers for those whose worker ends
 * badly. What that takes are rooms of their own: the {@link Crew} has the workers,
 * the {@link Dispatcher} decides who gets what. It knows neither threads nor
 * processes, and no handler.
 */
export class Pool {
  private readonly retries: number
  private readonly prefetch: number
  private looksSoon: (() => void) | undefined = undefined
  private readonly setting: Setting
  private readonly affinity = new Affinity()
  private readonly order = new Order()
  private readonly pace: Pace
  private readonly queue: Queue
  private readonly quota: Quota
  private readonly connections: Connections
  private readonly crew: Crew
  private readonly dispatcher: Dispatcher
  private readonly holds: Holds

  constructor(options: PoolOptions, setting: Setting) {
    const { affinity, order } = this
    const { context, service, sticky, tick } = setting
    this.retries = options.retries
    this.prefetch = options.prefetch
    this.setting = setting
    this.pace = new Pace(aheadOf(options), () => tick.now())
    // Where each request starts a process, who comes is answered beside many that ask all the time.
    const line = new Turns(options.fixed ? "ring" : "firstTimersFirst")
    this.queue = new Queue(options.queue, line, () => this.holds.wantedChanged())
    this.holds = new Holds(tick, {
      millis: () => options.placeMillis,
      isWanted: (worker, { connection }) =>
        sticky ? affinity.lineOf(worker)?.hasOther(connection) === true : this.queue.hasOther(connection),
      onExpired: (call) => call.abandon()
    })
    this.quota = new Quota(options.recycle, affinity)
    this.connections = new Connections(context)
    const metrics = new PoolMetrics(context, { server: service, policy: options.policy }, tick, () => {
      const starting = [...this.crew.workers].filter(({ state }) => state === "starting").length
      return { alive: this.crew.workers.size - starting, starting, queued: this.queue.size }
    })
    this.crew = new Crew(options, setting, this.owner, this.demand, order, metrics)
    const { connections, pace, queue, quota } = this
    const parts = { workers: this.crew.workers, order, affinity, connections, pace, queue, quota }
    this.dispatcher = new Dispatcher(options, sticky, parts, this.crew, () => metrics.recycled(1))
  }

  /** Who has which requests, by their numbers: those whose turn has come, and those that were given ahead. */
  get places(): ReadonlyArray<{
    readonly name: string
    readonly has: ReadonlyArray<number>
    readonly next: ReadonlyArray<number>
  }> {
    return [...this.crew.workers].map(({ calls, name }) => ({ name, ...calls.requests }))
  }

  /** Starts the first workers, and waits until one of them is ready; fails with what is wrong if none will be. */
  get open(): Effect.Effect<void, string> {
    return this.crew.open
  }

  /** Where calls wait. */
  get room(): Room {
    return this.queue.room
  }

  /** Ends all workers; those that do not end by themselves are killed. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.crew.close()
    this.holds.stop()
    this.looksSoon?.()
    for (const call of this.queue.takeAll()) call.onRefused("the server has stopped")
    for (const worker of this.crew.workers) this.dispatcher.retire(worker)
    return this.crew.ended
  })

  /** Has a call done, now or when a worker has room. */
  submit(call: Call): void {
    if (this.crew.isClosed) return call.onRefused("the server has stopped")
    this.dispatcher.submit(call)
    this.waits()
  }

  /** Something may wait: in a moment it is looked whether that is somebody's first, behind much of others. */
  private waits(): void {
    if (this.looksSoon !== undefined || this.prefetch === 0 || this.queue.line.connections === 0) return
    this.looksSoon = this.setting.tick.after(newcomerMillis, () => {
      this.looksSoon = undefined
      this.dispatcher.takeForNewcomers()
      this.waits()
    })
  }

  /** Gives a connection to one worker for good, and lets that set up its state. */
  setUp(call: Call): void {
    if (this.crew.isClosed) return call.onRefused("the server has stopped")
    this.connections.atEnd(call.connection, () => {
      this.cancel(call)
      const worker = this.affinity.unbind(call.connection)
      if (worker !== undefined) this.dispatcher.dispatch(worker)
    })
    this.dispatcher.bind(call)
  }

  /** Nobody waits for a call any more. */
  cancel(call: Call): void {
    if (call.finish()) this.dispatcher.cancel(call)
  }

  /** Calls `f` when a connection ends; see {@link Connections.atEnd}. */
  atEnd(connection: Connection.Ref<never>, f: () => void): () => void {
    return this.connections.atEnd(connection, f)
  }

  /** What workers report. */
  private get owner(): Owner {
    return {
      onReady: (worker, spentMillis) => {
        this.crew.onReady(worker, spentMillis)
        for (const call of this.affinity.takePostponed()) this.dispatcher.bind(call)
        this.dispatcher.dispatch(worker)
        this.crew.changed()
      },
      onFreed: (worker, call) => this.freed(worker, call),
      onBegun: () => this.dispatcher.feed(),
      onReturned: (worker, call) => {
        this.quota.exhaust(worker)
        this.dispatcher.requeue([call])
        this.dispatcher.dispatch(worker)
      },
      onDropped: (worker, calls) => {
        this.dispatcher.requeue(calls)
        this.dispatcher.dispatch(worker)
      },
      onWaiting: (worker, call) => {
        if (!call.isHeld) return this.holds.goOn(call)
        this.holds.wait(call, worker)
        // Others may do what it has ahead, unless it goes on at once.
        this.setting.tick.afterTurn(() => this.dispatcher.takeFromHeld(worker))
      },
      onGone: (call) => this.holds.forget(call),
      onKill: (worker) => this.dispatcher.withdraw(worker),
      onEnd: (worker, ending) => this.ended(worker, ending),
      onPush: (worker, id, connection, message) => this.connections.push(worker, id, connection, message),
      onClose: (call, connection) => this.connections.close(call, connection),
      onShutdown: (worker) => {
        Effect.runForkWith(this.setting.context)(this.setting.shutdown)
        // Its own server takes nothing any more; what it has begun it ends.
        this.dispatcher.exclude(worker)
        this.quota.exhaust(worker)
        this.dispatcher.dispatch(worker)
      },
      onUnreleased: this.setting.unreleased
    }
  }

  private get demand() {
    return {
      waiting: () => this.queue.size,
      stranded: () => this.queue.strandedSize,
      isDone: (worker: WorkerHandle) => this.quota.isDone(worker),
      onHopeless: (crash: Outcome.WorkerCrashed) => {
        for (const call of this.queue.takeAll()) call.onCrash(crash)
        for (const setUp of this.affinity.takePostponed()) {
          setUp.onCrash(crash)
          for (const call of this.affinity.takeHeld(setUp.connection)) {
            this.queue.leave(call)
            if (!call.isFinished) call.onCrash(crash)
          }
        }
      }
    }
  }

  private freed(worker: WorkerHandle, call: Call): void {
    this.crew.backoff.isWell()
    this.pace.did(worker)
    if (!call.isFinished) {
      call.onCrash(Outcome.workerCrashed({ worker: worker.name, ...noEnd, reason: "it gave no answer" }))
    }
    this.dispatcher.takeFromLate()
    this.dispatcher.takeFromUnread(call)
    this.dispatcher.dispatch(worker)
  }

  private ended(worker: WorkerHandle, ending: Ending): void {
    this.crew.workers.delete(worker)
    this.dispatcher.exclude(worker)
    this.connections.drop(worker)
    this.pace.drop(worker)
    const crash = Outcome.workerCrashed({ worker: worker.name, ...ending.end })
    const wasReplaced = this.quota.isDone(worker)
    const { begun, others } = worker.calls.partition()
    // What has its state there cannot go on elsewhere, begun or not.
    const lost = this.setting.sticky ? [...begun, ...others] : begun
    if (!this.setting.sticky) this.dispatcher.putBack(others)
    this.crew.onEnd(worker, ending, crash, lost.length)
    const own = this.affinity.drop(worker)
    const again = [...lost, ...own.line].filter((call) => this.crashed(call, crash))
    if (this.setting.sticky) for (const call of again) this.submit(call)
    else this.dispatcher.putBack(again)
    if (wasReplaced) this.queue.strand([...others, ...again])
    this.dispatcher.feed()
    // Their state is lost with their worker.
    for (const connection of own.connections) Effect.runForkWith(this.setting.context)(connection.close)
    this.crew.grow()
    this.crew.changed()
  }

  /** Whether another worker is to do it. */
  private crashed(call: Call, crash: Outcome.WorkerCrashed): boolean {
    this.queue.leave(call)
    if (call.isFinished) return false
    if (call.mayRetry(this.retries)) return true
    call.onCrash(crash)
    return false
  }
}

// How long somebody's first call waits behind what others have ahead of their turn. Most that is quick is over by then.
const newcomerMillis = 25
