import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import { Aside } from "./aside.ts"
import type { ServerContext } from "./context.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { Datagrams } from "./datagrams.ts"
import { type Finalizer, Handlers } from "./handlers.ts"
import { Pushes } from "./pushes.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { type ReplyOwner, ReplyWire } from "./replyWire.ts"
import type { Senders } from "./senders.ts"
import { Timeouts } from "./timeouts.ts"

/** A sender, as its session and the handlers of its datagrams see it: the connection that they came on. */
export class Sender<In, Out> implements Connection.Ref<Out>, Releasable, ReplyOwner {
  readonly kind = "datagram"
  readonly id: number
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly openedAt: number
  readonly key: string
  endedBy: Connection.EndedBy | undefined = undefined
  isForgotten = false
  readonly context: ServerContext<In, Out>
  readonly timeouts = new SenderTimeouts(this)
  readonly holding: Aside
  readonly datagrams: Datagrams<In, Out>
  /** What was let through to it, answers and pushes, where that is bounded. */
  sentBytes = 0
  private readonly senders: Senders<In, Out>
  private readonly handlers = new Handlers()
  private readonly wire: ReplyWire
  private pushes: Pushes<Out> | undefined = undefined
  private isReleased = false

  constructor(
    context: ServerContext<In, Out>,
    senders: Senders<In, Out>,
    key: string,
    { id, listener, openedAt, peer, wire }: DatagramConnection<In, Out>
  ) {
    this.context = context
    this.senders = senders
    this.key = key
    this.id = id
    this.peer = peer
    this.listener = listener
    this.openedAt = openedAt
    this.holding = new Aside(context.budget)
    this.datagrams = new Datagrams(context.now())
    // The way back of its first one, without its bytes.
    const { reply } = wire.datagram
    this.wire = new ReplyWire({ data: nothing, peer, listener, reply })
    this.wire.belongTo(this)
  }

  join(connection: DatagramConnection<In, Out>): void {
    const now = this.context.now()
    this.datagrams.add(connection, now)
    connection.sender = this
    this.timeouts.by(now + this.context.limits.senderMillis)
  }

  /** The connection of one of its datagrams has ended. */
  leave(connection: DatagramConnection<In, Out>): void {
    if (this.datagrams.remove(connection, this.context.now()) && !this.datagrams.isBusy) this.senders.rest(this)
  }

  get inFlight(): number {
    return this.datagrams.inFlight
  }

  get bytesRead(): number {
    return this.datagrams.bytesRead
  }

  get bytesWritten(): number {
    return this.datagrams.bytesWritten + this.wire.bytesWritten
  }

  /** Each push is a datagram of its own. */
  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => {
        if (this.isReleased) {
          return Effect.fail(new Connection.ConnectionError({ reason: { _tag: "Closed" }, peer: this.peer }))
        }
        return (this.pushes ??= new Pushes(this.wire, this.context)).push(message)
      })
  }

  /** What it has is released once what is at work has ended; its next datagram begins anew. */
  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.dismiss("self"))
  }

  dismiss(by: Connection.EndedBy): void {
    this.endedBy ??= by
    this.senders.forget(this)
  }

  [onRelease.key](finalizer: Finalizer): void {
    this.handlers.onRelease(finalizer)
  }

  /** What is run now that it has ended; `undefined` where it had ended before. */
  release(): ReadonlyArray<Finalizer> | undefined {
    if (this.isReleased) return undefined
    this.isReleased = true
    this.holding.end()
    return this.handlers.release()
  }

  withholds(bytes: number): Outcome.Undelivered | undefined {
    return this.context.reflection.withholds(this, bytes)
  }

  /** What is pushed to it is no connection's. */
  wrote(bytes: number): void {
    this.context.traffic.of(this.listener).bytesWritten += bytes
  }
}

/** What a sender has its time for: its session is set up, and it sends again. */
class SenderTimeouts<In, Out> extends Timeouts {
  private readonly on: Sender<In, Out>

  constructor(on: Sender<In, Out>) {
    super()
    this.on = on
  }

  protected get context(): ServerContext<In, Out> {
    return this.on.context
  }

  look(now: number): number {
    const { on } = this
    const next = this.lookAtSetUp(now)
    if (on.isForgotten) return Infinity
    const expires = (on.datagrams.isBusy ? now : on.datagrams.heardAt) + this.context.limits.senderMillis
    if (now < expires) return Math.min(expires, next)
    on.dismiss("self")
    return Infinity
  }
}

const nothing = new Uint8Array(0)
