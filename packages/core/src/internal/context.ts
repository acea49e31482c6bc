import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import type { Side } from "../Codec.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Protocol from "../Protocol.ts"
import type * as Response from "../Response.ts"
import type * as Connection from "../Connection.ts"
import { Budget } from "./budget.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { Deadlines } from "./deadlines.ts"
import { Discards } from "./discards.ts"
import { elapsed } from "./elapsed.ts"
import type { Finalizer } from "./handlers.ts"
import { CurrentRequest, type Incoming } from "./incoming.ts"
import { Ledger } from "./ledger.ts"
import { LimitLog } from "./limitLog.ts"
import type { Limits } from "./limits.ts"
import type { Line } from "./line.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { Reflection } from "./reflection.ts"
import { Shares } from "./shares.ts"
import { StopClock } from "./loop.ts"
import { ServerLog } from "./serverLog.ts"
import { Resuming } from "./resuming.ts"
import { Tick } from "./tick.ts"
import { Traffic } from "./traffic.ts"
import { Troubles } from "./troubles.ts"

/** Starts an effect now, with the services it needs; if it is a handler's, it knows its request. */
export type Runner = <A>(effect: Effect.Effect<A, never, unknown>, request?: object) => Fiber.Fiber<A>

/** What a connection tells its server. */
export interface Events<In, Out> {
  /** Requests have arrived on a connection that had none waiting. */
  readonly arrived: (line: Line<In, Out>) => void
  /** A request that waits for a policy has been cancelled. */
  readonly abandoned: (line: Line<In, Out>) => void
  /** A reply waits for its turn or for its reader. Says whether others wait for its place, unless that was given to another. */
  readonly parked: (request: Incoming<In, Out>) => (() => boolean) | undefined
  /** A request has its outcome. */
  readonly settled: () => void
  /** A connection is not read for now, so that nothing may say that its peer is gone. */
  readonly unread: () => void
  /** A datagram is a request. Only told where there are sessions. */
  readonly spoke: (connection: DatagramConnection<In, Out>) => void
  /** A connection has ended, and its handlers with it. */
  readonly released: (connection: ServerConnection<In, Out>, finalizers: ReadonlyArray<Finalizer>) => void
  /** A sender of datagrams has ended. */
  readonly left: (finalizers: ReadonlyArray<Finalizer>) => void
  /** What is said to a peer that a limit turns away. */
  readonly turnedAway: (refused: Outcome.Refused, connection: Connection.Info) => Response.Response<unknown> | undefined
  /** What is said to a peer whose input cannot be decoded, before its connection closes. */
  readonly lastWords: (fault: Protocol.DecodeError, connection: Connection.Info) => Response.Response<Out> | undefined
}

/**
 * What the rooms of a server share: its time, its tick, its ledger, and how it
 * starts effects. It is all that a connection knows of its server.
 */
export class ServerContext<In, Out> {
  readonly service: string
  readonly protocol: Protocol.Protocol<In, Out, never, unknown>
  /** Looked at where they count, and not kept: they may be replaced while the server runs. */
  limits: Limits
  readonly events: Events<In, Out>
  readonly tick: Tick
  readonly resuming: Resuming
  readonly ledger: Ledger
  /** What has come to each of its listeners. */
  readonly traffic: Traffic
  /** All that it logs. */
  readonly log: ServerLog
  readonly limitLog: LimitLog
  readonly minimumLogLevel: LogLevel.LogLevel
  readonly budget: Budget
  /** What was thrown by others on the way, and stopped nothing. */
  readonly troubles: Troubles
  readonly deadlines: Deadlines
  readonly discards: Discards
  readonly shares: Shares
  readonly reflection: Reflection
  readonly run: Runner
  readonly clock: Clock.Clock
  /** What bounds a stop as well, in real time, where it is another one. */
  readonly stopClock: Clock.Clock
  /** Whether its connections are sessions: whoever has one is not replaced by somebody else. */
  hasSessions = false
  /** Connections that the system has handed over since the start, let in or not. */
  accepted = 0
  /** Connections that were let in, and then had to make room for others. */
  displaced = 0
  /** Requests whose handlers have begun. */
  requestsBegun = 0
  private readonly origin: number
  private requestIds = 0
  private connectionIds = 0

