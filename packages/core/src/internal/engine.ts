import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Protocol from "../Protocol.ts"
import type * as Response from "../Response.ts"
import type * as Server from "../Server.ts"
import type * as Transport from "../Transport.ts"
import { type Runner, ServerContext } from "./context.ts"
import { DatagramConnection } from "./datagramConnection.ts"
import { Gate } from "./gate.ts"
import type { Incoming } from "./incoming.ts"
import { Intake } from "./intake.ts"
import { factsOf } from "./ledger.ts"
import type { Limits } from "./limits.ts"
import { Readiness } from "./readiness.ts"
import type { Sender } from "./sender.ts"
import { Senders } from "./senders.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { Stop } from "./stop.ts"
import { payloadOf } from "./undecoded.ts"

/** What whoever serves a server does beside answering its requests. */
export interface Served<Out> {
  /** What is said to a peer whose input cannot be decoded. */
  readonly onUndecodable:
    | ((fault: Protocol.DecodeError, about: Server.Undecodable) => Response.Response<Out>)
    | undefined
  /** What is said to a peer that a limit turns away. */
  readonly onTurnedAway:
    | ((refused: Outcome.Refused, connection: Connection.Info) => Response.Response<unknown>)
    | undefined
  /** What happens when a peer connects, before its first request. */
  readonly onConnect:
    | ((connection: Connection.Ref<Out>) => Effect.Effect<unknown, Outcome.Refused, unknown>)
    | undefined
  /** What its requests are run under, by name. */
  readonly policy: string
  /** How much longer than its drain timeout a stop may take, in milliseconds. */
  readonly graceMillis: number
  readonly run: Runner
}

/**
 * One server, put together from its rooms: peers come in at the gate, their
 * requests go through the intake to a policy, and the stop ends both. It knows
 * no socket and no policy.
 */
export class Engine<In, Out> {
  /** Of which declaration it is: the key alone may be that of two. */
  readonly declaration: object
  readonly context: ServerContext<In, Out>
  readonly gate: Gate<In, Out>
  readonly intake: Intake<In, Out>
  /** Who sends datagrams, where sessions have state for each. */
  readonly senders: Senders<In, Out>
  readonly stop: Stop<In, Out>
  readonly readiness: Readiness<In, Out>
  /** What a policy does with the place of a reply that waits, if it does anything. */
  onParked: ((request: Incoming<In, Out>) => (() => boolean) | undefined) | undefined = undefined
  /** Whether somebody serves it, or is about to. */
  isClaimed = false
  /** What is told when it is known what its requests are run under. */
  onServed: (() => void) | undefined = undefined
  private served: Served<Out> | undefined = undefined

  constructor(options: {
    readonly service: string
    readonly declaration: object
    readonly protocol: Protocol.Protocol<In, Out, never, unknown>
    readonly limits: Limits
    readonly services: Context.Context<never>
    readonly verify?: Transport.Verify | undefined
    readonly durations?: ReadonlyArray<number> | undefined
  }) {
    const { durations, limits, protocol, service, services, verify } = options
    this.declaration = options.declaration
    this.context = new ServerContext<In, Out>({
      service,
      protocol,
      limits,
      services,
      durations,
      events: {
        arrived: (line) => this.intake.arrive(line),
        abandoned: (line) => this.intake.abandon(line),
        parked: (request) =>
          this.onParked === undefined ? () => this.intake.othersWait(request) : this.onParked(request),
        settled: () => this.stop.settled(),
        unread: () => this.gate.lookout.arm(),
        spoke: (connection) => {
          if (this.served?.onConnect !== undefined) this.senders.join(connection)
        },
        released: (connection, finalizers) => {
          if (connection instanceof DatagramConnection) connection.sender?.leave(connection)
          if (this.gate.release(connection)) this.stop.released(finalizers)
        },
        left: (finalizers) => this.stop.released(finalizers),
        turnedAway: (refused, connection) =>
          this.said("onTurnedAway", connection, () => this.served?.onTurnedAway?.(refused, connection)),
        lastWords: (fault, connection) =>
          this.said("onUndecodable", connection, () =>
            this.served?.onUndecodable?.(fault, { payload: payloadOf(fault), connection })
          )
      }
    })
    this.intake = new Intake(this.context)
    this.gate = new Gate(this.context, verify, (connection) => this.connected(connection))
    this.context.budget.watch(this.gate.connections, () => this.gate.regulate())
    this.senders = new Senders(this.context, (sender) => this.meet(sender))
    this.stop = new Stop(this.context, this.gate, this.intake, this.senders)
    this.readiness = new Readiness(this.context, this.gate, this.intake, this.stop)
  }

