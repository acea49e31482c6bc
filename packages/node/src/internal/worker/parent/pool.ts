import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import type { Codec } from "@socketserver/core/Protocol"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Body, End } from "./spawn.ts"
import { Connections } from "./connections.ts"
import { decode } from "../channel/crossing.ts"
import { Backlog } from "./queue.ts"
import { Ask } from "../channel/frames.ts"
import type { Job } from "./calls.ts"
import { Member, type Owner } from "./workerHandle.ts"
import { PoolMetrics } from "./metrics.ts"
import { type PoolOptions, slotsOf } from "./options.ts"
import { fewestPins, Pins } from "./affinity.ts"
import { longestDelay, Starts } from "./backoff.ts"

interface Setting {
  readonly service: string
  /** Decodes what handlers push. */
  readonly codec: Codec<unknown, never>
  readonly shutdown: Effect.Effect<unknown>
  /** Whether each connection has its state in one worker. */
  readonly pinned: boolean
  /** Starts one more worker. */
  readonly start: () => Body
  readonly context: Context.Context<never>
}

/**
 * The workers of one server, and the requests that wait for them.
 *
 * It starts workers, gives each as many jobs as it may have, replaces those that
 * end, and answers for those that end badly. It knows neither threads nor
 * processes, and no handler.
 */
export class Pool implements Owner {
  private readonly options: PoolOptions
  private readonly setting: Setting
  private readonly metrics: PoolMetrics
  private readonly connections = new Connections()
  private readonly members = new Set<Member>()
  /** Ready members with room, the one first that has waited longest. */
  private readonly idle = new Set<Member>()
  private readonly backlog: Backlog
  private readonly starts = new Starts()
  private readonly pins = new Pins()
  private closed = false
  private reportTimer: NodeJS.Timeout | undefined = undefined
  /** How many requests were done. */
  private done = 0
  private watchers: Array<() => void> = []

  constructor(options: PoolOptions, setting: Setting) {
    this.options = options
    this.setting = setting
    this.backlog = new Backlog(options.queue)
    this.metrics = new PoolMetrics(setting.context, { service: setting.service, policy: options.policy })
  }

  /** Starts the first workers, and waits until one of them is ready; fails with what is wrong if none will be. */
  readonly open: Effect.Effect<void, string> = Effect.callback((resume) => {
    const look = () => {
      if ([...this.members].some(({ state }) => state === "ready")) resume(Effect.void)
      else if (this.starts.lastFailure !== undefined) resume(Effect.fail(this.starts.lastFailure))
      else this.watchers.push(look)
    }
    this.grow()
    // One shows whether workers can be had, also where none is kept.
    if (this.members.size === 0) this.add()
    look()
  })

  /** Ends all workers; those that do not end by themselves are killed. */
  readonly close: Effect.Effect<void> = Effect.callback((resume) => {
    this.closed = true
    this.starts.stop()
    clearTimeout(this.reportTimer)
    for (const job of this.backlog.takeAll()) job.onRefused("the server has stopped")
    const look = () => {
      if (this.members.size === 0) resume(Effect.void)
      else this.watchers.push(look)
    }
    for (const member of this.members) this.end(member)
    look()
  })

  /** Has a job done, now or when a worker has room; refuses it if too many wait. */
  submit(job: Job): void {
    if (this.closed) return job.onRefused("the server has stopped")
    this.backlog.enter(job)
    const pinned = this.pins.of(job.connection)
    if (pinned !== undefined) return this.submitTo(pinned, job)
    const member = this.setting.pinned ? undefined : first(this.idle)
    if (member !== undefined) return this.assign(member, job)
    if (this.backlog.isFull) return this.refuse(job)
    if (this.setting.pinned) return void this.backlog.add(job, this.pins.queueOf(job.connection))
    // Where something waited before, nobody is short of work.
    if (this.backlog.add(job)) this.stock(this.least())
    this.grow()
  }

  /** Gives a connection to one worker for good, and lets that set up its state. */
  connect(job: Job): void {
    if (this.closed) return job.onRefused("the server has stopped")
    this.connections.atEnd(job.connection, () => {
      job.settled = true
      const member = this.pins.unpin(job.connection)
      if (member !== undefined) this.settle(member)
    })
    this.pin(job)
  }

