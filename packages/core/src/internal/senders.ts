import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { ServerContext } from "./context.ts"
import type { DatagramConnection } from "./datagramConnection.ts"
import { never, type Timed } from "./deadlines.ts"
import { type Finalizer, Handlers } from "./handlers.ts"
import { Pushes } from "./pushes.ts"
import type { ValueHolder } from "./reading.ts"
import { onRelease, type Releasable } from "./releasing.ts"
import { type ReplyOwner, ReplyWire } from "./replyWire.ts"
import { Unencodable } from "./unencodable.ts"
import { encoderOf } from "./writing.ts"
import { Passing } from "./passing.ts"

/**
 * Those who send datagrams to a server of sessions. A sender is to its datagrams
 * what a connection is to its requests: it is set up once, has its state, and ends,
 * when it has been silent for `senderTimeout`, or when there are more than
 * `maxSenders` and it is the one to go.
 *
 * Its address may be forged, and then it never comes again. So those go first that
 * have sent one datagram, as long as they are more than a quarter; then those that
 * have sent more. Of either it is who has been silent for longest. Whoever has a
 * datagram at work stays.
 */
export class Senders<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly setUp: (sender: Sender<In, Out>) => void
  private readonly known = new Map<string, Sender<In, Out>>()
  private readonly listeners = new Map<Endpoint.Endpoint, number>()
  /** Who has nothing at work, the longest silent first: those with one datagram, and those with more. */
  private readonly strangers = new Set<Sender<In, Out>>()
  private readonly regulars = new Set<Sender<In, Out>>()
  /** How many have sent one datagram, which is at work. */
  private newcomers = 0

  constructor(context: ServerContext<In, Out>, setUp: (sender: Sender<In, Out>) => void) {
    this.context = context
    this.setUp = setUp
  }

  get all(): Iterable<Sender<In, Out>> {
    return this.known.values()
  }

  /** The datagram of a connection is a request, of this sender. */
  join(connection: DatagramConnection<In, Out>): void {
    const key = this.keyOf(connection)
    const known = this.known.get(key)
    const sender = known ?? new Sender(this.context, this, key, connection)
    if (!this.strangers.delete(sender)) this.regulars.delete(sender)
    if (sender.isNewcomer) this.newcomers--
    sender.join(connection)
    if (known !== undefined) return
    this.newcomers++
    this.known.set(key, sender)
    this.trim()
    this.setUp(sender)
  }

  /** A datagram of it has its end, and its handler, too. */
  rest(sender: Sender<In, Out>): void {
    if (sender.isForgotten) return this.release(sender)
    if (sender.count > 1) this.regulars.add(sender)
    else {
      this.newcomers--
      this.strangers.add(sender)
    }
    this.trim()
  }

  /** Who sends again begins anew. What is at work ends as it would. */
  forget(sender: Sender<In, Out>): void {
    if (sender.isForgotten) return
    sender.isForgotten = true
    if (sender.isNewcomer) this.newcomers--
    this.known.delete(sender.key)
    this.strangers.delete(sender)
    this.regulars.delete(sender)
    this.context.deadlines.forget(sender)
    if (!sender.isBusy) this.release(sender)
  }

  /** Other limits hold. */
  limited(): void {
    const now = this.context.now()
    for (const sender of this.known.values()) this.context.deadlines.by(sender, now + 1)
    this.trim()
  }

  /** The server has answered its last datagram, or cuts it off. */
  end(): void {
    const all = [...this.known.values()]
    // A stop looks again when each of them is released, and there are many.
    this.known.clear()
    for (const sender of all) {
      sender.abandon()
      sender.dismiss("stop")
    }
  }

  private trim(): void {
    const { maxSenders } = this.context.limits
    const share = Math.max(1, maxSenders >> 2)
    while (this.known.size > maxSenders) {
      // Within their share they find room, or nobody new could ever come in. More of them drive out each other alone.
      const crowd = this.strangers.size + this.newcomers > share
      const [sender] = crowd || this.regulars.size === 0 ? this.strangers : this.regulars
      if (sender === undefined) return
      this.context.limitLog.reached("maxSenders", maxSenders, "forgotten", sender.peer.name)
      sender.dismiss("self")
    }
  }

  private release(sender: Sender<In, Out>): void {
    const finalizers = sender.release()
    if (finalizers !== undefined) this.context.events.left(finalizers)
  }

  /** The same peer is another sender to another listener. */
  private keyOf({ listener, peer }: Connection.Info): string {
    let number = this.listeners.get(listener)
    if (number === undefined) this.listeners.set(listener, (number = this.listeners.size))
    return `${number} ${peer.name}`
  }
}

/** A sender, as its session and the handlers of its datagrams see it: the connection that they came on. */
export class Sender<In, Out> implements Connection.Ref<Out>, Releasable, Timed, ReplyOwner {
  readonly kind = "datagram"
  readonly id: number
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly openedAt: number
  readonly key: string
  endedBy: Connection.EndedBy | undefined = undefined
  isForgotten = false
  dueAt = never
  queuedAt = never
  /** How many datagrams it has sent. */
  count = 0
  private readonly context: ServerContext<In, Out>
  private readonly senders: Senders<In, Out>
  private readonly handlers = new Handlers()
  private readonly open = new Passing<DatagramConnection<In, Out>, true>()
  private readonly wire: ReplyWire
  private pushes: Pushes | undefined = undefined
  private setup: { readonly until: number; readonly refuse: (refused: Outcome.Refused) => void } | undefined = undefined
  private heardAt: number
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
    this.context.deadlines.by(this, this.heardAt + this.context.limits.senderMillis)
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

  setsUp(refuse: (refused: Outcome.Refused) => void): void {
    const until = this.context.now() + this.context.limits.loginMillis
    this.setup = { until, refuse }
    this.context.deadlines.by(this, until)
  }

  isSetUp(): void {
    this.setup = undefined
  }

  /** Nobody gets an answer that waits for one. */
  refuse(refused: Outcome.Refused): void {
    for (const { line } of this.open.keys()) line.cancelAll(refused)
  }

  look(now: number): number {
    const { setup } = this
    const { loginMillis, senderMillis } = this.context.limits
    if (setup !== undefined && now >= setup.until) {
      this.setup = undefined
      setup.refuse(Outcome.refused(`it was not set up within ${loginMillis} ms`, "LoginTimeout"))
      return Infinity
    }
    const expires = (this.isBusy ? now : this.heardAt) + senderMillis
    if (now < expires) return Math.min(expires, this.setup?.until ?? Infinity)
    this.dismiss("self")
    return Infinity
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

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)
