import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Wire from "../Wire.ts"
import { Activity } from "./activity.ts"
import type { ServerContext } from "./context.ts"
import type { Controls } from "./controls.ts"
import { type Finalizer, Handlers } from "./handlers.ts"
import { CurrentRequest, type Incoming } from "./incoming.ts"
import type { Holding } from "./holding.ts"
import { Line } from "./line.ts"
import { waiting, waitingForPeer } from "./place.ts"
import { Outbox } from "./outbox.ts"
import type { Replies } from "./replies.ts"
import type { Occupant } from "./room.ts"
import type { RequestTimeouts } from "./timeouts.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { WireEnd } from "./wireEnd.ts"

/**
 * The server's end of something that requests come on: bytes ({@link StreamConnection}), or a datagram
 * ({@link DatagramConnection}), which is a connection of one request. Each has rooms of its own kind: how its
 * requests are answered ({@link Replies}), what it holds ({@link Holding}), and what it has its time for
 * ({@link RequestTimeouts}).
 */
export abstract class ServerConnection<In, Out>
  extends WireEnd<Out>
  implements Connection.Ref<Out>, Releasable, Occupant
{
  readonly context: ServerContext<In, Out>
  readonly activity: Activity
  readonly line: Line<In, Out> = new Line(this)
  slot = -1
  readonly handlers = new Handlers()
  // A field from the start: one that is added at the end takes more.
  endedBy: Connection.EndedBy | undefined = undefined
  abstract readonly holding: Holding<In, Out>
  abstract readonly replies: Replies<In, Out>
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

  /** The server stops: what was received is answered, then this ends. */
  abstract stop(): void
  /** The deadline of a stop has passed. */
  abstract cut(): void
  /** Other limits hold. */
  abstract limited(): void
  /** Ends it once what was written has left. `by` is the request whose handler asks for it, and goes on. */
  abstract shut(by?: object): void
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
  abstract get isOver(): boolean

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

  /** It is over as soon as its last handler is. */
  release(): void {
    const finalizers = this.handlers.release()
    if (finalizers === undefined) return
    this.timeouts.end()
    this.context.events.released(this, finalizers)
  }
}