  private pin(job: Job): void {
    const able = [...this.members].filter((member) => member.state === "ready" && !this.isDone(member))
    const member = fewestPins(able, this.options.recycle)
    if (member === undefined) {
      this.pins.postpone(job)
      return this.grow()
    }
    const waiting = this.pins.pin(job.connection, member)
    this.assign(member, job)
    for (const job of waiting) {
      if (job.settled) continue
      this.backlog.leave(job)
      this.submitTo(member, job)
    }
  }

  private refuse(job: Job): void {
    job.onRefused(`more than ${this.options.queue} requests wait for a worker`)
  }

  /** Nobody waits for a job any more. */
  cancel(job: Job): void {
    if (job.settled) return
    job.settled = true
    this.backlog.leave(job)
    for (const member of this.members) {
      if (!member.cancel(job, this.options.graceMillis)) continue
      // Taken back before it began, it leaves its place to the next.
      return this.settle(member)
    }
  }

  /** Calls `f` when a connection ends; see {@link Connections.atEnd}. */
  atEnd(connection: Connection.Ref<never>, f: () => void): () => void {
    return this.connections.atEnd(connection, f)
  }

  // ------------------------------------------------------------------ members

  onReady(member: Member): void {
    this.starts.lastFailure = undefined
    this.metrics.start(performance.now() - member.startedAt)
    for (const job of this.pins.takePostponed()) this.pin(job)
    this.settle(member)
    this.changed()
  }

  onFreed(member: Member, job: Job): void {
    this.starts.isWell()
    member.doneBefore = ++this.done
    if (!job.settled)
      job.onCrash(this.crashOf(member, { exitCode: undefined, signal: undefined, reason: "it gave no answer" }))
    if (!this.setting.pinned) this.relieve()
    this.settle(member)
  }

  onReturned(member: Member, job: Job): void {
    member.exhausted = true
    this.requeue([job])
    this.settle(member)
  }

  onKill(member: Member): void {
    this.idle.delete(member)
    if (!this.setting.pinned) this.requeue(member.revokeAll())
  }

  onDropped(member: Member, job: Job): void {
    this.requeue([job])
    this.settle(member)
  }

  onEnd(member: Member, end: End): void {
    const wasStarting = !member.everReady
    this.members.delete(member)
    this.idle.delete(member)
    this.connections.drop(member)
    const crash = this.crashOf(member, end)
    const begun: Array<Job> = []
    const others: Array<Job> = []
    for (const [id, job] of member.jobs) (this.setting.pinned || member.hasBegun(id) ? begun : others).push(job)
    this.waitAgain(others)
    const expected =
      member.state === "ended" && member.asked && member.jobs.size === 0 && member.killedFor === undefined
    if (!expected && !this.closed) {
      this.metrics.crashed(1)
      // One that ends of itself before it has done anything is no better than one that does not start.
      const unused = member.served === 0 && begun.length === 0 && !isFromOutside(crash)
      if (performance.now() - member.startedAt > longestDelay) this.starts.isWell()
      if (wasStarting || unused) this.failedToStart(crash, wasStarting ? "before it was ready" : "before it was used")
    }
    for (const job of [...begun, ...member.waiting]) this.crashed(job, crash)
    this.feed()
    // Their state is lost with their worker.
    for (const connection of member.pins) Effect.runFork(connection.close)
    if (!this.closed) this.grow()
    this.changed()
  }

