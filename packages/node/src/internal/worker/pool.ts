import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import type { Codec } from "@socketserver/core/Protocol"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Body, End } from "./body.ts"
import { Connections } from "./connections.ts"
import { decode } from "./crossing.ts"
import { Ask } from "./frames.ts"
import type { Job } from "./jobs.ts"
import { Member, type Owner } from "./member.ts"
import { PoolMetrics } from "./metrics.ts"
import type { PoolOptions } from "./options.ts"

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
  private queue: Array<Job> = []
  /** Of what waits, also for one member alone, how much is not settled. */
  private queued = 0
  private pins = new WeakMap<object, Member>()
  private closed = false
  private failures = 0
  private retryTimer: NodeJS.Timeout | undefined = undefined
  private reportTimer: NodeJS.Timeout | undefined = undefined
  private watchers: Array<() => void> = []
  private lastFailure: string | undefined = undefined

  constructor(options: PoolOptions, setting: Setting) {
    this.options = options
    this.setting = setting
    this.metrics = new PoolMetrics(setting.context, { service: setting.service, policy: options.policy })
  }

  /** Starts the first workers, and waits until one of them is ready; fails with what is wrong if none will be. */
  readonly open: Effect.Effect<void, string> = Effect.callback((resume) => {
    const look = () => {
      if ([...this.members].some(({ state }) => state === "ready")) resume(Effect.void)
      else if (this.lastFailure !== undefined) resume(Effect.fail(this.lastFailure))
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
    clearTimeout(this.retryTimer)
    clearTimeout(this.reportTimer)
    for (const job of this.takeQueue()) job.onRefused("the server has stopped")
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
    const pinned = this.pins.get(job.connection)
    if (pinned !== undefined) return this.submitTo(pinned, job)
    const member = this.setting.pinned ? undefined : first(this.idle)
    if (member !== undefined) return this.assign(member, job)
    if (this.isFull) return this.refuse(job)
    if (this.setting.pinned) return this.waits(job, this.unpinned(job.connection))
    this.waits(job, this.queue)
    this.grow()
  }

  /** Gives a connection to one worker for good, and lets that set up its state. */
  connect(job: Job): void {
    if (this.closed) return job.onRefused("the server has stopped")
    this.connections.atEnd(job.connection, () => {
      job.settled = true
      const member = this.pins.get(job.connection)
      if (member?.pins.delete(job.connection) === true) this.settle(member)
    })
    this.pin(job)
  }

  private pin(job: Job): void {
    let member: Member | undefined
    for (const other of this.members) {
      if (other.state !== "ready" || this.isDone(other)) continue
      if (member === undefined || this.isBetter(other, member)) member = other
    }
    if (member === undefined) {
      this.unplaced.push(job)
      return this.grow()
    }
    this.pins.set(job.connection, member)
    member.pins.add(job.connection)
    this.assign(member, job)
    const waiting = this.held.get(job.connection) ?? []
    this.held.delete(job.connection)
    for (const job of waiting) {
      if (job.settled) continue
      this.begins(job)
      this.submitTo(member, job)
    }
  }

  /** Whether a connection is better kept in `a`. A worker that is only there for its connections takes more where there is no other. */
  private isBetter(a: Member, b: Member): boolean {
    const { recycle } = this.options
    const [worn, other] = [a.served >= recycle, b.served >= recycle]
    return worn === other ? a.pins.size < b.pins.size : other
  }

  /** What waits until its connection has a worker. */
  private readonly held = new Map<object, Array<Job>>()

  private unpinned(connection: Connection.Ref<never>): Array<Job> {
    const waiting = this.held.get(connection)
    if (waiting !== undefined) return waiting
    const jobs: Array<Job> = []
    this.held.set(connection, jobs)
    this.connections.atEnd(connection, () => this.held.delete(connection))
    return jobs
  }

  private get isFull(): boolean {
    return this.queued >= this.options.queue
  }

  private refuse(job: Job): void {
    job.onRefused(`more than ${this.options.queue} requests wait for a worker`)
  }

  /** Connections that wait for a worker to be set up in. They are bounded by the server's connections. */
  private unplaced: Array<Job> = []

  /** Nobody waits for a job any more. */
  cancel(job: Job): void {
    if (job.settled) return
    job.settled = true
    if (!job.waits) {
      for (const member of this.members) if (member.cancel(job, this.options.graceMillis)) return
      return
    }
    // It is passed over when its turn comes, and makes room at once.
    this.begins(job)
    if (this.queue.length > 2 * this.queued + 64) this.queue = this.queue.filter(({ settled }) => !settled)
  }

  /** Calls `f` when a connection ends; see {@link Connections.atEnd}. */
  atEnd(connection: Connection.Ref<never>, f: () => void): () => void {
    return this.connections.atEnd(connection, f)
  }

  // ------------------------------------------------------------------ members

  onReady(member: Member): void {
    this.lastFailure = undefined
    this.metrics.start(performance.now() - member.startedAt)
    for (const job of this.takeUnplaced()) this.pin(job)
    this.settle(member)
    this.changed()
  }

  onFreed(member: Member, job: Job): void {
    this.failures = 0
    if (!job.settled)
      job.onCrash(this.crashOf(member, { exitCode: undefined, signal: undefined, reason: "it gave no answer" }))
    this.settle(member)
  }

  onReturned(member: Member, job: Job): void {
    this.idle.delete(member)
    if (job.settled) return
    job.waits = true
    this.queued++
    this.queue.unshift(job)
    this.feed()
  }

  onEnd(member: Member, end: End): void {
    const wasStarting = !member.everReady
    this.members.delete(member)
    this.idle.delete(member)
    this.connections.drop(member)
    const crash = this.crashOf(member, end)
    const expected =
      member.state === "ended" && member.asked && member.jobs.size === 0 && member.killedFor === undefined
    if (!expected && !this.closed) {
      this.metrics.crashed(1)
      // One that ends of itself before it had anything to do is no better than one that does not start.
      const unused = member.served === 0 && member.jobs.size === 0 && !isFromOutside(crash)
      if (performance.now() - member.startedAt > longestDelay) this.failures = 0
      if (wasStarting || unused) this.failedToStart(crash, wasStarting ? "before it was ready" : "before it was used")
    }
    for (const job of member.jobs.values()) this.crashed(job, crash)
    for (const job of member.waiting) {
      if (job.settled) continue
      this.begins(job)
      this.crashed(job, crash)
    }
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
    const id = member.assign(job)
    const { deadlineMillis, each } = this.options
    if (job.occupies && deadlineMillis < Infinity) {
      member.killAfter(`deadline ${id}`, deadlineMillis, `it took longer than ${deadlineMillis} ms for a request`)
    }
    this.idle.delete(member)
    if (member.taken < each && !this.isDone(member)) this.idle.add(member)
  }

  private submitTo(member: Member, job: Job): void {
    if (member.state === "ended") return job.onCrash(this.crashOf(member, noEnd))
    if (member.taken < this.options.each) return this.assign(member, job)
    if (this.isFull) return this.refuse(job)
    this.waits(job, member.waiting)
  }

  /** Whether a worker has handled all that it is to handle, counting what it has. */
  private isDone(member: Member): boolean {
    return member.exhausted || (member.pins.size === 0 && member.served + member.taken >= this.options.recycle)
  }

  /** Gives a member its next job, or lets it go. */
  private settle(member: Member): void {
    if (member.state !== "ready") return
    while (member.taken < this.options.each && member.waiting.length > 0) {
      const job = member.waiting.shift() as Job
      if (job.settled) continue
      this.begins(job)
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

  /** Gives what waits to who has room. */
  private feed(): void {
    while (this.idle.size > 0) {
      const job = this.next()
      if (job === undefined) break
      this.assign(first(this.idle) as Member, job)
    }
    this.grow()
  }

  private next(): Job | undefined {
    for (let job = this.queue.shift(); job !== undefined; job = this.queue.shift()) {
      if (job.settled) continue
      this.begins(job)
      return job
    }
    return undefined
  }

  /** Starts as many workers as there should be. */
  private grow(): void {
    this.changed()
    if (this.closed || this.retryTimer !== undefined) return
    const { fixed, max, spares } = this.options
    let busy = 0
    let ending = 0
    for (const member of this.members) {
      if (member.state === "retiring" || this.isDone(member)) ending++
      else if (member.taken > 0) busy++
    }
    // Those that end make room in a pool of a fixed size, and count where the number of processes is what is bounded.
    const want = fixed ? max + ending : Math.min(max, busy + ending + this.queued + spares)
    while (this.members.size < want && this.retryTimer === undefined) this.add()
  }

  private add(): void {
    const started = Result.try({ try: this.setting.start, catch: (error) => error })
    if (Result.isFailure(started)) {
      return this.failedToStart({
        ...Outcome.workerCrashed({ worker: "that could not be started", ...noEnd, reason: textOf(started.failure) })
      })
    }
    const member = new Member(started.success, this)
    this.members.add(member)
    member.killAfter("start", this.options.startMillis, `it was not ready within ${this.options.startMillis} ms`)
  }

  /** Tries again later; whoever waits meanwhile does not wait for ever. */
  private failedToStart(crash: Outcome.WorkerCrashed, when = "before it was ready"): void {
    this.lastFailure = Outcome.describe(crash).replace("before it had answered", when)
    // One round of starts is one failure.
    if (!isFromOutside(crash) && this.retryTimer === undefined) this.failures++
    const delay = Math.min(longestDelay, 100 * 2 ** Math.max(0, Math.min(this.failures - 1, 10)))
    Effect.runForkWith(this.setting.context)(
      Effect.logError(`${this.setting.service}: ${this.lastFailure}; the next start is in ${delay} ms`)
    )
    this.retryTimer ??= setTimeout(() => {
      this.retryTimer = undefined
      this.grow()
    }, delay)
    const hope = [...this.members].some(({ state }) => state === "ready")
    if (hope || this.failures < hopeless) return
    for (const job of this.takeQueue()) job.onCrash(crash)
    for (const job of this.takeUnplaced()) job.onCrash(crash)
  }

  private crashed(job: Job, crash: Outcome.WorkerCrashed): void {
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

  private waits(job: Job, where: Array<Job>): void {
    job.waits = true
    this.queued++
    where.push(job)
  }

  private begins(job: Job): void {
    job.waits = false
    this.queued--
  }

  private takeQueue(): Array<Job> {
    const { queue } = this
    this.queue = []
    const jobs = queue.filter((job) => !job.settled)
    for (const job of jobs) this.begins(job)
    return jobs
  }

  private takeUnplaced(): Array<Job> {
    const { unplaced } = this
    this.unplaced = []
    return unplaced.filter((job) => !job.settled)
  }

  private report(): void {
    this.reportTimer = undefined
    const starting = [...this.members].filter(({ state }) => state === "starting").length
    this.metrics.counts({ alive: this.members.size - starting, starting, queued: this.queued })
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

/** Between two starts, in milliseconds. Who has lived for longer had started well. */
const longestDelay = 10_000

/** After so many starts that failed one after the other, requests do not wait for the next. */
const hopeless = 5

const noEnd: End = { exitCode: undefined, signal: undefined, reason: undefined }

const first = <A>(set: ReadonlySet<A>): A | undefined => {
  for (const a of set) return a
  return undefined
}

const plain = (reason: Connection.Reason): Connection.Reason =>
  reason._tag === "Reset" ? { _tag: "Reset", cause: textOf(reason.cause) } : reason

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
