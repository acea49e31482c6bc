/** Calls of protocols where the whole connection is the request. */
import * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { connectionKind, defaultWindow, readDefect, readDone, stoppedInput, toldOfStop } from "../channel/calls.ts"
import { Ask, count, Tell, writeFacts } from "../channel/frames.ts"
import { Call, decorated, died, factsOf, type Line } from "./call.ts"

type Arrived = { readonly kind: number; readonly body: Buffer } | Effect.Effect<Response.Response<never>>

/** A whole connection: its bytes go to the worker and back, in both directions as fast as they are taken. */
export class ConnectionCall extends Call {
  private readonly asked: Request.Request<object>
  private readonly relay: Remote.Relay
  private line: Line | undefined = undefined
  private readonly windowBytes: number
  private unsent = 0
  private readonly inbox: Array<Arrived> = []
  private wake: (() => void) | undefined = undefined

  constructor(
    request: Request.Request<object>,
    relay: Remote.Relay,
    context: Context.Context<never>,
    windowBytes = defaultWindow
  ) {
    super(connectionKind, request.connection, context)
    this.windowBytes = windowBytes
    this.asked = request
    this.relay = relay
  }

  override get request(): number {
    return this.asked.id
  }

  begin(line: Line): void {
    this.line = line
    line.tell(Ask.open, writeFacts(factsOf(this.asked, line), this.relay.carries === "datagrams" ? "1" : ""))
    this.relay.start({
      onData: (chunk) => {
        line.tell(Ask.data, chunk)
        this.unsent += chunk.length
        Remote.hold(this.connection, chunk.length)
        this.relay.read(this.unsent <= this.windowBytes)
      },
      onEnd: (how) => line.tell(Ask.end, how === "stopped" ? stoppedInput : undefined),
      onStop: () => line.tell(Ask.end, toldOfStop)
    })
    this.relay.read(true)
  }

  onFrame(kind: number, body: Buffer): void {
    if (this.isFinished) return
    if (kind === Tell.credit) {
      const taken = body.readUInt32LE(0)
      this.unsent -= taken
      Remote.hold(this.connection, -taken)
      if (this.unsent <= this.windowBytes / 2) this.relay.read(true)
      return
    }
    if (kind === Tell.done || kind === Tell.failed) this.finish()
    if (kind === Tell.data) Remote.hold(this.connection, body.length)
    this.inbox.push({ kind, body })
    this.wake?.()
  }

  /** What is on its way to a handler that has ended nobody takes. */
  override finish(): boolean {
    Remote.hold(this.connection, -this.unsent)
    this.unsent = 0
    return super.finish()
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.end(crash)
  }

  onRefused(reason: string): void {
    this.end(Outcome.refused(reason, "Stopping"))
  }

  /** Passes on what the worker sends, as fast as the peer reads, until its handler has ended. */
  readonly pass: Effect.Effect<Response.Response<never>> = Effect.suspend(() => {
    const next = this.inbox.shift()
    if (next === undefined) return Effect.andThen(this.something, this.pass)
    if (!("kind" in next)) return next
    switch (next.kind) {
      case Tell.data: {
        const { length } = next.body
        Remote.hold(this.connection, -length)
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
        return died(readDefect(next.body))
      default: {
        const { close, outcome } = readDone(next.body)
        return Effect.succeed(decorated(Response.empty, close, outcome))
      }
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

  private end(outcome: Outcome.Outcome): void {
    if (!this.finish()) return
    this.inbox.push(Effect.succeed(decorated(Response.empty, true, outcome)))
    this.wake?.()
  }
}