  onPush(member: Member, id: number, connection: number, message: Buffer): void {
    const ref = this.connections.get(connection)
    const pushed = (reason: Connection.Reason | undefined) =>
      member.tell(Ask.pushed, id, reason === undefined ? undefined : JSON.stringify(plain(reason)))
    if (ref === undefined) return pushed({ _tag: "Closed" })
    const decoded = decode(this.setting.codec, message)
    if (Result.isFailure(decoded)) return pushed({ _tag: "EncodeFailed", problem: decoded.failure })
    Effect.runFork((ref as Connection.Ref<unknown>).push(decoded.success)).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return pushed(undefined)
      const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
      pushed(error?.reason ?? { _tag: "Closed" })
    })
  }

  onClose(_: Member, job: Job | undefined, connection: number): void {
    const ref = this.connections.get(connection)
    if (ref === undefined) return
    // The handler that closes its connection goes on; it is known by its context.
    if (job === undefined) Effect.runFork(ref.close)
    else Effect.runForkWith(job.context)(ref.close)
  }

  onShutdown(member: Member): void {
    Effect.runForkWith(this.setting.context)(this.setting.shutdown)
    // Its own server takes nothing any more; what it has begun it ends.
    this.idle.delete(member)
    member.exhausted = true
    this.settle(member)
  }

  // ------------------------------------------------------------------- inside

  private assign(member: Member, job: Job): void {
    this.connections.introduce(member, job.connection)
    if (member.taken === 0) member.doneBefore = this.done
    const id = member.assign(job)
    if (job.occupies) this.watch(member, id)
    this.idle.delete(member)
    if (member.taken < this.options.each && !this.isDone(member)) this.idle.add(member)
  }

  /** Sees to it that a request does not take too long. */
  private watch(member: Member, id: number): void {
    const { deadlineMillis } = this.options
    if (deadlineMillis === Infinity) return
    member.killAfter(`deadline ${id}`, deadlineMillis, `it took longer than ${deadlineMillis} ms for a request`)
  }

  /**
   * Gives a busy member several of what waits, before it runs dry: it goes from
   * one to the next without a way to here and back, and is sent many at a time.
   * They still wait: who has nothing to do takes them back.
   */
  private stock(member: Member | undefined): void {
    const { ahead, each } = this.options
    if (member === undefined || member.taken < each || member.ahead.size > ahead / 2) return
    if (this.isDone(member) || this.isLate(member)) return
    const most = member.pins.size > 0 ? ahead : Math.min(ahead, this.roomOf(member))
    while (member.ahead.size < most && member.canHaveAhead) {
      const job = this.backlog.next(this.setting.pinned ? member.waiting : undefined)
      if (job === undefined) return
      this.connections.introduce(member, job.connection)
      member.assignAhead(job)
    }
  }

  /** Who of those with enough to do has least to do next. */
  private least(): Member | undefined {
    let found: Member | undefined
    for (const member of this.members) {
      if (member.taken < this.options.each || !member.canHaveAhead || this.isLate(member)) continue
      if (found === undefined || member.ahead.size < found.ahead.size) found = member
    }
    return found
  }

  /** Whether those who have done anything since it has have each done as much as it may have ahead. */
  private isLate(member: Member): boolean {
    const { ahead } = this.options
    const since = this.done - member.doneBefore
    if (since <= ahead) return false
    let others = 0
    for (const other of this.members) if (other.doneBefore > member.doneBefore) others++
    return since > ahead * others
  }

  /** Takes back what was given to those that take much longer than others, whom it would wait for. */
  private relieve(): void {
    const jobs: Array<Job> = []
    for (const member of this.members) {
      if (member.ahead.size === 0 || !this.isLate(member)) continue
      for (let job = member.revokeAhead(); job !== undefined; job = member.revokeAhead()) jobs.push(job)
    }
    if (jobs.length > 0) this.requeue(jobs)
  }

  /** Lets jobs that have not begun wait again, before all others. */
  private requeue(jobs: ReadonlyArray<Job>): void {
    this.waitAgain(jobs)
    this.feed()
  }

  private waitAgain(jobs: ReadonlyArray<Job>): void {
    const refusal = this.closed ? "the server has stopped" : "the worker of its connection stops"
    for (const job of jobs) this.backlog.leave(job)
    const wanted = jobs.filter((job) => !job.settled)
    if (this.closed || this.setting.pinned) for (const job of wanted) job.onRefused(refusal)
    else this.backlog.putBack(wanted)
  }

  private submitTo(member: Member, job: Job): void {
    if (member.state === "ended") return job.onCrash(this.crashOf(member, noEnd))
    if (member.taken < this.options.each) return this.assign(member, job)
    if (this.backlog.isFull) return this.refuse(job)
    this.backlog.add(job, member.waiting)
    this.stock(member)
  }

  /** Whether a worker has handled all that it is to handle, counting what it has. */
  private isDone(member: Member): boolean {
    return member.exhausted || (member.pins.size === 0 && this.roomOf(member) <= 0)
  }

  /** How many more a worker is to handle, beside what it has. */
  private roomOf(member: Member): number {
    return this.options.recycle - member.served - member.taken
  }

  /** Gives a member its next job, or lets it go. */
  private settle(member: Member): void {
    while (member.taken < this.options.each) {
      const id = member.promote()
      if (id === undefined) break
      this.backlog.leave(member.jobs.get(id) as Job)
      this.watch(member, id)
    }
    if (member.state !== "ready") return
    while (member.taken < this.options.each) {
      const job = this.backlog.next(member.waiting)
      if (job === undefined) break
      this.backlog.leave(job)
      this.assign(member, job)
    }
    if (this.isDone(member)) {
      this.idle.delete(member)
      if (member.jobs.size > 0) return
      if (!member.exhausted) this.metrics.recycled(1)
      this.end(member)
      return this.grow()
    }
    if (member.taken < this.options.each) this.idle.add(member)
    this.feed()
  }

  /** Gives what waits to who has room, and then to who will have some. */
  private feed(): void {
    while (this.idle.size > 0) {
      const job = this.backlog.next() ?? this.revoke()
      if (job === undefined) break
      this.backlog.leave(job)
      this.assign(first(this.idle) as Member, job)
    }
    // Also those that have just been given their first.
    if (this.backlog.size > 0) for (const member of this.members) this.stock(member)
    this.grow()
  }

  /** Takes a job back from a member that has been given it ahead. */
  private revoke(): Job | undefined {
    if (this.setting.pinned) return undefined
    for (const member of this.members) {
      const job = member.revokeAhead()
      if (job !== undefined) return job
    }
    return undefined
  }

  /** Starts as many workers as there should be. */
  private grow(): void {
    this.changed()
    if (this.closed || this.starts.isPaused) return
    const { fixed, max, spares } = this.options
    let busy = 0
    let ending = 0
    for (const member of this.members) {
      if (member.state === "retiring" || this.isDone(member)) ending++
      else if (member.taken > 0) busy++
    }
    // Those that end make room in a pool of a fixed size, and count where the number of processes is what is bounded.
    const want = fixed ? max + ending : Math.min(max, busy + ending + this.backlog.size + spares)
    while (this.members.size < want && !this.starts.isPaused) this.add()
  }

  private add(): void {
    const started = Result.try({ try: this.setting.start, catch: (error) => error })
    if (Result.isFailure(started)) {
      return this.failedToStart({
        ...Outcome.workerCrashed({ worker: "that could not be started", ...noEnd, reason: textOf(started.failure) })
      })
    }
    const member = new Member(started.success, this, slotsOf(this.options))
    this.members.add(member)
    member.killAfter("start", this.options.startMillis, `it was not ready within ${this.options.startMillis} ms`)
  }

  /** Tries again later; whoever waits meanwhile does not wait for ever. */
  private failedToStart(crash: Outcome.WorkerCrashed, when = "before it was ready"): void {
    const problem = Outcome.describe(crash).replace("before it had answered", when)
    const delay = this.starts.failed(problem, !isFromOutside(crash), () => this.grow())
    Effect.runForkWith(this.setting.context)(
      Effect.logError(`${this.setting.service}: ${problem}; the next start is in ${delay} ms`)
    )
    const hope = [...this.members].some(({ state }) => state === "ready")
    if (hope || !this.starts.isHopeless) return
    for (const job of this.backlog.takeAll()) job.onCrash(crash)
    for (const job of this.pins.takePostponed()) job.onCrash(crash)
  }

  private crashed(job: Job, crash: Outcome.WorkerCrashed): void {
    this.backlog.leave(job)
    if (job.settled) return
    if (job.crashes < this.options.retries && job.canRetry) {
      job.crashes++
      return this.submit(job)
    }
    job.onCrash(crash)
  }

  private crashOf(member: Member, end: End): Outcome.WorkerCrashed {
    return Outcome.workerCrashed({ worker: member.body.name, ...end })
  }

  private end(member: Member): void {
    member.retire(this.options.graceMillis)
    this.idle.delete(member)
  }

  private report(): void {
    this.reportTimer = undefined
    const starting = [...this.members].filter(({ state }) => state === "starting").length
    this.metrics.counts({ alive: this.members.size - starting, starting, queued: this.backlog.size })
  }

  private changed(): void {
    // Ten times a second at most: it happens with every request.
    if (this.closed) this.report()
    else this.reportTimer ??= setTimeout(() => this.report(), 100).unref()
    const watchers = this.watchers
    this.watchers = []
    for (const watch of watchers) watch()
  }
}

/** Who is killed from outside has not failed by itself. */
const isFromOutside = ({ reason, signal }: Outcome.WorkerCrashed): boolean =>
  signal === "SIGKILL" && reason === undefined

const noEnd: End = { exitCode: undefined, signal: undefined, reason: undefined }

const first = <A>(set: ReadonlySet<A>): A | undefined => {
  for (const a of set) return a
  return undefined
}

const plain = (reason: Connection.Reason): Connection.Reason =>
  reason._tag === "Reset" ? { _tag: "Reset", cause: textOf(reason.cause) } : reason

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
