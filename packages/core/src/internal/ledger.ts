import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Refusal from "../Refusal.ts"
import type * as Request from "../Request.ts"

/** How everything ended: the one source of counts, events and logs. */
export class Ledger {
  readonly counts: Record<Outcome.Tag, number> = {
    Completed: 0,
    Failed: 0,
    TimedOut: 0,
    Cancelled: 0,
    Refused: 0,
    FrameTooLarge: 0,
    Malformed: 0,
    Undelivered: 0,
    Drained: 0,
    WorkerCrashed: 0
  }
  readonly refusals: { -readonly [K in Refusal.Kind]: number } = {
    MaxConnections: 0,
    MaxConnectionsPerPeer: 0,
    MaxMemory: 0,
    MadeRoom: 0,
    PlaceTimeout: 0,
    LoginTimeout: 0,
    Opening: 0,
    Suspended: 0,
    Stopping: 0,
    Allow: 0,
    Verify: 0,
    TooLarge: 0,
    Program: 0
  }
  readonly timeouts: { -readonly [K in keyof Outcome.Timeouts]: number } = {
    request: 0,
    firstByte: 0,
    frame: 0,
    idle: 0,
    write: 0,
    lifetime: 0,
    evicted: 0
  }
  readonly observers = new Set<(event: Outcome.Event) => void>()
  /** Whether somebody else logs what is recorded here. */
  silent = false
  private readonly run: (effect: Effect.Effect<void>) => void

  constructor(run: (effect: Effect.Effect<void>) => void) {
    this.run = run
  }

  record(outcome: Outcome.Outcome, request: Request.Request<unknown> | undefined, connection: Connection.Info): void {
    if (outcome === Outcome.completed) this.counts.Completed++
    else {
      this.counts[outcome._tag]++
      if (outcome._tag === "TimedOut") this.timeouts[outcome.deadline]++
      else if (outcome._tag === "Refused") this.refusals[outcome.kind]++
      this.log(outcome, request, connection)
    }
    if (this.observers.size === 0) return
    for (const observer of this.observers) observer({ outcome, request, connection })
  }

  /** A connection was closed, which is no outcome of anything: counted, and told to those who look for it. */
  closed(why: "lifetime", connection: Connection.Info): void {
    this.timeouts[why]++
    if (!this.silent) this.run(Effect.logDebug(`A connection from ${connection.peer.name} was closed for its age`))
  }

  // What peers can cause at will is logged only for those who look for it; the counts have it.
  private log(
    outcome: Outcome.Outcome,
    request: Request.Request<unknown> | undefined,
    connection: Connection.Info
  ): void {
    if (this.silent) return
    const of = `${request === undefined ? "A connection" : `Request ${request.id}`} from ${connection.peer.name}`
    this.run(
      outcome._tag === "Failed"
        ? Effect.logError(`${of} failed`, outcome.cause)
        : outcome._tag === "WorkerCrashed"
          ? Effect.logError(`${of} ended: ${Outcome.describe(outcome)}`)
          : Effect.logDebug(`${of} ended: ${Outcome.describe(outcome)}`)
    )
  }
}
