import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Refusal from "../Refusal.ts"
import type * as Request from "../Request.ts"
import type { LimitLog } from "./limitLog.ts"
import { limitMet } from "./limitMet.ts"
import type { Limits } from "./limits.ts"
import type { Heard, Told } from "./incoming.ts"
import type { Facts, ServerLog } from "./serverLog.ts"
import type { Traffic } from "./traffic.ts"

interface Surroundings {
  readonly log: ServerLog
  readonly limitLog: LimitLog
  readonly limits: Limits
  readonly traffic: Traffic
}

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
    MaxOpening: 0,
    MaxMemory: 0,
    Scarcity: 0,
    RateLimit: 0,
    MadeRoom: 0,
    PlaceTimeout: 0,
    LoginTimeout: 0,
    Opening: 0,
    Suspended: 0,
    Stopping: 0,
    Allow: 0,
    OwnAddress: 0,
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
  /** At what level it is logged what ends other than well, and is no defect: peers can cause it at will. */
  level: "Debug" | "Info" = "Debug"
  private readonly context: Surroundings

  constructor(context: Surroundings) {
    this.context = context
  }

  record(outcome: Outcome.Outcome, request: Request.Request<unknown> | undefined, connection: Connection.Info): void {
    if (outcome === Outcome.completed) {
      this.counts.Completed++
      const told = (request as Tellable)?.told
      if (told !== undefined) this.logTold(outcome, told)
    } else {
      this.counts[outcome._tag]++
      if (outcome._tag === "TimedOut") this.timeouts[outcome.deadline]++
      else if (outcome._tag === "Refused") this.refusals[outcome.kind]++
      this.limited(outcome, connection)
      this.log(outcome, request, connection)
    }
    const { traffic } = this.context
    if (traffic.isTold) traffic.tell(outcome, connection.listener, (request as Tellable)?.heard?.at)
    if (this.observers.size === 0) return
    for (const observer of this.observers) observer({ outcome, request, connection })
  }

  /** What has met a limit is told as its limit's, too. */
  private limited(outcome: Outcome.Outcome, connection: Connection.Info): void {
    const { limitLog, limits } = this.context
    const met = limitMet(outcome, connection, limits)
    if (met !== undefined) limitLog.reached(...met, connection.peer.name)
  }

  /** A connection was closed, which is no outcome of anything: counted, and told to those who look for it. */
  closed(why: "lifetime", connection: Connection.Info): void {
    this.timeouts[why]++
    const { log } = this.context
    if (log.silent || !log.isRead(this.level)) return
    log.say(
      this.level,
      "connections closed for their age",
      `${nameOf(connection)} was closed for its age`,
      factsOf(connection)
    )
  }

  // What peers can cause at will is logged only for those who look for it; the counts have it.
  private log(
    outcome: Outcome.Outcome,
    request: Request.Request<unknown> | undefined,
    connection: Connection.Info
  ): void {
    const { _tag } = outcome
    const isFault = _tag === "Failed" || _tag === "WorkerCrashed"
    const told = (request as Tellable)?.told
    if (!isFault && told !== undefined) return this.logTold(outcome, told)
    const level = isFault ? "Error" : this.level
    const { log } = this.context
    if (log.silent || !log.isRead(level)) return
    const of = nameOf(connection, request)
    const facts = { ...factsOf(connection, request, outcome), millis: told && Math.floor(told.took()) }
    if (_tag === "Failed") log.say(level, kinds.Failed, `${of} failed`, facts, outcome.cause)
    else log.say(level, kinds[_tag], `${of} ended: ${Outcome.describe(outcome)}`, facts)
  }

  /** Logs a request of which a line was asked for. */
  private logTold(outcome: Outcome.Outcome, { level, request, response, took }: Told): void {
    const { log } = this.context
    // In a worker its parent says how it has ended, where somebody looks for that.
    if (log.silent && outcome._tag !== "Completed" && log.isRead(this.level)) return
    // Where outcomes are logged it is one of them.
    const at = outcome._tag === "Completed" || level === "Info" ? level : this.level
    if (!log.isRead(at)) return
    const how = outcome._tag === "Completed" ? "was answered" : `ended: ${Outcome.describe(outcome)}`
    const facts = { ...factsOf(request.connection, request, outcome), millis: Math.floor(took()), response }
    log.say(at, undefined, `${nameOf(request.connection, request)} ${how}`, facts)
  }
}

type Tellable = { readonly told?: Told | undefined; readonly heard?: Heard } | undefined

/** What a line calls it. */
export const nameOf = ({ kind, peer }: Connection.Info, request?: Request.Request<unknown>): string => {
  if (request !== undefined) return `request ${request.id} from ${peer.name}`
  return `${kind === "datagram" ? "a datagram" : "a connection"} from ${peer.name}`
}

/** What a line about it is found by. */
export const factsOf = (
  { id, listener, peer }: Connection.Info,
  request?: Request.Request<unknown>,
  outcome?: Outcome.Outcome
): Facts => ({
  listener: String(listener),
  connection: id,
  request: request?.id,
  peer: peer.name,
  outcome: outcome?._tag
})

/** What lines about outcomes are about. */
const kinds = {
  Completed: "what was answered",
  Failed: "requests that failed",
  TimedOut: "what took too long",
  Cancelled: "requests that were cancelled",
  Refused: "who was refused",
  FrameTooLarge: "frames that are too large",
  Malformed: "malformed input",
  Undelivered: "responses that could not be sent",
  Drained: "requests that a stop cut off",
  WorkerCrashed: "workers that crashed"
} as const satisfies { readonly [K in Outcome.Tag]: string }
