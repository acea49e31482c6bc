import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import { answers, type Event, isOver, type State, transitions } from "./connectionState.ts"
import { unencodable } from "./endings.ts"
import type { Incoming } from "./incoming.ts"
import { ServerConnection } from "./serverConnection.ts"

/**
 * The server's end of a connection of bytes: replies leave in the order of their
 * requests, and it closes without losing one. Its states are in
 * `connectionState.ts`.
 */
export abstract class StreamConnection<In, Out> extends ServerConnection<In, Out> implements Wire.Receiver {
  protected state: State = "open"
  private movedBytes = 0
  private movedAt = 0
  private cancelTimer: (() => void) | undefined = undefined

  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => (answers(this.state) ? this.sent(message) : this.fails({ _tag: "Closed" })))
  }

  abstract onData(chunk: Uint8Array): void
  abstract onEnd(): void
  /** Whether there is input that has not become a request yet. */
  protected abstract readonly hasInput: boolean
  /** What a request ends as that was answered. */
  protected get verdict(): Outcome.Outcome {
    return Outcome.completed
  }
  /** Goes on after something has been settled or has drained. */
  protected abstract advance(): void

  protected get isOver(): boolean {
    return isOver(this.state)
  }

  /** Takes an event to the state where it leads; whether that is another one. */
  protected enter(event: Event): boolean {
    const next = transitions[this.state][event]
    if (next === undefined) return false
    this.state = next
    return true
  }

  onDrain(): void {
    this.context.tick.run(() => {
      this.outbox.onDrain()
      this.progress()
    })
  }

  onFinish(): void {
    this.outbox.onFinish()
    this.closeIfSent()
  }

  /** Closes the connection, if everything that is to leave has left. */
  private closeIfSent(): void {
    if (answers(this.state) || isOver(this.state) || !this.outbox.isFinished) return
    if (this.state === "closing" || !this.wire.resetsOnClose) return this.wire.destroy()
    if (!this.enter("left")) return
    this.cancelTimer?.()
    this.cancelTimer = this.context.after(this.context.limits.lingerMillis, () => this.wire.destroy())
  }

  /** The peer sends no more. */
  protected inputEnded(): void {
    this.enter("ended")
    this.closeIfSent()
    this.progress()
  }

  onClose(_error: unknown): void {
    this.enter("lost")
    this.outbox.close()
    this.cancelTimer?.()
    this.cancelAll(undefined)
    this.release()
  }

  /** The server stops: what was received is answered, then the connection closes. */
  stop(): void {
    const wasOpen = answers(this.state)
    const isIdle = this.line.inFlight === 0 && !this.hasInput
    this.enter(isIdle ? "stopIdle" : "stopBusy")
    if (wasOpen && isIdle) return this.finishWriting(undefined)
    // A handler that has half-closed before may still have work to do.
    this.closeIfSent()
    this.progress()
  }

  /** The deadline of a stop has passed. */
  cut(): void {
    this.abandonHandlers()
    this.state = "closed"
    this.outbox.close()
    if (this.wire.bytesUnsent > 0) this.wire.reset()
    else this.wire.destroy()
    this.release()
  }

  isNext(incoming: Incoming<In, Out>): boolean {
    return incoming === this.line.first || this.context.protocol.correlation !== undefined
  }

  answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    if (incoming.settled !== undefined) return
    incoming.response = response
    if (this.isNext(incoming)) {
      this.emit(incoming, response)
      while (this.line.first?.response !== undefined) this.emit(this.line.first, this.line.first.response)
      this.line.first?.wake()
    }
    // While others are in flight and nothing waits there is nothing to do: the hot path of a pipeline.
    if (this.line.inFlight === 0 || this.hasInput) this.progress()
  }

  private emit(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    // A reply that can no longer leave must not be recorded as if it had.
    if (!answers(this.state) && (response._tag === "Reply" || this.state === "gone")) {
      return this.line.cancel(incoming, this.lost)
    }
    if (response._tag === "Reply") {
      const problem = this.outbox.add(response.value)
      if (problem !== undefined) {
        this.line.settle(incoming, unencodable(problem))
        return this.shut()
      }
    }
    this.line.settle(incoming, response.outcome ?? this.verdict)
    if (response.close) this.shut()
  }

  /** What a request ends as that can no longer be answered. */
  private get lost(): Outcome.Outcome {
    return Outcome.cancelled(this.state === "gone" ? "PeerGone" : "ConnectionClosed")
  }

  activeSince(time: number): boolean {
    // What is unsent falls while the peer reads.
    const moved = this.bytesRead + this.bytesWritten - this.wire.bytesUnsent
    if (moved !== this.movedBytes) {
      this.movedBytes = moved
      this.movedAt = Math.max(this.heard.at, this.context.now())
    }
    return Math.max(this.heard.at, this.line.emptyAt, this.movedAt) > time
  }

  override drop(incoming: Incoming<In, Out>): void {
    super.drop(incoming)
    this.progress()
  }

  private cancelAll(except: object | undefined): void {
    const all: Array<Incoming<In, Out>> = []
    for (let incoming = this.line.first; incoming !== undefined; incoming = incoming.next) all.push(incoming)
    for (const incoming of all) {
      if (incoming === except) incoming.finishes = true
      if (!incoming.finishes || incoming.fiber === undefined) this.line.cancel(incoming, this.lost)
    }
    this.line.first?.wake()
  }

  /** Closes the connection once what was written has left, within a bound. */
  protected shut(by?: object): void {
    if (!answers(this.state)) return
    this.enter("shut")
    this.finishWriting(by)
  }

  private finishWriting(by: object | undefined): void {
    this.cancelAll(by)
    this.outbox.end()
    this.wire.resume()
    if (this.outbox.isFinished) return this.closeIfSent()
    this.watch(this.wire.bytesUnsent)
  }

  /** Gives a peer time to read what was written, for as long as it does. */
  private watch(unsent: number): void {
    this.cancelTimer?.()
    this.cancelTimer = this.context.after(this.context.limits.closeMillis, () => {
      const now = this.wire.bytesUnsent
      // What is cut off must not look like a regular end.
      if (now === 0 || now >= unsent) return this.wire.reset()
      this.watch(now)
    })
  }

  protected progress(): void {
    if (!answers(this.state)) return
    this.advance()
    if (!answers(this.state) || this.line.inFlight > 0 || this.hasInput) return
    if (this.state !== "open") this.shut()
  }
}
