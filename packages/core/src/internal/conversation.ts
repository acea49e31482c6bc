import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import * as Response from "../Response.ts"
import type { Engine } from "./engine.ts"
import { onRelease, type Releasable } from "./hooks.ts"
import { CurrentRequest, type Heard, Incoming } from "./incoming.ts"
import type { Outbox } from "./outbox.ts"

/**
 * The server's end of something that requests come on: its unsettled requests
 * in the order in which they came, the handlers that are at work for them, and
 * its end.
 *
 * `open`; then `closing`, while what was written leaves; then `closed`. What
 * each means, and how a request is answered, is for {@link Connected} (a
 * connection of bytes) and {@link Exchange} (a datagram) to say.
 */
export abstract class Conversation<In, Out> implements Connection.Ref<Out>, Releasable {
  readonly engine: Engine<In, Out>
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
  protected state: "open" | "closing" | "closed" = "open"
  private running = 0
  private finalizers: Array<(exit: Exit.Exit<void>) => Effect.Effect<void>> = []

  constructor(engine: Engine<In, Out>, id: number) {
    this.engine = engine
    this.id = id
    this.openedAt = engine.now()
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

  /** Answers a request, in its turn. */
  abstract answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void
  abstract isTurnOf(incoming: Incoming<In, Out>): boolean
  /** Whether anything was received, sent or answered since, as far as a look now and then can tell. */
  abstract activeSince(time: number): boolean
  /** The server stops: what was received is answered, then this ends. */
  abstract stop(): void
  /** The deadline of a stop has passed. */
  abstract cut(): void
  /** Ends it once what was written has left. `by` is the request whose handler asks for it, and goes on. */
  protected abstract shut(by?: object): void

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

  protected settle(incoming: Incoming<In, Out>, outcome: Outcome.Outcome): void {
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

  /** Ends a request that nobody will take. */
  abstract drop(incoming: Incoming<In, Out>): void

  /** It is over as soon as its last handler is. */
  protected release(): void {
    if (this.running > 0) return
    const finalizers = this.finalizers
    this.finalizers = []
    this.engine.released(this, finalizers.reverse())
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

/** The request whose response cannot be encoded has failed. */
export const unencodable = (problem: string): Outcome.Outcome =>
  Outcome.failed(Cause.die(new Error(`The response cannot be encoded: ${problem}`)))

/** The response that ends a request as `Failed`. */
export const failed = (cause: Cause.Cause<unknown>): Response.Response<never> =>
  Response.andClose(Response.withOutcome(Response.empty, Outcome.failed(cause)))

/** What is answered for how a handler ended; one that returned no response has failed. */
export const responseOf = <Out>(exit: Exit.Exit<Response.Response<Out>>): Response.Response<Out> => {
  if (exit._tag === "Failure") return failed(exit.cause)
  const response: Response.Response<Out> | undefined = exit.value
  return response?._tag === undefined ? failed(Cause.die(new TypeError("The handler returned no Response"))) : response
}
