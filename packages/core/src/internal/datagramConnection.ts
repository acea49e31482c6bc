import * as Effect from "effect/Effect"
import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import type { Control } from "../Protocol.ts"
import type { ServerContext } from "./context.ts"
import { attempted } from "./controls.ts"
import { unencodable } from "./endings.ts"
import { Holding } from "./holding.ts"
import type { Incoming } from "./incoming.ts"
import type { InputOwner } from "./inflow.ts"
import { awaitPlace } from "./place.ts"
import { Pushes } from "./pushes.ts"
import { Reader } from "./reading.ts"
import { Replies } from "./replies.ts"
import { type ReplyOwner, ReplyWire } from "./replyWire.ts"
import type { Sender } from "./sender.ts"
import { ServerConnection } from "./serverConnection.ts"
import { RequestTimeouts } from "./timeouts.ts"
import { TypedConnection } from "./typedConnection.ts"

/**
 * The server's end of a datagram: one request, and the datagrams that go back.
 *
 * The request has its outcome when the system has taken the last of them, or
 * would not take one. Nothing is known of the peer after that; `push` still
 * reaches it.
 */
export class DatagramConnection<In, Out> extends ServerConnection<In, Out> implements ReplyOwner {
  declare readonly wire: ReplyWire
  readonly holding: DatagramHolding<In, Out> = new DatagramHolding(this)
  readonly replies: DatagramReplies<In, Out> = new DatagramReplies(this)
  readonly timeouts: RequestTimeouts<In, Out> = new RequestTimeouts(this)
  /** The connection that is the request, where the protocol makes it one. */
  dialogue: TypedConnection<unknown, Out> | undefined = undefined
  private stopWaiting = noop
  // Few datagrams have any.
  declare private pushes: Pushes<Out> | undefined
  isOver = false
  /** Whose it is, where a session has state for each sender. */
  declare sender: Sender<In, Out> | undefined
  // What has gone back, where that is bounded. Not initialised: it takes memory in each.
  declare sentBytes: number | undefined

  constructor(context: ServerContext<In, Out>, datagram: Wire.Datagram, id: number) {
    super(context, new ReplyWire(datagram), id)
    this.wire.belongTo(this)
  }

  override get ref(): Connection.Ref<Out> {
    return this.sender ?? this
  }

  /** Its handler has its turn among those of all that its peer has sent. */
  get flow(): string {
    return this.peer.name
  }

  /** Each push is a datagram of its own, also after the answer. */
  get push(): Connection.Ref<Out>["push"] {
    return (message) => Effect.suspend(() => (this.pushes ??= new Pushes(this.wire, this.context)).push(message))
  }

  /** Makes the request, or says why the datagram is none. */
  open(): void {
    this.holding.account()
    const { context, outbox, wire } = this
    const { side } = context
    if (context.protocol.kind === "connection") {
      const { holding } = this
      const owner: InputOwner = {
        onAwaited: () => holding.account(),
        onTaken: () => this.stopWaiting()
      }
      const dialogue = new TypedConnection({ wire, side, outbox, info: this, holds: true, owner, holding })
      this.dialogue = dialogue
      dialogue.onData(wire.datagram.data)
      dialogue.onEnd()
      const request = this.line.add(dialogue as never, undefined)
      this.stopWaiting = awaitPlace(context, (refused) => {
        if (!request.begun || dialogue.input.isHandedOn) this.line.cancel(request, refused)
      })
      return this.line.offer()
    }
    const reader = new Reader(side, wire.carries, this.holding) as Reader<unknown> as Reader<In>
    const fault = reader.read(wire.datagram.data, 0)
    if (reader.isRefused) {
      this.holding.overflow()
      return this.closed()
    }
    if (fault === undefined && context.protocol.control !== undefined && this.isControl(reader.messages[0] as In)) {
      return this.closed()
    }
    if (fault === undefined) {
      const { heard } = this.activity
      heard.cost = reader.weightOf(wire.datagram.data.length, context.budget.looks ? reader.payloads : undefined)
      this.timeouts.asked(heard.at)
      this.line.add(reader.messages[0] as In, reader.payloads[0])
      this.holding.account()
      if (context.hasSessions) context.events.spoke(this)
      return this.line.offer()
    }
    context.ledger.record(fault, undefined, this)
    const last = context.events.lastWords(fault, this)
    if (last?._tag === "Reply") outbox.add(last.value)
    this.closed()
  }

