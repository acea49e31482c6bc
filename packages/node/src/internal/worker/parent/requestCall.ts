/** Calls of protocols where each message is a request. */
import * as Outcome from "@socketserver/core/Outcome"
import type { Payload } from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { readClose, readDefect, readDone, requestKind } from "../channel/calls.ts"
import { Ask, cost, count, Tell, writeFacts } from "../channel/frames.ts"
import { Call, decorated, died, factsOf, type Line, type Resume } from "./call.ts"
import { ControlRelay } from "./controlRelay.ts"
import { RemoteStream } from "./remoteStream.ts"

interface Options<Out> {
  readonly request: Request.Request<unknown>
  readonly context: Context.Context<never>
  readonly payload: Payload
  /** How much of its reply waits here before its worker waits. */
  readonly windowBytes?: number | undefined
  readonly resume: Resume<Response.Response<Out>>
  readonly cancel: (call: Call) => void
  /** Calls back when the connection ends, unless the returned function is called before. */
  readonly atEnd: (f: () => void) => () => void
}

/** A request that is a message: its payload goes at once, and those of messages come back. */
export class RequestCall<Out> extends Call {
  private readonly options: Options<Out>
  private line: Line | undefined = undefined
  private answer: Response.Response<Out> = Response.empty
  private stream: RemoteStream<Out> | undefined = undefined
  private forget: (() => void) | undefined = undefined
  private readonly controls: ControlRelay | undefined

  constructor(options: Options<Out>) {
    super(requestKind, options.request.connection, options.context)
    this.options = options
    const controls = Remote.controlsOf(options.context)
    this.controls = controls && new ControlRelay(controls)
  }

  protected override get canRetry(): boolean {
    return this.stream === undefined
  }

  override get request(): number {
    return this.options.request.id
  }

  override get bytes(): number {
    return this.options.payload.length
  }

  override get mayBegin(): boolean {
    return Remote.mayBegin(this.options.request)
  }

  override whenMayBegin(f: () => void): void {
    Remote.whenMayBegin(this.options.request, f)
  }

  begin(line: Line): void {
    const { payload, request } = this.options
    this.line = line
    this.answer = Response.empty
    line.tell(Ask.request, writeFacts(factsOf(request, line), payload))
    this.controls?.begin(line)
  }

  onFrame(kind: number, body: Buffer): void {
    if (this.isFinished) return
    switch (kind) {
      case Tell.message: {
        if (this.stream === undefined) this.answer = Response.make(Remote.encoded(body))
        else this.stream.offer(body, cost(body.length))
        return
      }
      case Tell.stream: {
        const line = this.line as Line
        const left = () => {
          this.forget?.()
          this.options.cancel(this)
        }
        const holds = (bytes: number) => Remote.hold(this.connection, bytes)
        const taken = (bytes: number) => line.tell(Ask.credit, count(bytes))
        const on = { holds, taken, waits: line.waits, left }
        this.stream = new RemoteStream<Out>(readClose(body), on, this.options.windowBytes)
        // Its turn may never come, also when all of it is here.
        Remote.onUnstarted(this.options.request, this.stream.leave)
        this.forget = this.options.atEnd(this.stream.leave)
        return this.options.resume(Effect.succeed(this.stream as Response.Streamed<Out>))
      }
      case Tell.done: {
        const { close, outcome } = readDone(body)
        if (outcome?._tag === "Malformed" || outcome?._tag === "FrameTooLarge") {
          return this.fail(new Error(`The request did not cross to the worker: ${Outcome.describe(outcome)}`))
        }
        // As here: what is not answered would take the next one's answer for its own.
        const isReset = outcome?._tag === "Cancelled" && outcome.reason === "OutOfMemory"
        return this.end(close || isReset, outcome)
      }
      case Tell.failed:
        return this.fail(readDefect(body))
      case Tell.awaits:
        Remote.awaitsPeer(this.options.request, readClose(body))
        return this.line?.waits(readClose(body))
      case Tell.credit:
        return this.controls?.credited(body.readUInt32LE(0))
    }
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.answer = Response.empty
    this.end(true, crash)
  }

  onRefused(reason: string): void {
    this.answer = Response.empty
    this.end(true, Outcome.refused(reason, "Stopping"))
  }

  private end(close: boolean, outcome: Outcome.Outcome | undefined): void {
    if (!this.finish()) return
    this.controls?.leave()
    if (this.stream !== undefined) return this.stream.end(close, outcome)
    this.options.resume(Effect.succeed(decorated(this.answer, close, outcome)))
  }

  private fail(error: Error): void {
    if (!this.finish()) return
    this.controls?.leave()
    const exit: Exit.Exit<never> = died(error)
    if (this.stream === undefined) this.options.resume(exit)
    else this.stream.fail(exit)
  }
}
