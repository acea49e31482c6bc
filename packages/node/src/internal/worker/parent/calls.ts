import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import type { Codec } from "@socketserver/core/Protocol"
import type * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { windowBytes } from "../child/callWire.ts"
import { decode } from "../channel/crossing.ts"
import { Ask, cost, count, type Facts, Tell, writeFacts } from "../channel/frames.ts"
import { RemoteStream } from "./remoteStream.ts"

/** What a job says to the worker that has it. */
export interface Line {
  /** See {@link Facts}. */
  readonly claim: number
  readonly tell: (kind: number, body?: Uint8Array | string) => void
}

/** Something that a worker is to do for a connection, on the parent's side. */
export interface Job {
  readonly connection: Connection.Ref<never>
  /** The context of the handler that it stands in for. */
  readonly context: Context.Context<never>
  /** Its id, if it has one of its own. */
  readonly id: number | undefined
  /** Whether it takes one of the places that a worker has. */
  readonly occupies: boolean
  /** Whether the worker claims it before it begins. */
  readonly isClaimed: boolean
  /** Nobody waits for it any more, or it has its answer. */
  settled: boolean
  /** Whether it waits for a worker. */
  waits: boolean
  /** The earlier it came, the lower; 0 before. */
  turn: number
  /** How often a worker has crashed over it. */
  crashes: number
  /** Whether another worker could still do it. */
  readonly canRetry: boolean
  readonly begin: (line: Line) => void
  readonly onFrame: (kind: number, body: Buffer) => void
  readonly onCrash: (crash: Outcome.WorkerCrashed) => void
  readonly onRefused: (reason: string) => void
}

type Resume<A> = (effect: Effect.Effect<A>) => void

const factsOf = (request: Request.Request<unknown>, { claim }: Line): Facts => ({
  connection: request.connection.id,
  request: request.id,
  receivedAt: request.receivedAt,
  bytesRead: request.connection.bytesRead,
  bytesWritten: request.connection.bytesWritten,
  inFlight: request.connection.inFlight,
  claim
})

/** A request that is a message. */
export class RequestJob<Out> implements Job {
  readonly id = undefined
  readonly occupies = true
  readonly isClaimed = true
  readonly connection: Connection.Ref<never>
  readonly context: Context.Context<never>
  settled = false
  waits = false
  turn = 0
  crashes = 0
  private readonly request: Request.Request<unknown>
  private readonly message: Uint8Array | string
  private readonly codec: Codec<Out, never>
  private readonly resume: Resume<Response.Response<Out>>
  private line: Line | undefined = undefined
  private answer: Response.Response<Out> = Response.empty
  private stream: RemoteStream<Out> | undefined = undefined
  private readonly options: {
    readonly cancel: (job: Job) => void
    readonly atEnd: (f: () => void) => () => void
  }
  private forget: (() => void) | undefined = undefined

  constructor(options: {
    readonly request: Request.Request<unknown>
    readonly context: Context.Context<never>
    readonly message: Uint8Array | string
    readonly codec: Codec<Out, never>
    readonly resume: Resume<Response.Response<Out>>
    readonly cancel: (job: Job) => void
    readonly atEnd: (f: () => void) => () => void
  }) {
    this.request = options.request
    this.connection = options.request.connection
    this.context = options.context
    this.message = options.message
    this.codec = options.codec
    this.resume = options.resume
    this.options = options
  }

  get canRetry(): boolean {
    return this.stream === undefined
  }

  begin(line: Line): void {
    this.line = line
    this.answer = Response.empty
    line.tell(Ask.request, writeFacts(factsOf(this.request, line), this.message))
  }

  onFrame(kind: number, body: Buffer): void {
    if (this.settled) return
    switch (kind) {
      case Tell.message: {
        const message = decode(this.codec, body)
        if (Result.isFailure(message)) {
          return this.settle(died(new Error(`A message of the worker cannot be decoded: ${message.failure}`)))
        }
        if (this.stream === undefined) this.answer = Response.make(message.success)
        else this.stream.offer(message.success, cost(body.length))
        return
      }
      case Tell.stream: {
        const line = this.line as Line
        const left = () => this.options.cancel(this)
        this.stream = new RemoteStream<Out>(body[0] === yes, {
          taken: (bytes) => line.tell(Ask.credit, count(bytes)),
          left
        })
        // Its turn may never come.
        this.forget = this.options.atEnd(left)
        return this.resume(Effect.succeed(this.stream as Response.Streamed<Out>))
      }
      case Tell.done: {
        const outcome = outcomeOf(body)
        if (outcome?._tag === "Malformed" || outcome?._tag === "FrameTooLarge") {
          return this.settle(died(new Error(`The request did not cross to the worker: ${Outcome.describe(outcome)}`)))
        }
        return this.end(body[0] === yes, outcome)
      }
      case Tell.failed:
        return this.settle(died(defectOf(body)))
    }
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.giveUp(crash)
  }

  onRefused(reason: string): void {
    this.giveUp(Outcome.refused(reason))
  }

  private giveUp(outcome: Outcome.Outcome): void {
    if (this.settled) return
    this.answer = Response.empty
    this.end(true, outcome)
  }

  private end(close: boolean, outcome: Outcome.Outcome | undefined): void {
    this.settled = true
    this.forget?.()
    if (this.stream !== undefined) return this.stream.end(close, outcome)
    this.resume(Effect.succeed(decorated(this.answer, close, outcome)))
  }

  private settle(exit: Exit.Exit<never>): void {
    this.settled = true
    this.forget?.()
    if (this.stream === undefined) this.resume(exit)
    else this.stream.fail(exit)
  }
}

