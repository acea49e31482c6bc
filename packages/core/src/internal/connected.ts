import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Codec } from "../Protocol.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import { Conversation, unencodable } from "./conversation.ts"
import type { Engine } from "./engine.ts"
import type { Incoming } from "./incoming.ts"
import { Outbox } from "./outbox.ts"

/**
 * The server's end of a connection: replies leave in the order of their
 * requests, and it closes without losing one.
 *
 * `open`, until the last reply is known or the server closes it; then `closing`,
 * while what was written leaves and what comes is thrown away; then `closed`,
 * when the wire is gone.
 */
export abstract class Connected<In, Out> extends Conversation<In, Out> implements Wire.Receiver {
  readonly wire: Wire.Wire
  readonly outbox: Outbox<Out>
  private movedBytes = 0
  private movedAt = 0
  /** The peer will send no more. */
  protected inputEnded = false
  /** The server stops: nothing new is read. */
  protected stopping = false
  /** Why it is closed. */
  private gone: Outcome.Cancelled["reason"] = "ConnectionClosed"
  private lingers = true
  /** Everything that was written has left. */
  private finished = false
  private cancelTimer: (() => void) | undefined = undefined

  constructor(engine: Engine<In, Out>, wire: Wire.Wire, id: number) {
    super(engine, id)
    this.wire = wire
    this.outbox = new Outbox(wire, engine.protocol.server as Codec<unknown, Out>, engine.turn)
  }

  get peer(): Peer.Peer {
    return this.wire.peer
  }
  get listener(): Endpoint.Endpoint {
    return this.wire.listener
  }
  get bytesRead(): number {
    return this.wire.bytesRead
  }
  get bytesWritten(): number {
    return this.wire.bytesWritten
  }

  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => {
        if (this.state !== "open") return this.fails({ _tag: "Closed" })
        const problem = this.outbox.add(message)
        if (problem !== undefined) return this.fails({ _tag: "EncodeFailed", problem })
        return Effect.flatMap(this.outbox.writable, () =>
          this.outbox.closed ? this.fails({ _tag: "Closed" }) : Effect.void
        )
      })
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

  onDrain(): void {
    this.engine.turn.run(() => {
      this.outbox.onDrain()
      this.progress()
    })
  }

  onFinish(): void {
    this.finished = true
    // A handler may half-close long before it ends, and has still what waits for its writes.
    this.outbox.onDrain()
    if (this.state !== "open") this.leave()
  }

  /** Everything has left: closes the connection. */
  private leave(): void {
    if (this.inputEnded || !this.lingers || !this.wire.resetsOnClose) return this.wire.destroy()
    // Closing while the peer still sends would reset the connection and may cost
    // it our last reply (RFC 1122, 4.2.2.13): give it a moment to close its end.
    this.timer(this.engine.limits.lingerMillis)
  }

  onClose(_error: unknown): void {
    this.gone = this.state === "open" ? "PeerGone" : "ConnectionClosed"
    this.state = "closed"
    this.inputEnded = true
    this.outbox.close()
    this.cancelTimer?.()
    this.cancelAll(this.gone, undefined)
    this.release()
  }

  /** The server stops: what was received is answered, then the connection closes. */
  stop(): void {
    this.stopping = true
    this.lingers = this.state === "open" && (this.inFlight > 0 || this.hasInput)
    // A handler that has half-closed before may still have work to do.
    if (this.finished && this.state !== "open") return this.wire.destroy()
    this.progress()
  }

  /** The deadline of a stop has passed. */
  cut(): void {
    this.abandonHandlers()
    this.outbox.close()
    if (this.wire.bytesUnsent > 0) this.wire.reset()
    else this.wire.destroy()
    this.release()
  }

  isTurnOf(incoming: Incoming<In, Out>): boolean {
    return incoming === this.first || !this.engine.protocol.ordered
  }

  answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    if (incoming.settled !== undefined) return
    incoming.response = response
    if (this.isTurnOf(incoming)) {
      this.emit(incoming, response)
      while (this.first?.response !== undefined) this.emit(this.first, this.first.response)
      this.first?.wake()
    }
    // While others are in flight and nothing waits there is nothing to do: the hot path of a pipeline.
    if (this.inFlight === 0 || this.hasInput) this.progress()
  }

  private emit(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    // A reply that can no longer leave must not be recorded as if it had.
    const lost = this.state !== "open" && (response._tag === "Reply" || this.gone === "PeerGone")
    if (lost) return this.cancel(incoming, Outcome.cancelled(this.gone))
    if (response._tag === "Reply") {
      const problem = this.outbox.add(response.value)
      if (problem !== undefined) {
        this.settle(incoming, unencodable(problem))
        return this.shut()
      }
    }
    this.settle(incoming, response.outcome ?? this.verdict)
    if (response.close) this.shut()
  }

  activeSince(time: number): boolean {
    // What is unsent falls while the peer reads.
    const moved = this.bytesRead + this.bytesWritten - this.wire.bytesUnsent
    if (moved !== this.movedBytes) {
      this.movedBytes = moved
      this.movedAt = Math.max(this.heard.at, this.engine.now())
    }
    return Math.max(this.heard.at, this.answeredAt, this.movedAt) > time
  }

  drop(incoming: Incoming<In, Out>): void {
    this.cancel(incoming, this.stopping ? Outcome.drained : Outcome.cancelled("ConnectionClosed"))
    this.progress()
  }

  private cancelAll(reason: Outcome.Cancelled["reason"], except: object | undefined): void {
    const all: Array<Incoming<In, Out>> = []
    for (let incoming = this.first; incoming !== undefined; incoming = incoming.next) all.push(incoming)
    for (const incoming of all) {
      if (incoming === except) incoming.finishes = true
      if (!incoming.finishes || incoming.fiber === undefined) this.cancel(incoming, Outcome.cancelled(reason))
    }
    this.first?.wake()
  }

  /** Closes the connection once what was written has left, within a bound. */
  protected shut(by?: object): void {
    if (this.state !== "open") return
    this.state = "closing"
    this.cancelAll("ConnectionClosed", by)
    this.outbox.end()
    this.wire.resume()
    if (this.finished) return this.leave()
    this.watch(this.wire.bytesUnsent)
  }

  /** Gives a peer time to read what was written, for as long as it does. */
  private watch(unsent: number): void {
    this.cancelTimer?.()
    this.cancelTimer = this.engine.after(this.engine.limits.closeMillis, () => {
      const now = this.wire.bytesUnsent
      // What is cut off must not look like a regular end.
      if (now === 0 || now >= unsent) return this.wire.reset()
      this.watch(now)
    })
  }

  protected progress(): void {
    if (this.state !== "open") return
    this.advance()
    if (this.state !== "open" || this.inFlight > 0 || this.hasInput) return
    if (this.inputEnded || this.stopping) this.shut()
  }

  private timer(millis: number): void {
    this.cancelTimer?.()
    this.cancelTimer = this.engine.after(millis, () => this.wire.destroy())
  }
}
