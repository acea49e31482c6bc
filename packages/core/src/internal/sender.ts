import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { ServerContext } from "./context.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { type Finalizer, Handlers } from "./handlers.ts"
import { Passing } from "./passing.ts"
import { Pushes } from "./pushes.ts"
import type { ValueHolder } from "./reading.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { type ReplyOwner, ReplyWire } from "./replyWire.ts"
import type { Senders } from "./senders.ts"
import { Timeouts } from "./timeouts.ts"
import { Unencodable } from "./unencodable.ts"
import { encoderOf } from "./writing.ts"

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
  /** How many datagrams it has sent. */
  count = 0
  readonly context: ServerContext<In, Out>
  readonly timeouts = new SenderTimeouts(this)
  private readonly senders: Senders<In, Out>
  private readonly handlers = new Handlers()
  private readonly open = new Passing<DatagramConnection<In, Out>, true>()
  private readonly wire: ReplyWire
  private pushes: Pushes | undefined = undefined
  heardAt: number
  private heardBytes = 0
  private answeredBytes = 0
  /** What was let through to it, answers and pushes, where that is bounded. */
  private sentBytes = 0
  private aside = 0
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
    this.heardAt = context.now()
    // The way back of its first one, without its bytes.
    const { reply } = wire.datagram
    this.wire = new ReplyWire({ data: nothing, peer, listener, reply })
    this.wire.belongTo(this)
  }

  join(connection: DatagramConnection<In, Out>): void {
    this.open.set(connection, true)
    connection.sender = this
    this.count++
    this.heardAt = this.context.now()
    this.heardBytes += connection.bytesRead
    this.timeouts.by(this.heardAt + this.context.limits.senderMillis)
  }

  /** The connection of one of its datagrams has ended. */
  leave(connection: DatagramConnection<In, Out>): void {
    if (!this.open.delete(connection)) return
    this.answeredBytes += connection.bytesWritten
    this.heardAt = this.context.now()
    if (this.open.size === 0) this.senders.rest(this)
  }

  get isBusy(): boolean {
    return this.open.size > 0
  }

  /** Whether its only datagram is at work. */
  get isNewcomer(): boolean {
    return this.count === 1 && this.isBusy
  }

  get inFlight(): number {
    let sum = 0
    for (const { line } of this.open.keys()) sum += line.inFlight
    return sum
  }

  get bytesRead(): number {
    return this.heardBytes
  }

  get bytesWritten(): number {
    let sum = this.answeredBytes + this.wire.bytesWritten
    for (const { bytesWritten } of this.open.keys()) sum += bytesWritten
    return sum
  }

  /** Each push is a datagram of its own. */
  get push(): Connection.Ref<Out>["push"] {
    return (message) =>
      Effect.suspend(() => {
        if (this.isReleased) return this.fails({ _tag: "Closed" })
        const { budget, side } = this.context
        const encoded = encoderOf(side, "datagrams")(message)
        if (encoded instanceof Unencodable) return this.fails({ _tag: "EncodeFailed", problem: encoded.problem })
        this.pushes ??= new Pushes(this.wire, budget)
        const bytes = typeof encoded === "string" ? utf8.encode(encoded) : encoded
        return Effect.catch(this.pushes.send(bytes), (failure) => this.fails(failure))
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

  /** It counts what a policy holds for it elsewhere. */
  get holding(): Pick<ValueHolder, "charge"> {
    return this
  }

  charge(bytes: number): void {
    if (this.isReleased) return
    this.aside += bytes
    this.context.budget.change(bytes)
  }

  /** Nobody gets an answer that waits for one. */
  refuse(refused: Outcome.Refused): void {
    for (const { line } of this.open.keys()) line.cancelAll(refused)
  }

  /** Those at work are not waited for. */
  abandon(): void {
    this.open.clear()
  }

  /** What is run now that it has ended; `undefined` where it had ended before. */
  release(): ReadonlyArray<Finalizer> | undefined {
    if (this.isReleased) return undefined
    this.isReleased = true
    if (this.aside !== 0) this.context.budget.change(-this.aside)
    return this.handlers.release()
  }

  withholds(bytes: number): Outcome.Undelivered | undefined {
    const { reflection } = this.context
    if (!reflection.isOn) return undefined
    const withheld = reflection.withholds(this.peer, this.heardBytes, this.sentBytes, bytes)
    if (withheld === undefined) this.sentBytes += bytes
    return withheld
  }

  /** What is pushed to it is no connection's. */
  wrote(bytes: number): void {
    this.context.traffic.of(this.listener).bytesWritten += bytes
  }

  onSent(): void {}
  onEnded(): void {}
  onReset(): void {}

  private fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.peer }))
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
    const expires = (on.isBusy ? now : on.heardAt) + this.context.limits.senderMillis
    if (now < expires) return Math.min(expires, next)
    on.dismiss("self")
    return Infinity
  }
}

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)
