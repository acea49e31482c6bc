import type { DecodeError, Payload } from "../Protocol.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { Heard, type Incoming } from "./incoming.ts"
import { Reader } from "./reading.ts"
import { StreamConnection } from "./streamConnection.ts"
import { StreamHolding } from "./streamHolding.ts"
import { StreamReplies } from "./streamReplies.ts"
import { StreamTimeouts } from "./streamTimeouts.ts"

/** A connection whose messages are requests. */
export class RequestStream<In, Out> extends StreamConnection<In, Out> {
  readonly holding: RequestHolding<In, Out> = new RequestHolding(this)
  readonly replies: RequestReplies<In, Out> = new RequestReplies(this)
  readonly timeouts: StreamTimeouts<In, Out> = new StreamTimeouts(this)
  readonly reader: Reader<In>
  protected fault: DecodeError | Outcome.TimedOut | undefined = undefined
  isReading = true
  private dispatching = false
  // Only where much comes that is no message.
  declare private isResting: boolean | undefined

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
    this.reader = new Reader(context.side, wire.carries, this.holding) as Reader<unknown> as Reader<In>
  }

  get hasInput(): boolean {
    return this.reader.isBehind
  }

  onData(chunk: Uint8Array): void {
    if (!this.isOpen) return this.discard(chunk)
    if (this.activity.onHeard !== undefined) this.activity.heardFirst()
    const heard = new Heard(this.context.now())
    heard.bytes = chunk.length
    this.activity.heard = heard
    const before = this.reader.restBytes + chunk.length
    const whole = this.decode(this.reader.read(chunk, this.bytesRead, this.room), before)
    this.follow(whole, heard.at)
    this.progress()
  }

  onEnd(): void {
    if (this.closing.state === "open") {
      const before = this.reader.restBytes
      this.decode(this.reader.read(undefined, this.bytesRead, this.room), before)
    }
    this.inputEnded()
  }

  /** Whether what its peer sends counts. */
  protected get isOpen(): boolean {
    return this.closing.state === "open"
  }

  /** How many more messages may be decoded. */
  protected get room(): number {
    return this.places
  }

  /** Whether more may be read. */
  protected get mayRead(): boolean {
    return this.mayHoldMore
  }

  /** How many more requests may be in flight, of those that are decoded at once. */
  protected get places(): number {
    if (!this.mayHoldMore) return 0
    const { inFlight } = this.line
    const { budget, limits } = this.context
    // Those of one chunk cost less together, where what they take is far from any limit.
    const isLittle = this.activity.heard.bytes * 2 < limits.maxBuffered && !budget.looks
    return Math.min(isLittle ? manyDecoded : fewDecoded, Math.max(0, limits.maxPipelined - inFlight))
  }

  /** Whether it may hold more than it does. Who has nothing in flight may always: nobody waits for memory. */
  private get mayHoldMore(): boolean {
    if (this.outbox.full || this.context.budget.defers(this.holding)) return false
    return this.line.inFlight === 0 || !this.holdsMuch
  }

  private get holdsMuch(): boolean {
    return this.holding.isMost || this.context.budget.slows(this.holding)
  }

  /** Looks whether a frame has begun, or is whole. */
  private follow(whole: boolean, at: number): void {
    this.activity.decoded(this.reader.held, whole, at)
    this.timeouts.framed()
  }

  /** Makes requests of what was decoded of so many bytes, until there was a fault; whether there were any. */
  private decode(fault: DecodeError | undefined, before: number): boolean {
    const { isRefused, messages, payloads } = this.reader
    if (isRefused) {
      this.reader.clear()
      this.holding.overflow()
      return false
    }
    const made = before - this.reader.restBytes
    if (made > 0)
      this.activity.heard.cost += this.reader.weightOf(made, this.context.budget.looks ? payloads : undefined)
    const whole = messages.length > 0
    if (whole) {
      this.reader.clear()
      this.take(messages, payloads)
    }
    this.holding.account()
    if (fault !== undefined) this.faulty(fault)
    return whole
  }

  /** Makes requests of messages. */
  protected take(messages: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    const { activity } = this
    activity.requestedAt = activity.heard.at
    this.timeouts.asked(activity.heard.at)
    for (let i = 0; i < messages.length; i++) this.line.add(messages[i] as In, payloads[i])
    this.line.offer()
  }

  /** Nothing of what comes next can be a request. */
  protected faulty(fault: DecodeError): void {
    this.fault = fault
    this.closing.enter("faulty")
  }

  get awaitsPeer(): boolean {
    return this.line.inFlight === 0 && !this.hasInput
  }

  get isSpare(): boolean {
    const { activity, closing, context, line, outbox } = this
    if (this.hasInput || !line.awaitsPeer || activity.pushed || outbox.blocked || outbox.unsent > 0) return false
    return closing.state === "open" && !context.hasSessions
  }

  /** What came before the frame that is not whole is answered. */
  override late(outcome: Outcome.TimedOut): void {
    if (this.fault !== undefined) return
    this.fault = outcome
    this.closing.enter("faulty")
    this.progress()
  }

  /** Decodes as many requests as may be in flight, and reads on when nothing is left undecoded. */
  protected advance(): void {
    if (this.dispatching) return
    this.dispatching = true
    if (this.holdsMuch) this.holding.account()
    let passed = 0
    while (this.reader.isBehind && this.closing.answers && this.isResting !== true) {
      const { room } = this
      if (room === 0) break
      const before = this.reader.restBytes
      const asked = Math.min(room, fewDecoded)
      if (this.decode(this.reader.more(this.bytesRead, passed === 0 ? room : asked), before)) passed = 0
      else if ((passed += asked) > mostPassed) this.rest()
      if (this.reader.held > 0) this.follow(true, this.context.now())
    }
    this.dispatching = false
    if (!this.closing.answers) return
    this.read(!this.reader.isBehind && this.mayRead)
    if (this.line.inFlight === 0 && !this.hasInput) this.recordFault()
  }

  /** What is no message, as an empty line of JSON, takes no room, and others their turn: it goes on in the next one of the event loop. */
  private rest(): void {
    this.isResting = true
    this.context.afterTick(() => {
      this.isResting = false
      this.progress()
    })
  }

  private recordFault(): void {
    const { fault } = this
    if (fault === undefined) return
    this.fault = undefined
    this.context.ledger.record(fault, undefined, this)
    if (fault._tag === "TimedOut") return
    const last = this.context.events.lastWords(fault, this)
    if (last?._tag === "Reply") this.outbox.add(last.value)
  }

  override onClose(error: unknown): void {
    this.recordFault()
    super.onClose(error)
  }

  override cut(): void {
    this.recordFault()
    super.cut()
  }

  private read(reading: boolean): void {
    if (this.isReading === reading) return
    this.isReading = reading
    this.timeouts.reads(reading)
    if (reading) return this.wire.resume()
    this.wire.pause()
    this.context.events.unread()
  }
}

