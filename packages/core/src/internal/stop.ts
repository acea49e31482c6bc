import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Outcome from "../Outcome.ts"
import { type Reason, ServerClosed, ServerError } from "../ServerError.ts"
import { CurrentServer, type ServerContext } from "./context.ts"
import type { Gate } from "./gate.ts"
import { CurrentRequest } from "./incoming.ts"
import type { Intake } from "./intake.ts"

/**
 * How a server ends: nobody new is let in, what was received is answered, and
 * after the deadline the rest is cut off.
 *
 * `running`; then `announced`, for the turn of the event loop in which what has
 * arrived is still read; then `stopping`; then `stopped`, when there is a report.
 */
export class Stop<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly gate: Gate<In, Out>
  private readonly intake: Intake<In, Out>
  private phase: "running" | "announced" | "stopping" | "stopped" = "running"
  private failure: ServerError | undefined = undefined
  private before: { readonly at: number; readonly counts: Outcome.Counts; readonly connections: number } | undefined
  private report: Outcome.Report | undefined = undefined
  private cancelDeadline: () => void = () => {}
  /** Connections that have ended, and whose finalizers run. */
  private releasing = 0
  private readonly onBegin = new Set<() => void>()
  /** Who waits for the end; each looks itself whether it is there. */
  private readonly waiting = new Set<() => void>()
  /** Of those, how many are within this server: its handlers, which would wait for themselves. */
  private within = 0
  /** The requests of such handlers, with how often each waits. */
  private readonly callers = new Map<object, number>()

  constructor(context: ServerContext<In, Out>, gate: Gate<In, Out>, intake: Intake<In, Out>) {
    this.context = context
    this.gate = gate
    this.intake = intake
  }

  /** Whether nothing new is taken any more. */
  get isStopping(): boolean {
    return this.phase === "stopping" || this.phase === "stopped"
  }

  /** Whether it stops because its listener died, or its policy. */
  get hasFailed(): boolean {
    return this.failure !== undefined
  }

  /** Waits until a stop begins. */
  readonly began: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.phase !== "running") return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.onBegin.add(wake)
    return Effect.sync(() => this.onBegin.delete(wake))
  })

  /** Waits until everything has ended. */
  readonly ended: Effect.Effect<Outcome.Report> = this.until(() => this.report)

  /** Stops, and waits until everything has ended: at most the drain timeout. */
  readonly shutdown: Effect.Effect<Outcome.Report> = Effect.withFiber((fiber) => {
    this.begin()
    return fiber.getRef(CurrentServer) === this.context
      ? this.endedButCallers(fiber.getRef(CurrentRequest))
      : this.ended
  })

  /**
   * For handlers that stop their own server: waits for the others that are at
   * work. Of what has not begun, and of answers that are held in line, some wait
   * for the very handler that would wait for them.
   */
  private endedButCallers(request: object | undefined): Effect.Effect<Outcome.Report> {
    const calls = (by: 1 | -1) =>
      Effect.sync(() => {
        this.within += by
        if (request === undefined) return
        const waits = (this.callers.get(request) ?? 0) + by
        if (waits === 0) this.callers.delete(request)
        else this.callers.set(request, waits)
      })
    const idle = this.until(() => this.report ?? (this.isStopping && !this.othersWork ? this.makeReport() : undefined))
    // What is to begin has begun a tick later, where its turn had come.
    const answered = Effect.flatMap(idle, () =>
      Effect.flatMap(this.aTick, () => (this.report === undefined && this.othersWork ? answered : idle))
    ) as Effect.Effect<Outcome.Report>
    // A handler that waits no longer is one that others wait for.
    return Effect.acquireUseRelease(
      calls(1),
      () => answered,
      () => calls(-1)
    )
  }

  private readonly aTick: Effect.Effect<void> = Effect.callback((resume) =>
    this.context.afterTick(() => resume(Effect.void), 2)
  )

  private until(look: () => Outcome.Report | undefined): Effect.Effect<Outcome.Report> {
    return Effect.callback((resume) => {
      const check = () => {
        const report = look()
        if (report !== undefined) resume(Exit.succeed(report))
      }
      this.waiting.add(check)
      check()
      return Effect.sync(() => this.waiting.delete(check))
    })
  }

  /** Whether a handler is at work that does not wait for the end itself. */
  private get othersWork(): boolean {
    for (const connection of this.gate.connections.values()) {
      if (connection.isAtWork((request) => !this.callers.has(request))) return true
    }
    return false
  }

  /** The listener died, or the policy. What was received is still answered. */
  fail(reason: Reason): void {
    if (this.phase !== "running") return
    this.failure = new ServerError({ reason })
    this.begin()
  }

  /** The error of someone who wants requests of a server that has been shut down. */
  get error(): ServerError {
    return this.failure ?? new ServerError({ reason: new ServerClosed({ endpoint: this.context.service }) })
  }

  private begin(): void {
    if (this.phase !== "running") return
    const { context, gate } = this
    // Before anything that could throw: a stop always ends.
    this.armDeadline()
    this.phase = "announced"
    this.before = {
      at: context.now(),
      counts: { ...context.ledger.counts },
      connections: gate.connections.size
    }
    gate.close()
    for (const wake of this.onBegin) wake()
    this.onBegin.clear()
    // What has arrived but was not read yet is read in the next turn of the event loop, and counts as received.
    context.afterTick(() => {
      if (this.phase !== "announced") return
      this.phase = "stopping"
      gate.shut()
      for (const connection of gate.connections.values()) connection.stop()
      this.intake.stop()
      this.look()
    })
  }

  private armDeadline(): void {
    const { clock, limits } = this.context
    const cut = () => {
      for (const connection of this.gate.connections.values()) connection.cut()
      this.finish()
    }
    const deadlines = [this.context.after(limits.drainMillis, cut)]
    // Virtual time may stand still for ever once a test is over.
    if (clock !== liveClock) deadlines.push(this.context.after(virtualDrainMillis, cut, liveClock))
    this.cancelDeadline = () => deadlines.forEach((cancel) => cancel())
  }

  /** A request has its outcome. */
  settled(): void {
    if (this.within > 0) this.look()
  }

  /** A connection has ended, and its finalizers are run. */
  released(finalizers: ReadonlyArray<(exit: Exit.Exit<void>) => Effect.Effect<void>>): void {
    if (finalizers.length > 0) {
      this.releasing++
      const all = Effect.forEach(finalizers, (finalizer) => Effect.ignoreCause(finalizer(Exit.void)), { discard: true })
      this.context.run(all).addObserver(() => {
        this.releasing--
        this.look()
      })
    }
    this.look()
  }

  private look(): void {
    if (this.phase !== "stopping") return
    if (this.gate.connections.size === 0 && this.releasing === 0) return this.finish()
    for (const check of this.waiting) check()
  }

  private finish(): void {
    if (this.phase === "stopped") return
    this.phase = "stopped"
    this.cancelDeadline()
    const { context } = this
    this.report = this.makeReport()
    const { interrupted, millis } = this.report
    if (interrupted > 0) {
      const requests = `${interrupted} request${interrupted === 1 ? "" : "s"}`
      context.run(Effect.logWarning(`The stop of ${context.service} cut off ${requests} after ${millis} ms`))
    }
    this.gate.end()
    this.intake.end(this.failure === undefined ? undefined : Exit.fail(this.failure))
    for (const check of this.waiting) check()
    this.waiting.clear()
  }

  private makeReport(): Outcome.Report {
    const { counts } = this.context.ledger
    const { at, connections, counts: before } = this.before as NonNullable<typeof this.before>
    return {
      millis: this.context.now() - at,
      completed: counts.Completed - before.Completed,
      interrupted: counts.Drained - before.Drained,
      refused: counts.Refused - before.Refused,
      connections,
      counts: { ...counts }
    }
  }
}

const liveClock = Context.get(Context.empty(), Clock.Clock)

// How long, in real time, a stop waits where time is virtual.
const virtualDrainMillis = 1_000
