import type * as Connection from "../Connection.ts"
import type * as Outcome from "../Outcome.ts"
import type { Side } from "../Codec.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { Heard, type Incoming } from "./incoming.ts"
import type { InputOwner } from "./inflow.ts"
import type { Outbox } from "./outbox.ts"
import { awaitPlace } from "./place.ts"
import { StreamConnection } from "./streamConnection.ts"
import { StreamHolding } from "./streamHolding.ts"
import { StreamReplies } from "./streamReplies.ts"
import { StreamTimeouts } from "./streamTimeouts.ts"
import { TypedConnection } from "./typedConnection.ts"

/** A connection that is one request: its handler reads and writes, until it ends. */
export class DialogueStream<In, Out>
  extends StreamConnection<Connection.Connection<In, Out>, never>
  implements InputOwner
{
  readonly holding: DialogueHolding<In, Out> = new DialogueHolding(this)
  readonly replies: DialogueReplies<In, Out> = new DialogueReplies(this)
  readonly timeouts: DialogueTimeouts<In, Out> = new DialogueTimeouts(this)
  readonly dialogue: TypedConnection<In, Out>
  private stopWaiting = noop
  /** What is told of a stop, where the wire was given away. Not initialised: few are. */
  declare given: (() => void) | undefined

  constructor(context: ServerContext<Connection.Connection<In, Out>, never>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
    this.dialogue = new TypedConnection({
      wire,
      side: context.side as Side<unknown, never> as Side<In, Out>,
      outbox: this.outbox as Outbox<never> as Outbox<Out>,
      info: this,
      holds: true,
      owner: this,
      holding: this.holding
    })
  }

  /** Its own request is always in flight; what counts is whether its handler, or whoever else has it, waits for input. */
  get awaitsPeer(): boolean {
    return this.dialogue.input.isAwaited
  }

  readonly isSpare = false

  /** Makes the request, when the connection is accepted. */
  open(): void {
    const request = this.line.add(this.dialogue, undefined)
    this.stopWaiting = awaitPlace(this.context, (refused) => this.refuse(request, refused))
    this.line.offer()
  }

  private refuse(request: Incoming<Connection.Connection<In, Out>, never>, refused: Outcome.Refused): void {
    if (request.begun && !this.dialogue.input.isHandedOn) return
    this.sayFarewell(refused)
    this.line.cancel(request, refused)
    this.shut()
  }

  /** What its program says to who is turned away: no handler has said anything yet. */
  private sayFarewell(refused: Outcome.Refused): void {
    const { events, troubles } = this.context
    const response = events.turnedAway(refused, this)
    if (response?._tag !== "Reply") return
    const problem = (this.outbox as Outbox<unknown>).add(response.value)
    if (problem !== undefined) {
      troubles.note("onTurnedAway", new Error(`its message cannot be encoded: ${problem}`))
    }
  }

  override started(): void {
    super.started()
    // Where it goes to a worker, it waits until one has room for it.
    if (!this.dialogue.input.isHandedOn) this.stopWaiting()
    this.decoding(() => this.dialogue.input.deliver())
    this.holding.account()
  }

  readonly hasInput = false

  get isReading(): boolean {
    return this.dialogue.input.inflow.isReading
  }

  onData(chunk: Uint8Array): void {
    if (this.closing.state !== "open" || !this.dialogue.input.inflow.isOpen) return this.discard(chunk)
    if (this.activity.onHeard !== undefined) this.activity.heardFirst()
    this.activity.heard = new Heard(this.context.now())
    this.context.tick.run(() => {
      this.decoding(() => this.dialogue.onData(chunk))
      this.holding.account()
    })
  }

  /** Looks whether a frame has begun, or is whole. */
  decoding(decode: () => void): void {
    const { activity, timeouts } = this
    const { input } = this.dialogue
    const before = input.inbox.received
    decode()
    activity.decoded(input.reader.held, input.inbox.received > before, activity.heard.at)
    if (input.inflow.isReading) timeouts.framed()
    else timeouts.reads(false)
  }

  mayDecode(): boolean {
    return !this.context.budget.defers(this.holding)
  }

  later(f: () => void): void {
    this.context.afterTick(() => this.decoding(f))
  }

  onTaken(): void {
    this.stopWaiting()
  }

  onReading(reading: boolean): void {
    if (!reading) this.context.events.unread()
    this.timeouts.reads(reading)
    if (reading && this.dialogue.input.isAwaited) this.onAwaited()
  }

  onAwaited(): void {
    this.timeouts.freed()
  }

  onGivenAway(onStop: () => void): void {
    this.given = onStop
    if (this.activity.onHeard !== undefined) this.activity.heardFirst()
    this.timeouts.givenAway()
  }

  onEnd(): void {
    this.context.tick.run(() => {
      // Only the handler's reading ends; it may still write.
      this.endedBy ??= "peer"
      const answering = this.closing.answers
      this.closing.enter("ended")
      if (answering) this.dialogue.onEnd()
      this.inputEnded()
    })
  }

  override onClose(error: unknown): void {
    this.stopWaiting()
    this.endedBy ??= "peer"
    this.dialogue.onClose(error)
    super.onClose(error)
  }

  override stop(): void {
    this.endedBy ??= "stop"
    // Who is told reads on, and ends it. Where it is ending, it goes on to.
    if (this.closing.answers) {
      if (this.given !== undefined) return this.given()
      if (this.context.protocol.atStop === "told") return this.dialogue.input.tell()
    }
    this.dialogue.input.stop()
    super.stop()
  }

  protected advance(): void {}

  override progress(): void {
    // The connection ends with its handler.
    if (this.closing.answers && this.line.inFlight === 0) this.shut()
  }
}

/** What a connection holds that is one request. */
class DialogueHolding<In, Out> extends StreamHolding<Connection.Connection<In, Out>, never> {
  declare protected readonly on: DialogueStream<In, Out>

  protected inputBytes(): number {
    return this.on.dialogue.input.bytes
  }

  protected get unfinishedBytes(): number {
    return this.on.dialogue.input.reader.held * 2
  }

  override goOn(): void {
    this.on.decoding(() => this.on.dialogue.input.goOn())
    super.goOn()
  }
}

/** How its request ends: as what has come for it does. */
class DialogueReplies<In, Out> extends StreamReplies<Connection.Connection<In, Out>, never> {
  declare protected readonly on: DialogueStream<In, Out>

  protected override get verdict(): Outcome.Outcome {
    const { input } = this.on.dialogue
    input.deliver()
    return input.decoding.fault ?? super.verdict
  }
}

/** What it has its time for. Of a wire that was given away no event says anything: it is looked at from outside. */
class DialogueTimeouts<In, Out> extends StreamTimeouts<Connection.Connection<In, Out>, never> {
  declare protected readonly on: DialogueStream<In, Out>

  givenAway(): void {
    this.by(this.nextSample(this.context.now()))
  }

  override look(now: number): number {
    const { activity, closing, given, wire } = this.on
    if (given === undefined || !closing.answers) return super.look(now)
    wire.probe?.()
    if (!closing.answers) return Infinity
    if (!activity.hasHeard && wire.bytesRead > 0) activity.heard = new Heard(now)
    if (wire.bytesUnsent > 0) activity.unsent(wire, now)
    this.on.holding.account()
    const due = super.look(now)
    return closing.answers ? Math.min(due, this.nextSample(now)) : due
  }
}

const noop = (): void => {}