/** A whole connection. */
export class ConnectionJob implements Job {
  readonly id: number
  readonly occupies = true
  readonly isClaimed = false
  readonly connection: Connection.Ref<never>
  readonly context: Context.Context<never>
  settled = false
  waits = false
  turn = 0
  crashes = 0
  readonly canRetry = false
  private readonly request: Request.Request<object>
  private readonly relay: Remote.Relay
  private line: Line | undefined = undefined
  private unsent = 0
  private readonly inbox: Array<
    { readonly kind: number; readonly body: Buffer } | Effect.Effect<Response.Response<never>>
  > = []
  private wake: (() => void) | undefined = undefined

  constructor(request: Request.Request<object>, relay: Remote.Relay, context: Context.Context<never>) {
    this.request = request
    this.id = request.connection.id
    this.connection = request.connection
    this.relay = relay
    this.context = context
  }

  begin(line: Line): void {
    this.line = line
    line.tell(Ask.open, writeFacts(factsOf(this.request, line), this.relay.keepsBoundaries ? "1" : ""))
    this.relay.start({
      onData: (chunk) => {
        line.tell(Ask.data, chunk)
        this.unsent += chunk.length
        this.relay.read(this.unsent <= windowBytes)
      },
      onEnd: () => line.tell(Ask.end)
    })
    this.relay.read(true)
  }

  onFrame(kind: number, body: Buffer): void {
    if (this.settled) return
    if (kind === Tell.credit) {
      this.unsent -= body.readUInt32LE(0)
      if (this.unsent <= windowBytes / 2) this.relay.read(true)
      return
    }
    this.settled = kind === Tell.done || kind === Tell.failed
    this.inbox.push({ kind, body })
    this.wake?.()
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.last(Effect.succeed(decorated(Response.empty, true, crash)))
  }

  onRefused(reason: string): void {
    this.last(Effect.succeed(decorated(Response.empty, true, Outcome.refused(reason))))
  }

  /** Passes on what the worker sends, as fast as the peer reads, until its handler has ended. */
  readonly pass: Effect.Effect<Response.Response<never>> = Effect.suspend(() => {
    const next = this.inbox.shift()
    if (next === undefined) return Effect.andThen(this.something, this.pass)
    if (!("kind" in next)) return next
    switch (next.kind) {
      case Tell.data: {
        const { length } = next.body
        const credit = Effect.sync(() => this.line?.tell(Ask.credit, count(length)))
        return Effect.andThen(Effect.andThen(this.relay.write(next.body), credit), this.pass)
      }
      case Tell.end:
        this.relay.end()
        return this.pass
      case Tell.reset:
        this.relay.reset()
        return this.pass
      case Tell.failed:
        return died(defectOf(next.body))
      default:
        return Effect.succeed(decorated(Response.empty, next.body[0] === yes, outcomeOf(next.body)))
    }
  })

  private readonly something: Effect.Effect<void> = Effect.callback((resume) => {
    // A fiber may yield between looking and waiting.
    if (this.inbox.length > 0) return resume(Effect.void)
    this.wake = () => {
      this.wake = undefined
      resume(Effect.void)
    }
  })

  private last(end: Effect.Effect<Response.Response<never>>): void {
    if (this.settled) return
    this.settled = true
    this.inbox.push(end)
    this.wake?.()
  }
}

/** The setup of a connection, for a handler with state for each. */
export class ConnectJob implements Job {
  readonly id = undefined
  readonly occupies = false
  readonly isClaimed = false
  readonly connection: Connection.Ref<never>
  readonly context: Context.Context<never>
  settled = false
  waits = false
  turn = 0
  crashes = 0
  readonly canRetry = false
  private readonly resume: Resume<void>

  constructor(connection: Connection.Ref<never>, context: Context.Context<never>, resume: Resume<void>) {
    this.connection = connection
    this.context = context
    this.resume = resume
  }

  begin(line: Line): void {
    const { bytesRead, bytesWritten, id, inFlight } = this.connection
    line.tell(
      Ask.connect,
      writeFacts({ connection: id, request: 0, receivedAt: 0, bytesRead, bytesWritten, inFlight, claim: line.claim })
    )
  }

  onFrame(kind: number, body: Buffer): void {
    if (kind === Tell.connected) this.settle(Effect.void)
    else if (kind === Tell.failed) this.settle(died(defectOf(body)))
    else if (kind === Tell.done) this.settle(Effect.interrupt)
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.settle(died(new Error(`The setup of the connection: ${Outcome.describe(crash)}`)))
  }

  onRefused(reason: string): void {
    this.settle(died(new Error(`The setup of the connection was refused: ${reason}`)))
  }

  private settle(effect: Effect.Effect<void>): void {
    if (this.settled) return
    this.settled = true
    this.resume(effect)
  }
}

const yes = "1".charCodeAt(0)

const outcomeOf = (body: Buffer): Outcome.Outcome | undefined =>
  body.length > 1 ? (JSON.parse(body.subarray(1).toString()) as Outcome.Outcome) : undefined

const decorated = <Out>(
  response: Response.Response<Out>,
  close: boolean,
  outcome: Outcome.Outcome | undefined
): Response.Response<Out> => {
  const closing = close ? Response.andClose(response) : response
  return outcome === undefined ? closing : Response.withOutcome(closing, outcome)
}

const died = (error: Error): Exit.Exit<never> => Exit.failCause(Cause.die(error))

/** What a handler died of, with the stack that it has in its worker. */
const defectOf = (body: Buffer): Error => {
  const { message, name, stack } = JSON.parse(body.toString()) as Record<"message" | "name" | "stack", string>
  const error = new Error(message)
  error.name = name
  error.stack = stack
  return error
}
