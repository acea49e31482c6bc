import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Codec } from "../Protocol.ts"
import * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import type { Engine } from "./engine.ts"
import { onRelease, type Releasable } from "./hooks.ts"
import { CurrentRequest, type Heard, Incoming } from "./incoming.ts"
import { Outbox } from "./outbox.ts"

/**
 * The server's end of one connection: its unsettled requests in the order in
 * which they came, their replies in the same order, and its end.
 *
 * `open`, until the last reply is known or the server closes it; then `closing`,
 * while what was written leaves and what comes is thrown away; then `closed`,
 * when the wire is gone.
 */
export abstract class Conversation<In, Out> implements Wire.Receiver, Connection.Ref<Out>, Releasable {
  readonly engine: Engine<In, Out>
  readonly wire: Wire.Wire
  readonly id: number
  readonly openedAt: number
  readonly outbox: Outbox<Out>
  inFlight = 0
  /** When the peer was last heard of. */
  heard: Heard
  /** When the last request was answered that left none in flight, if connections may be idle too long. */
  answeredAt = 0
  private movedBytes = 0
  private movedAt = 0
  private first: Incoming<In, Out> | undefined = undefined
  private last: Incoming<In, Out> | undefined = undefined
  protected state: "open" | "closing" | "closed" = "open"
  /** The peer will send no more. */
  protected inputEnded = false
  /** The server stops: nothing new is read. */
  protected stopping = false
  /** Why it is closed. */
  private gone: Outcome.Cancelled["reason"] = "ConnectionClosed"
  private lingers = true
  /** Everything that was written has left. */
  private finished = false
  private running = 0
  private finalizers: Array<(exit: Exit.Exit<void>) => Effect.Effect<void>> = []
  private cancelTimer: (() => void) | undefined = undefined

  constructor(engine: Engine<In, Out>, wire: Wire.Wire, id: number) {
    this.engine = engine
    this.wire = wire
    this.id = id
    this.openedAt = engine.now()
    this.heard = { at: this.openedAt }
    this.outbox = new Outbox(wire, engine.protocol.server as Codec<unknown, Out>, engine.turn)
  }

  get peer(): Peer.Peer {
    return this.wire.peer
  }
  get bytesRead(): number {
    return this.wire.bytesRead
  }
  get bytesWritten(): number {
    return this.wire.bytesWritten
  }

  readonly push = (message: Out): Effect.Effect<void, Connection.ConnectionError> =>
    Effect.suspend(() => {
      if (this.state !== "open") return this.fails({ _tag: "Closed" })
      const problem = this.outbox.add(message)
      if (problem !== undefined) return this.fails({ _tag: "EncodeFailed", problem })
      return Effect.flatMap(this.outbox.writable, () =>
        this.outbox.closed ? this.fails({ _tag: "Closed" }) : Effect.void
      )
    })

  get close(): Effect.Effect<void> {
    // A handler that closes its connection goes on; others on the same connection do not.
    return Effect.withFiber((fiber) => Effect.sync(() => this.shut(fiber.getRef(CurrentRequest))))
  }

  readonly [onRelease.key] = (finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>): void => {
    this.finalizers.push(finalizer)
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
    for (let incoming = this.first; incoming !== undefined; incoming = this.first)
      this.cancel(incoming, Outcome.drained)
    this.state = "closed"
    this.outbox.close()
    if (this.wire.bytesUnsent > 0) this.wire.reset()
    else this.wire.destroy()
    this.running = 0
    this.release()
  }

  isTurnOf(incoming: Incoming<In, Out>): boolean {
    return incoming === this.first || !this.engine.protocol.ordered
  }

  /** Makes a request of a message. */
  protected receive(body: In): Incoming<In, Out> {
    const incoming = new Incoming(this.engine.nextRequestId(), body, this.heard, this)
    incoming.previous = this.last
    if (this.last === undefined) this.first = incoming
    else this.last.next = incoming
    this.last = incoming
    this.inFlight++
    return incoming
  }

  started(): void {
    this.running++
  }

  /** A handler's fiber has ended. */
  ended(incoming: Incoming<In, Out>, exit: Exit.Exit<Response.Response<Out>>): void {
    incoming.fiber = undefined
    this.running--
    this.answer(incoming, responseOf(exit))
    if (this.state === "closed") this.release()
  }

  /** Answers a request, in its turn. */
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
        const error = new Error(`The response cannot be encoded: ${problem}`)
        this.settle(incoming, Outcome.failed(Cause.die(error)))
        return this.shut()
      }
    }
    this.settle(incoming, response.outcome ?? this.verdict)
    if (response.close) this.shut()
  }

  private settle(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    if (incoming.previous === undefined) this.first = incoming.next
    else incoming.previous.next = incoming.next
    if (incoming.next === undefined) this.last = incoming.previous
    else incoming.next.previous = incoming.previous
    // Whoever keeps a request does not keep those around it.
    incoming.previous = incoming.next = undefined
    if (--this.inFlight === 0 && this.engine.limits.idleMillis < Infinity) this.answeredAt = this.engine.now()
    incoming.settle(outcome)
    this.engine.ledger.record(outcome, incoming, this)
    this.engine.settled()
  }

  /** Ends a request without an answer. */
  cancel(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    if (incoming.settled !== undefined) return
    this.settle(incoming, outcome)
    if (!incoming.begun) this.engine.abandon()
    incoming.fiber?.interruptUnsafe()
  }

  /** Whether anything was received, sent or answered since, as far as a look now and then can tell. */
  activeSince(time: number): boolean {
    // What is unsent falls while the peer reads.
    const moved = this.bytesRead + this.bytesWritten - this.wire.bytesUnsent
    if (moved !== this.movedBytes) {
      this.movedBytes = moved
      this.movedAt = Math.max(this.heard.at, this.engine.now())
    }
    return Math.max(this.heard.at, this.answeredAt, this.movedAt) > time
  }

  /** Ends a request that nobody will take. */
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

  private release(): void {
    if (this.running > 0) return
    const finalizers = this.finalizers
    this.finalizers = []
    this.engine.released(this, finalizers.reverse())
  }

  private fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.peer }))
  }
}

/** The response that ends a request as `Failed`. */
export const failed = (cause: Cause.Cause<unknown>): Response.Response<never> =>
  Response.andClose(Response.withOutcome(Response.empty, Outcome.failed(cause)))

/** What is answered for how a handler ended; one that returned no response has failed. */
export const responseOf = <Out>(exit: Exit.Exit<Response.Response<Out>>): Response.Response<Out> => {
  if (exit._tag === "Failure") return failed(exit.cause)
  const response: Response.Response<Out> | undefined = exit.value
  return response?._tag === undefined ? failed(Cause.die(new TypeError("The handler returned no Response"))) : response
}