  constructor(options: {
    readonly service: string
    readonly protocol: Protocol.Protocol<In, Out, never, unknown>
    readonly limits: Limits
    readonly services: Context.Context<never>
    readonly events: Events<In, Out>
    /** Boundaries of how long requests take, in seconds, where that is looked at. */
    readonly durations?: ReadonlyArray<number> | undefined
  }) {
    const { services } = options
    this.service = options.service
    this.protocol = options.protocol
    this.limits = options.limits
    this.events = options.events
    this.clock = Context.get(services, Clock.Clock)
    this.origin = Math.floor(elapsed(this.clock))
    this.stopClock = Context.get(services, StopClock)
    this.tick = new Tick(Context.get(services, Scheduler.Scheduler))
    this.resuming = new Resuming(this)
    this.run = runner(services, this.tick)
    this.minimumLogLevel = Context.get(services, References.MinimumLogLevel)
    this.log = new ServerLog(this)
    this.limitLog = new LimitLog(this)
    this.ledger = new Ledger(this)
    this.traffic = new Traffic(this.ledger, () => this.now(), options.durations)
    this.budget = new Budget(this)
    this.troubles = new Troubles(this.log)
    this.deadlines = new Deadlines(this)
    this.discards = new Discards(this)
    this.shares = new Shares(this)
    this.reflection = new Reflection(this)
  }

  /** The server's side of its protocol. */
  get side(): Side<unknown, Out> {
    return this.protocol.server as Side<unknown, never> as Side<unknown, Out>
  }

  /** Whole milliseconds since the server was made, by a clock that nobody can set: for all that is measured or waited for. */
  now(): number {
    return Math.floor(elapsed(this.clock) - this.origin)
  }

  /** The time of the wall clock, in milliseconds since 1970: for what is shown. */
  date(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  nextConnectionId(): number {
    return ++this.connectionIds
  }

  nextRequestId(): number {
    return ++this.requestIds
  }

  /** Starts handlers with `services`: what runs in them knows whose handlers they are. */
  handlerRunner<R>(services: Context.Context<R>): Runner {
    return runner(Context.add(services, CurrentServer, this), this.resuming)
  }

  /** Does something later, unless it is cancelled before. */
  after(millis: number, f: () => void, clock = this.clock): () => void {
    const sleep = Effect.provideService(Effect.sleep(millis), Clock.Clock, clock)
    const fiber = this.run(Effect.andThen(sleep, Effect.sync(f)))
    return () => fiber.interruptUnsafe()
  }

  /** Does something when what has arrived by now has been read, which takes a turn of the event loop; or after several. */
  afterTick(f: () => void, ticks: 1 | 2 = 1): void {
    this.run(ticks === 1 ? aTick : Effect.andThen(aTick, aTick)).addObserver(() => this.tick.run(f))
  }
}

/** Starts effects with `services`, as `scheduler` has them go on. */
const runner = <R>(services: Context.Context<R>, scheduler: Scheduler.Scheduler): Runner => {
  // Flat: behind eight that were added one by one, each request's own would copy them all.
  const { mapUnsafe } = Context.add(services, Scheduler.Scheduler, scheduler)
  const scheduled = Context.makeUnsafe<unknown>(new Map(mapUnsafe))
  const run = Effect.runForkWith(scheduled)
  return (effect, request) =>
    request === undefined ? run(effect) : Effect.runForkWith(Context.add(scheduled, CurrentRequest, request))(effect)
}

const aTick = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

/** The server whose handler the current fiber is in. */
export const CurrentServer = Context.Reference<object | undefined>("@socketserver/core/internal/CurrentServer", {
  defaultValue: () => undefined
})
