import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import { Activity } from "./activity.ts"
import type { ServerContext } from "./context.ts"
import type { Controls } from "./controls.ts"
import { responseOf } from "./endings.ts"
import { type Finalizer, Handlers } from "./handlers.ts"
import { CurrentRequest, type Incoming } from "./incoming.ts"
import type { Holding } from "./holding.ts"
import { Line } from "./line.ts"
import { waiting, waitingForPeer } from "./place.ts"
import { Outbox } from "./outbox.ts"
import type { Resumptions } from "./resuming.ts"
import type { Occupant } from "./room.ts"
import type { RequestTimeouts } from "./timeouts.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { WireEnd } from "./wireEnd.ts"

/**
 * The server's end of something that requests come on: the {@link Line} of its
 * requests, the {@link Handlers} that are at work for them, and its end. How a
 * request is answered is for {@link StreamConnection} (bytes) and
 * {@link DatagramConnection} (a datagram: a connection of one request) to say.
 */
export abstract class ServerConnection<In, Out>
  extends WireEnd<Out>
  implements Connection.Ref<Out>, Releasable, Occupant
{
  readonly context: ServerContext<In, Out>
  readonly activity: Activity
  readonly line: Line<In, Out> = new Line(this)
  slot = -1
  private readonly handlers = new Handlers()
  // A field from the start: one that is added at the end takes more.
  endedBy: Connection.EndedBy | undefined = undefined
  /** What its handlers have left to do. */
  resumptions: Resumptions | undefined = undefined
  /** Called once, where others wait until it has sent its first byte. Not initialised: few are waited for. */
  declare onHeard: (() => void) | undefined
  abstract readonly holding: Holding<In, Out>
  abstract readonly timeouts: RequestTimeouts<In, Out>

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(wire, new Outbox(wire, context.side, context.tick, context), id, context.date())
    this.context = context
    this.activity = new Activity(context.now())
    this.outbox.owner = this
  }

  /** What its requests' handlers see as the connection that these have come on. */
  get ref(): Connection.Ref<Out> {
    return this
  }

  get inFlight(): number {
    return this.line.inFlight
  }

  abstract get push(): Connection.Ref<Out>["push"]

  get close(): Effect.Effect<void> {
    // A handler that closes its connection goes on; others on the same connection do not.
    return Effect.withFiber((fiber) => Effect.sync(() => this.shut(fiber.getRef(CurrentRequest))))
  }

  [onRelease.key](finalizer: Finalizer): void {
    this.handlers.onRelease(finalizer)
  }

  /** Answers a request, in its place. */
  abstract answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void
  /** Whether a request may be answered now. */
  abstract isNext(incoming: Incoming<In, Out>): boolean
  /** The server stops: what was received is answered, then this ends. */
  abstract stop(): void
  /** The deadline of a stop has passed. */
  abstract cut(): void
  /** Other limits hold. */
  abstract limited(): void
  /** Ends it once what was written has left. `by` is the request whose handler asks for it, and goes on. */
  protected abstract shut(by?: object): void
  /** Whether nothing is read from its peer now, so that nothing may say that the peer is gone. */
  abstract get isUnread(): boolean
  /** Breaks it off: its peer does not read. */
  abstract breakOff(): void
  /** Waits until the peer keeps up. A handler that waits in a push keeps its place no longer than a reply does. */
  protected override get writable(): Effect.Effect<void> {
    return Effect.withFiber((fiber) => {
      const request = fiber.getRef(CurrentRequest) as Incoming<In, Out> | undefined
      if (request?.fiber === undefined) return this.outbox.writable
      return this.outbox.room((wait) => waiting(request, this, wait))
    })
  }

  /** Whether it is there no more. */
  protected abstract get isOver(): boolean

  abstract get isSpare(): boolean
  get peerKey(): string {
    return this.line.peerKey
  }

  get requestedAt(): number {
    return this.activity.requestedAt
  }

  giveWay(refused: Outcome.Refused): void {
    this.context.displaced++
    this.context.ledger.record(refused, undefined, this)
    this.line.cancelAll(Outcome.cancelled("ConnectionClosed"))
    this.cut()
  }

  /** A handler's fiber has been started. */
  started(): void {
    this.handlers.started()
  }

  /** A handler's fiber has ended. */
  ended(incoming: Incoming<In, Out>, exit: Exit.Exit<Response.Response<Out>>): void {
    incoming.fiber = undefined
    this.handlers.ended()
    // One that took too long has its answer.
    if (incoming.response === undefined) this.conclude(incoming, responseOf(exit))
    if (this.isOver) this.release()
  }

  /** Answers a request. What is thrown meanwhile ends it and its connection, and nothing else. */
  conclude(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    // oxlint-disable-next-line socketserver/no-try -- it would end the policy that all requests are under, or the program
    try {
      this.answer(incoming, response)
    } catch (error) {
      const failed = Outcome.failed(Cause.die(error))
      if (incoming.settled === undefined) this.line.settle(incoming, failed)
      else this.context.ledger.record(failed, undefined, this)
      this.outbox.close()
      this.wire.reset()
    }
  }

  /** Another request is the first in line: the one before it was cancelled. */
  turned(): void {}

  /** A request has its outcome. */
  settled(_incoming: Incoming<In, Out>): void {
    this.context.events.settled()
  }

  /** The control messages that concern a request that is in flight, where its protocol has any. */
  controlled(_incoming: Incoming<In, Out>): Controls<unknown> | undefined {
    return undefined
  }

  /** Waits for what its peer says about a request, without keeping others waiting. */
  awaitPeer<A, E, R>(
    incoming: Incoming<In, Out>,
    wait: Effect.Effect<A, E, R>,
    bytes?: number
  ): Effect.Effect<A, E, R> {
    return waitingForPeer(incoming, this, wait, bytes)
  }

  /** Nobody will take a request, since the server stops. */
  drop(incoming: Incoming<In, Out>): void {
    this.line.cancel(incoming, Outcome.drained)
  }

  /** It is over as soon as its last handler is. */
  protected release(): void {
    const finalizers = this.handlers.release()
    if (finalizers === undefined) return
    this.timeouts.end()
    this.context.events.released(this, finalizers)
  }

  /** The deadline has passed: handlers that do not end are not waited for. */
  protected abandonHandlers(): void {
    this.line.cut()
    this.handlers.abandon()
  }
}