  /** Whether it is a control message, which concerns no request here, and is answered at once. */
  private isControl(message: In): boolean {
    const { protocol, troubles } = this.context
    const { answer, is } = protocol.control as Control
    if (attempted(troubles, is, message) !== true) return false
    const answered = answer && attempted(troubles, answer, message)
    if (answered !== undefined) this.outbox.add(answered as Out)
    return true
  }

  override started(): void {
    super.started()
    // Where it goes to a worker, it waits until one has room for it.
    if (this.dialogue?.input.isHandedOn !== true) this.stopWaiting()
    if (this.dialogue === undefined) return
    this.dialogue.input.deliver()
    this.holding.account()
  }

  get isUnread(): boolean {
    return false
  }

  breakOff(): void {
    this.end(Outcome.cancelled("NotReading"))
  }

  readonly isSpare = false

  /** A datagram that was received is answered. */
  stop(): void {
    this.endedBy ??= "stop"
  }

  limited(): void {}

  cut(): void {
    this.endedBy ??= "stop"
    this.line.cut()
    this.handlers.abandon()
    this.isOver = true
    this.outbox.close()
    this.release()
  }

  /** Nothing more is sent; the handler that asks for it may go on. */
  shut(): void {
    this.outbox.end()
  }

  override settled(incoming: Incoming<In, Out>): void {
    super.settled(incoming)
    this.closed()
  }

  withholds(bytes: number): Outcome.Undelivered | undefined {
    return this.context.reflection.withholds(this.sender ?? this, bytes)
  }

  onSent(failure: Outcome.Undelivered | undefined): void {
    this.context.tick.run(() => {
      if (failure !== undefined) return this.end(failure)
      // With the first of many only a little room is made.
      if (this.wire.unsent === 0) this.outbox.onDrain()
      this.replies.progress()
    })
  }

  /** What is pushed when it is gone is counted by nobody else. */
  wrote(bytes: number): void {
    if (this.holding.charged < 0) this.context.traffic.of(this.listener).bytesWritten += bytes
  }

  onEnded(): void {
    this.dialogue?.onFinish()
  }

  onReset(): void {
    this.end(Outcome.cancelled("ConnectionClosed"))
  }

  private end(outcome: Outcome.Outcome): void {
    this.endedBy ??= "self"
    this.outbox.close()
    this.dialogue?.onClose(undefined)
    if (this.line.first !== undefined) this.line.cancel(this.line.first, outcome)
  }

  private closed(): void {
    this.stopWaiting()
    this.isOver = true
    this.release()
  }
}

/** What a datagram holds, and what goes back. */
class DatagramHolding<In, Out> extends Holding<In, Out> {
  declare protected readonly on: DatagramConnection<In, Out>

  protected inputBytes(): number {
    const { dialogue, wire } = this.on
    // Until it is decoded, that is the same.
    return Math.max(wire.datagram.data.length, dialogue?.input.bytes ?? 0)
  }

  protected get unfinishedBytes(): number {
    return 0
  }

  goOn(): void {}
}

/** How its request gets its answer, and ends once everything has been sent. */
class DatagramReplies<In, Out> extends Replies<In, Out> {
  declare protected readonly on: DatagramConnection<In, Out>
  /** How it ends then. */
  private verdict: Outcome.Outcome | undefined = undefined

  isNext(): boolean {
    return true
  }

  protected answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    if (incoming.settled !== undefined) return
    const { dialogue, line, outbox, sender } = this.on
    if (response._tag === "Reply") {
      // A reply that can no longer leave must not be recorded as if it had.
      if (outbox.isEnding) return line.cancel(incoming, Outcome.cancelled("ConnectionClosed"))
      const problem = outbox.add(response.value)
      if (problem !== undefined) return line.settle(incoming, unencodable(problem))
    }
    dialogue?.input.deliver()
    if (response.close) sender?.dismiss("self")
    // The connection ends with its handler.
    if (dialogue !== undefined) outbox.end()
    this.verdict = response.outcome ?? dialogue?.input.decoding.fault ?? Outcome.completed
    this.progress()
  }

  /** Something of what was written has been sent. */
  progress(): void {
    const { line, outbox, wire } = this.on
    if (line.first !== undefined && this.verdict !== undefined && !outbox.pending && wire.unsent === 0) {
      line.settle(line.first, this.verdict)
    }
  }
}

const noop = (): void => {}
