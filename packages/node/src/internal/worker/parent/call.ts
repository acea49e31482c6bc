/** A call on the parent's side: what its three kinds have in common. */
import type * as Connection from "@socketserver/core/Connection"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Remote from "@socketserver/core/Remote"
import type { Kind } from "../channel/calls.ts"
import type { Facts } from "../channel/frames.ts"

/** What a call says to the worker that has it. */
export interface Line {
  /** See {@link Facts}. */
  readonly claim: number
  readonly tell: (kind: number, body?: Uint8Array | string) => void
  /** The worker waits until more of what it has answered is taken, or goes on. */
  readonly waits: (waiting: boolean) => void
}

export type Resume<A> = (effect: Effect.Effect<A>) => void

/**
 * Something that a worker is to do for a connection, on the parent's side: a
 * request, a whole connection, or the set-up of one. It has one end: an answer,
 * a crash, a refusal, or that nobody waits for it.
 */
export abstract class Call {
  readonly kind: Kind
  readonly connection: Connection.Ref<never>
  /** The context of the handler that it stands in for. */
  readonly context: Context.Context<never>
  private finished = false
  private place = 0
  private crashed = 0
  /** Whether its worker waits until more of its reply is taken. */
  isHeld = false

  constructor(kind: Kind, connection: Connection.Ref<never>, context: Context.Context<never>) {
    this.kind = kind
    this.connection = connection
    this.context = context
  }

  /** Nobody waits for it any more, or it has its answer. */
  get isFinished(): boolean {
    return this.finished
  }

  /** Whether it had no end before; it has one now. */
  finish(): boolean {
    if (this.finished) return false
    this.finished = true
    return true
  }

  /** The earlier it came, the lower; 0 before. */
  get sequence(): number {
    return this.place
  }

  /** It has come, or comes again: then it keeps its place. */
  arrive(sequence: number): void {
    if (this.place === 0) this.place = sequence
  }

  /** A worker has crashed over it. Whether another one may do it, after so many crashes at most. */
  mayRetry(crashes: number): boolean {
    if (this.crashed >= crashes || !this.canRetry) return false
    this.crashed++
    return true
  }

  /** The number of its request; 0 if it has none. */
  get request(): number {
    return 0
  }

  /** What it brings to a worker, in bytes. */
  get bytes(): number {
    return 0
  }

  /** How much its peer has been sent and has taken, in bytes. */
  get read(): number {
    const wire = Remote.wireOf(this.connection)
    return wire === undefined ? 0 : wire.bytesWritten - wire.bytesUnsent
  }

  /** Whether there is something that its peer has not taken. */
  get isUnread(): boolean {
    return (Remote.wireOf(this.connection)?.bytesUnsent ?? 0) > 0
  }

  /** Whether it may begin: its peer reads what it is sent. */
  get mayBegin(): boolean {
    return true
  }

  /** Calls back once it may, and stands for those after it on its connection. */
  whenMayBegin(_f: () => void): void {}

  /** Breaks its connection off: its peer does not read. */
  abandon(): void {
    Remote.wireOf(this.connection)?.reset()
  }

  /** How often a worker has crashed over it, and another got it. */
  get crashes(): number {
    return this.crashed
  }

  /** Whether another worker could still do it. */
  protected get canRetry(): boolean {
    return false
  }

  /** A worker has it. */
  abstract begin(line: Line): void

  abstract onFrame(kind: number, body: Buffer): void

  abstract onCrash(crash: Outcome.WorkerCrashed): void

  abstract onRefused(reason: string): void
}

export const factsOf = (request: Request.Request<unknown>, { claim }: Line): Facts => ({
  connection: request.connection.id,
  request: request.id,
  receivedAt: request.receivedAt,
  bytesRead: request.connection.bytesRead,
  bytesWritten: request.connection.bytesWritten,
  inFlight: request.connection.inFlight,
  claim
})

/** A response with the end that it had in the worker. */
export const decorated = <Out>(
  response: Response.Response<Out>,
  close: boolean,
  outcome: Outcome.Outcome | undefined
): Response.Response<Out> => {
  const closing = close ? Response.andClose(response) : response
  return outcome === undefined ? closing : Response.withOutcome(closing, outcome)
}

export const died = (error: Error): Exit.Exit<never> => Exit.failCause(Cause.die(error))
