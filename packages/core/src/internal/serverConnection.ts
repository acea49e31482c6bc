import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Side } from "../Codec.ts"
import type { Payload } from "../Protocol.ts"
import type * as Response from "../Response.ts"
import { isOver, type State } from "./connectionState.ts"
import type { ServerContext } from "./context.ts"
import { responseOf } from "./endings.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { CurrentRequest, type Heard, Incoming } from "./incoming.ts"
import type { Outbox } from "./outbox.ts"

/**
 * The server's end of something that requests come on: its unsettled requests
 * in the order in which they came, the handlers that are at work for them, and
 * its end. How a request is answered is for {@link StreamConnection} (bytes) and
 * {@link DatagramConnection} (a datagram: a connection of one request) to say.
 */
export abstract class ServerConnection<In, Out> implements Connection.Ref<Out>, Releasable {
  readonly context: ServerContext<In, Out>
  readonly id: number
  readonly openedAt: number
  abstract readonly outbox: Outbox<Out>
  inFlight = 0
  /** When the peer was last heard of. */
  heard: Heard
  /** When the last request was answered that left none in flight, if connections may be idle too long. */
  answeredAt = 0
  protected first: Incoming<In, Out> | undefined = undefined
  private last: Incoming<In, Out> | undefined = undefined
  protected state: State = "open"
  private running = 0
  private finalizers: Array<(exit: Exit.Exit<void>) => Effect.Effect<void>> = []

  constructor(context: ServerContext<In, Out>, id: number) {
    this.context = context
    this.id = id
    this.openedAt = context.now()
    this.heard = { at: this.openedAt }
  }

  abstract get peer(): Peer.Peer
  abstract get listener(): Endpoint.Endpoint
  abstract get bytesRead(): number
  abstract get bytesWritten(): number
  abstract get push(): Connection.Ref<Out>["push"]

  get close(): Effect.Effect<void> {
    // A handler that closes its connection goes on; others on the same connection do not.
    return Effect.withFiber((fiber) => Effect.sync(() => this.shut(fiber.getRef(CurrentRequest))))
  }

  readonly [onRelease.key] = (finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>): void => {
    this.finalizers.push(finalizer)
  }

  /** Answers a request, in its place. */
  abstract answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void
  /** Whether a request may be answered now. */
  abstract isNext(incoming: Incoming<In, Out>): boolean
  /** Whether anything was received, sent or answered since, as far as a look now and then can tell. */
  abstract activeSince(time: number): boolean
  /** The server stops: what was received is answered, then this ends. */
  abstract stop(): void
  /** The deadline of a stop has passed. */
  abstract cut(): void
  /** Ends it once what was written has left. `by` is the request whose handler asks for it, and goes on. */
  protected abstract shut(by?: object): void

  /** The server's side of its protocol. */
  protected get side(): Side<unknown, Out> {
    return this.context.protocol.server as Side<unknown, never> as Side<unknown, Out>
  }

  /** Makes a request of a message. */
  protected receive(body: In, payload: Payload | undefined): Incoming<In, Out> {
    const incoming = new Incoming(this.context.nextRequestId(), body, payload, this.heard, this)
    incoming.previous = this.last
    if (this.last === undefined) this.first = incoming
    else this.last.next = incoming
    this.last = incoming
    this.inFlight++
    return incoming
  }

  /** Whether a handler is at work on it that `counts`, and does not wait in line with its answer. */
  isAtWork(counts: (request: Incoming<In, Out>) => boolean): boolean {
    for (let request = this.first; request !== undefined; request = request.next) {
      if (request.fiber !== undefined && !request.isHeld && counts(request)) return true
    }
    return false
  }

  started(): void {
    this.running++
  }

  /** A handler's fiber has ended. */
  ended(incoming: Incoming<In, Out>, exit: Exit.Exit<Response.Response<Out>>): void {
    incoming.fiber = undefined
    this.running--
    this.answer(incoming, responseOf(exit))
    if (isOver(this.state)) this.release()
  }

  protected settle(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    if (incoming.previous === undefined) this.first = incoming.next
    else incoming.previous.next = incoming.next
    if (incoming.next === undefined) this.last = incoming.previous
    else incoming.next.previous = incoming.previous
    // Whoever keeps a request does not keep those around it.
    incoming.previous = incoming.next = undefined
    if (--this.inFlight === 0 && this.context.limits.idleMillis < Infinity) this.answeredAt = this.context.now()
    incoming.settle(outcome)
    this.context.ledger.record(outcome, incoming, this)
    this.context.events.settled()
  }

  /** Ends a request without an answer. */
  cancel(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    if (incoming.settled !== undefined) return
    this.settle(incoming, outcome)
    if (!incoming.begun) this.context.events.abandoned()
    incoming.fiber?.interruptUnsafe()
  }

  /** The server stops, and nobody will take a request. */
  drop(incoming: Incoming<In, Out>): void {
    this.cancel(incoming, Outcome.drained)
  }

  /** It is over as soon as its last handler is. */
  protected release(): void {
    if (this.running > 0) return
    const finalizers = this.finalizers
    this.finalizers = []
    this.context.events.released(this, finalizers.reverse())
  }

  /** The deadline has passed: handlers that do not end are not waited for. */
  protected abandonHandlers(): void {
    for (let incoming = this.first; incoming !== undefined; incoming = this.first)
      this.cancel(incoming, Outcome.drained)
    this.state = "closed"
    this.running = 0
  }

  protected fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.peer }))
  }
}