  /** It is bound. */
  open(listeners: ReadonlyArray<Transport.Listening>): void {
    this.gate.listen(listeners)
  }

  /** Other limits from now on: for what comes next, and for what waits because of those before. */
  limit(limits: Limits): void {
    const { context, gate } = this
    const wasUnbounded = context.limits.maxRequestsPerPeer === Infinity
    context.limits = limits
    if (wasUnbounded && limits.maxRequestsPerPeer < Infinity) {
      context.shares.bounded([...gate.connections.all].map(({ line }) => line as never))
    }
    // What is waited for is told by the limits: each is looked at anew.
    for (const connection of gate.connections.all) connection.timeouts.by(context.now() + 1)
    gate.limited()
    this.senders.limited()
    context.shares.limited()
  }

  /** Whether nobody serves it yet; somebody does from now on, until it is {@link disclaim}ed. */
  claim(): boolean {
    if (this.isClaimed) return false
    this.isClaimed = true
    return true
  }

  disclaim(): void {
    this.isClaimed = false
  }

  get policy(): string | undefined {
    return this.served?.policy
  }

  get graceMillis(): number {
    return this.served?.graceMillis ?? 0
  }

  /** Serves it until the returned function is called. */
  serve(served: Served<Out>): () => void {
    this.served = served
    this.context.hasSessions = served.onConnect !== undefined
    this.onServed?.()
    for (const connection of this.gate.connections.values()) this.connected(connection)
    return () => {
      this.served = undefined
      this.onParked = undefined
    }
  }

  private connected(connection: ServerConnection<In, Out>): void {
    if (this.served?.onConnect === undefined) return
    const { onConnect, run } = this.served
    const { context } = this
    if (connection instanceof DatagramConnection && context.protocol.kind === "messages") {
      // Whoever sends it is set up once it is a request. Here it is one that had come before anybody served it.
      if (connection.line.first !== undefined) this.senders.join(connection)
      return
    }
    const setup = run(Effect.exit(Effect.suspend(() => onConnect(connection))))
    let isLate = false
    if (setup.pollUnsafe() === undefined) {
      connection.timeouts.setsUp((refused) => {
        isLate = true
        // What it has asked for meanwhile was not begun.
        if (connection.line.first === undefined) context.ledger.record(refused, undefined, connection)
        else connection.line.cancelAll(refused)
        context.run(connection.close)
      })
    }
    setup.addObserver((exit) => {
      connection.timeouts.isSetUp()
      if (isLate) return
      const ended = exit._tag === "Success" ? exit.value : exit
      if (ended._tag === "Success") return
      // What ends with its connection is no failure; one that is still there would have no handler.
      if (Cause.hasInterruptsOnly(ended.cause) && !this.gate.connections.has(connection)) return
      const refused = ended.cause.reasons.find(Cause.isFailReason)?.error as Outcome.Refused | undefined
      context.ledger.record(refused ?? Outcome.failed(ended.cause), undefined, connection)
      context.run(connection.close)
    })
  }

  /** A sender is known from now on. Where it is refused, the datagrams that wait for that are, too. */
  private meet(sender: Sender<In, Out>): void {
    if (this.served?.onConnect === undefined) return
    const { onConnect, run } = this.served
    const setup = run(Effect.exit(Effect.suspend(() => onConnect(sender))))
    if (setup.pollUnsafe() === undefined) {
      sender.timeouts.setsUp((refused) => {
        sender.datagrams.refuse(refused)
        sender.dismiss("self")
      })
    }
    setup.addObserver((exit) => {
      sender.timeouts.isSetUp()
      const ended = exit._tag === "Success" ? exit.value : exit
      if (ended._tag === "Failure") sender.dismiss("self")
    })
  }

  /** What a hook of the program says. What it throws is logged, and nothing more. */
  private said<A>(hook: string, connection: Connection.Info, say: () => A): A | undefined {
    const said = Result.try(say)
    if (Result.isSuccess(said)) return said.success
    const { log } = this.context
    log.say("Error", `${hook} that threw`, `${hook} threw`, factsOf(connection), Cause.die(said.failure))
    return undefined
  }
}