/** What a connection holds whose messages are requests. */
class RequestHolding<In, Out> extends StreamHolding<In, Out> {
  declare protected readonly on: RequestStream<In, Out>

  protected inputBytes(costs: boolean): number {
    // The memory of an unfinished frame is doubled where it is too small.
    return this.on.reader.restBytes * (costs ? 2 : 1)
  }

  protected get unfinishedBytes(): number {
    return this.on.reader.held * 2
  }
}

/** How its requests get their answers, after which it may be too old. */
class RequestReplies<In, Out> extends StreamReplies<In, Out> {
  protected override answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    super.answer(incoming, response)
    if (this.on.context.limits.lifetimeMillis < Infinity) this.age(incoming)
  }

  /** Closes who is too old, once it has been answered. */
  private age(incoming: Incoming<In, Out>): void {
    const { activity, closing, context } = this.on
    if (incoming.settled === undefined || closing.state !== "open") return
    if (context.now() - activity.opened.at < context.limits.lifetimeMillis) return
    context.ledger.closed("lifetime", this.on)
    if (this.on.awaitsPeer) return this.on.shut()
    closing.enter("stopBusy")
    this.on.progress()
  }
}

// How many requests are decoded at once, before what they take is looked at.
const manyDecoded = 128
const fewDecoded = 32

// How many frames that are no message are passed over in a turn of the event loop, about.
const mostPassed = 128
