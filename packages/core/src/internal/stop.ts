import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Outcome from "../Outcome.ts"
import { type Reason, ServerClosed, ServerError } from "../ServerError.ts"
import { Callers } from "./callers.ts"
import { CurrentServer, type ServerContext } from "./context.ts"
import type { Gate } from "./gate.ts"
import type { Finalizer } from "./handlers.ts"
import { CurrentRequest } from "./incoming.ts"
import type { Intake } from "./intake.ts"
import type { Senders } from "./senders.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { Tally } from "./tally.ts"
import { Waiters } from "./waiters.ts"

/**
 * How a server ends: nobody new is let in, what was received is answered, and
 * after the deadline the rest is cut off.
 *
 * `running`; then `announced`, for the turns of the event loop in which who waits in
 * a queue is taken in and what has arrived is read, and for the second at most that handshakes
 * have which have begun; then `stopping`; then `stopped`, when there is a report.
 */
export class Stop<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly gate: Gate<In, Out>
  private readonly intake: Intake<In, Out>
  private readonly senders: Senders<In, Out>
  private phase: "running" | "announced" | "stopping" | "stopped" = "running"
  private failure: ServerError | undefined = undefined
  private isTold = false
  private tally: Tally | undefined = undefined
  private report: Outcome.Report | undefined = undefined
  private cancelDeadline: () => void = () => {}
  /** How often all connections have been gone through. */
  private passes = 0
  /** Connections that have ended, and whose finalizers run. */
  private releasing = 0
  private readonly waiting = new Waiters()
  private readonly callers: Callers<In, Out>

  constructor(
    context: ServerContext<In, Out>,
    gate: Gate<In, Out>,
    intake: Intake<In, Out>,
    senders: Senders<In, Out>
  ) {
    this.context = context
    this.senders = senders
    this.gate = gate
    this.intake = intake
    this.callers = new Callers(context, gate.connections)
  }

  /** Whether nothing new is taken any more. */
  get isStopping(): boolean {
    return this.phase === "stopping" || this.phase === "stopped"
  }

  /** Whether a stop has begun. */
  get hasBegun(): boolean {
    return this.phase !== "running"
  }

  /** Whether it stops because its listener died, or its policy. */
  get hasFailed(): boolean {
    return this.failure !== undefined
  }

  /** Waits until a stop begins. */
  readonly began: Effect.Effect<void> = this.waiting.until(() => (this.phase === "running" ? undefined : true))

  /** The same; in a worker also until it hears that the server stops whose connections it has. */
  readonly told: Effect.Effect<void> = this.waiting.until(() =>
    this.phase === "running" && !this.isTold ? undefined : true
  )

  /** Waits until everything has ended. */
  readonly ended: Effect.Effect<Outcome.Report> = this.waiting.until(() => this.report)

  /** Stops, and waits until everything has ended: at most the drain timeout. */
  readonly shutdown: Effect.Effect<Outcome.Report> = Effect.withFiber((fiber) => {
    this.begin()
    if (fiber.getRef(CurrentServer) !== this.context) return this.ended
    const othersEnded = this.waiting.until(
      () => this.report ?? (this.isStopping && !this.callers.othersWork ? this.tally?.report() : undefined)
    )
    return this.callers.wait(fiber.getRef(CurrentRequest), othersEnded, () => this.report !== undefined)
  })

  /** The server stops whose connections this worker has, and it goes on. */
  tell(): void {
    this.isTold = true
    this.waiting.look()
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
    const { context, gate, senders } = this
    // Before anything that could throw: a stop always ends.
    this.cancelDeadline = deadline(context, () => {
      if (this.phase === "announced") {
        gate.closeQueues()
        gate.shut()
      }
      this.each(
        "cut off",
        (connection) => connection.cut(),
        () => {
          senders.end()
          this.finish()
        }
      )
    })
    this.phase = "announced"
    this.tally = new Tally(context, gate.admitting)
    gate.close()
    this.waiting.look()
    if (gate.hasQueue) this.takeIn(mostTurns, context.now() + longestTurns)
    else this.readRest()
  }

  /** Takes in who waits in a queue of the system, until a turn of the event loop has brought nobody. */
  private takeIn(turns: number, until: number): void {
    const { context, gate } = this
    const { arrivals } = gate.entry
    context.afterTick(() => {
      if (this.phase !== "announced") return
      if (gate.entry.arrivals !== arrivals && turns > 1 && context.now() < until) return this.takeIn(turns - 1, until)
      gate.closeQueues()
      this.readRest()
    })
  }

  /** What has arrived but was not read yet is read in the next turn of the event loop, and counts as received; and so does what follows a handshake. */
  private readRest(): void {
    const { context, gate } = this
    context.afterTick(() => {
      if (this.phase === "announced") gate.finish(() => this.endAll())
    })
  }

  /** From now on nothing is received. */
  private endAll(): void {
    if (this.phase !== "announced") return
    this.phase = "stopping"
    this.gate.shut()
    this.each(
      "stopped",
      (connection) => connection.stop(),
      () => {
        this.intake.consumers.stop()
        this.look()
      }
    )
  }

  /**
   * Does something with each connection, then something else. Handlers that end with it do what they have left to do at once, and where
   * each tells all others that is much: so the event loop turns meanwhile, which keeps the deadline and serves who is not told yet.
   */
  private each(what: string, f: (connection: ServerConnection<In, Out>) => void, then: () => void): void {
    const { context, gate } = this
    const pass = ++this.passes
    const rest = gate.connections.inOrder().values()
    const some = (): void => {
      // It is over, or the deadline has come.
      if (this.phase === "stopped" || this.passes !== pass) return
      const until = context.now() + sliceMillis
      for (let next = rest.next(); next.done !== true; next = rest.next()) {
        const connection = next.value
        if (!gate.connections.has(connection)) continue
        context.troubles.attempt(`a connection was not ${what} as it should be`, () => f(connection))
        if (context.now() >= until) return context.afterTick(some)
      }
      then()
    }
    some()
  }

  /** A request has its outcome. */
  settled(): void {
    if (this.callers.any) this.look()
  }

  /** A connection has ended, and its finalizers are run. */
  released(finalizers: ReadonlyArray<Finalizer>): void {
    if (finalizers.length > 0) {
      this.releasing++
      const all = Effect.forEach(finalizers, (finalizer) => this.ending(finalizer), { discard: true })
      // One that stops this very server does not wait for itself.
      this.context.run(Effect.provideService(all, CurrentServer, this.context)).addObserver(() => {
        this.releasing--
        this.look()
      })
    }
    this.look()
  }

  /** What a finalizer dies of is told, and stops neither the others nor the stop. */
  private ending(finalizer: Finalizer): Effect.Effect<void> {
    return Effect.catchCause(
      Effect.suspend(() => finalizer(Exit.void)),
      (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => this.unreleased(Cause.squash(cause)))
    )
  }

  /** What the state of a connection has died of, here or in a worker. */
  unreleased(error: unknown): void {
    this.context.troubles.note("the state of a connection was not released", error)
  }

  private look(): void {
    if (this.phase !== "stopping") return
    if (this.gate.connections.size === 0) {
      // All of them have ended before any is looked at again.
      this.releasing++
      this.senders.end()
      this.releasing--
      if (this.releasing === 0) return this.finish()
    }
    this.waiting.look()
  }

  private finish(): void {
    if (this.phase === "stopped" || this.tally === undefined) return
    this.phase = "stopped"
    this.cancelDeadline()
    const { context } = this
    this.gate.end()
    this.report = this.tally.report()
    const { interrupted, millis } = this.report
    // In a worker its parent says it.
    if (interrupted > 0 && !context.log.silent) {
      const requests = `${interrupted} request${interrupted === 1 ? "" : "s"}`
      context.log.say("Warn", "what a stop cut off", `the stop cut off ${requests} after ${millis} ms`)
    }
    context.limitLog.end()
    context.log.end()
    this.intake.end(this.failure === undefined ? undefined : Exit.fail(this.failure))
    this.waiting.end()
  }
}

/** Does something after the drain timeout, unless it is cancelled before. */
const deadline = (
  context: Pick<ServerContext<never, never>, "after" | "clock" | "limits" | "stopClock">,
  cut: () => void
): (() => void) => {
  const deadlines = [context.after(context.limits.drainMillis, cut)]
  // Virtual time may stand still for ever once a test is over.
  if (context.clock !== context.stopClock) deadlines.push(context.after(virtualDrainMillis, cut, context.stopClock))
  return () => deadlines.forEach((cancel) => cancel())
}

// How long connections are told, or cut off, in one turn of the event loop. What one of them says to another leaves at the turn's end: in many
// short turns that would be as many packets.
const sliceMillis = 50

// How long, in real time, a stop waits where time is virtual.
const virtualDrainMillis = 1_000

// What is taken from the queue of a listener, whose length is `backlog`, and for how long where more and more come.
const mostTurns = 512
const longestTurns = 1_000
