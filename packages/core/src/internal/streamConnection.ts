import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Wire from "../Wire.ts"
import { Closing } from "./closing.ts"
import type { ServerContext } from "./context.ts"
import type { Outbox } from "./outbox.ts"
import type { Gathered } from "./resuming.ts"
import { ServerConnection } from "./serverConnection.ts"
import type { StreamHolding } from "./streamHolding.ts"
import type { StreamReplies } from "./streamReplies.ts"
import type { StreamTimeouts } from "./streamTimeouts.ts"

/**
 * The server's end of a connection of bytes: replies leave in the order of their
 * requests, and it closes without losing one (see {@link Closing}).
 */
export abstract class StreamConnection<In, Out> extends ServerConnection<In, Out> implements Wire.Receiver {
  readonly closing: Closing
  abstract override readonly holding: StreamHolding<In, Out>
  abstract override readonly replies: StreamReplies<In, Out>
  abstract override readonly timeouts: StreamTimeouts<In, Out>

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
    this.closing = new Closing(wire, this.outbox as Outbox<never>, context)
  }

  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => {
        if (!this.closing.answers) return this.fails({ _tag: "Closed" })
        this.activity.pushed = true
        return this.sent(message)
      })
  }

  /** More of its requests wait, and their replies may leave with those that are there. */
  gathers(output: Gathered): boolean {
    return this.line.queued && this.context.resuming.gather(output)
  }

  abstract onData(chunk: Uint8Array): void
  abstract onEnd(): void
  /** Whether there is input that has not become a request yet. */
  abstract readonly hasInput: boolean
  /** Whether its input is taken as it comes. */
  abstract readonly isReading: boolean
  /** Goes on after something has been settled or has drained. */
  protected abstract advance(): void

  get isOver(): boolean {
    return this.closing.isOver
  }

  get isUnread(): boolean {
    return !this.isOver && (!this.isReading || this.closing.state !== "open")
  }

  onDrain(): void {
    this.context.tick.run(() => {
      this.outbox.onDrain()
      this.progress()
    })
  }

  onFinish(): void {
    this.outbox.onFinish()
    this.closing.closeIfSent()
  }

  /** Something has come that nothing is made of: it is read no faster than others, nor when they would not be. */
  protected discard(chunk: Uint8Array): void {
    if (this.isOver) return
    this.context.discards.took(this, chunk.length)
    this.progress()
  }

  pause(): void {
    this.wire.pause()
  }

  resume(): void {
    if (!this.closing.answers || this.isReading) this.wire.resume()
  }

  /** The peer sends no more. */
  protected inputEnded(): void {
    this.endedBy ??= "peer"
    this.closing.enter("ended")
    if (!this.isOver) this.context.events.unread()
    this.closing.closeIfSent()
    this.progress()
  }

  onClose(_error: unknown): void {
    this.endedBy ??= "peer"
    this.closing.enter("lost")
    // Who waits for its reader ends when there is none: by then all have their outcome, or a stop would end before them.
    this.line.cancelAll(this.closing.unanswered)
    this.closing.lose()
    this.release()
  }

  onMisuse(limit: string, most: number, reason: string): void {
    const { context, wire } = this
    if (this.isOver) return wire.reset()
    context.tick.run(() => {
      context.limitLog.reached(limit, most, "reset", this.peer.name)
      this.reset(Outcome.malformed(wire.bytesRead, reason))
    })
  }

  /** The server stops: what was received is answered, then the connection closes. */
  stop(): void {
    this.endedBy ??= "stop"
    const wasOpen = this.closing.answers
    const isIdle = this.line.inFlight === 0 && !this.hasInput
    this.closing.enter(isIdle ? "stopIdle" : "stopBusy")
    if (wasOpen && isIdle) return this.finishWriting(undefined)
    // A handler that has half-closed before may still have work to do.
    this.closing.closeIfSent()
    this.progress()
  }

  /** The deadline of a stop has passed. */
  cut(): void {
    this.endedBy ??= "stop"
    // What only waits for the end of the turn, or for what follows, has been answered. What comes when the others end is out of place.
    this.outbox.sendNow()
    this.line.cut()
    this.handlers.abandon()
    this.closing.cut()
    this.release()
  }

  limited(): void {
    // What has not left by now was not waited for, where writing had no bound.
    if (this.wire.bytesUnsent > 0 || this.outbox.blocked) this.timeouts.unsent()
    this.progress()
  }

  /** What is cut off must not look like a regular end, and leave nothing to the system. */
  breakOff(): void {
    this.endedBy ??= "self"
    this.closing.enter("shut")
    this.line.cancelAll(Outcome.cancelled("NotReading"))
    this.outbox.close()
    this.wire.reset()
  }

  /** Whether nothing but its peer can make it go on. */
  abstract readonly awaitsPeer: boolean

  /** Its peer has not sent in time what it had to. */
  late(outcome: Outcome.TimedOut): void {
    this.context.ledger.record(outcome, undefined, this)
    this.shut()
  }

  /** Breaks it off: what its peer does not read is let go of, in the kernel as well. */
  reset(outcome: Outcome.Outcome): void {
    this.endedBy ??= "self"
    this.context.ledger.record(outcome, undefined, this)
    this.line.cancelAll(Outcome.cancelled("ConnectionClosed"))
    this.closing.reset()
    this.release()
  }

  /** Closes the connection once what was written has left, within a bound. */
  shut(by?: object): void {
    if (!this.closing.answers) return
    this.endedBy ??= "self"
    this.closing.enter("shut")
    this.finishWriting(by)
  }

  private finishWriting(by: object | undefined): void {
    this.line.cancelAll(this.closing.unanswered, by)
    this.closing.finishWriting()
  }

  progress(): void {
    if (!this.closing.answers) return
    this.line.offer()
    // What leaves at the end of the turn is counted then.
    if (this.line.inFlight === 0 && this.holding.charged > 0 && !this.outbox.pending) this.holding.account()
    this.advance()
    if (!this.closing.answers || this.line.inFlight > 0 || this.hasInput) return
    if (this.closing.state !== "open") this.shut()
  }
}
