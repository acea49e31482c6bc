import type { Control, Payload } from "../Protocol.ts"
import * as Outcome from "../Outcome.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { attempted, Controls, costOf } from "./controls.ts"
import { never } from "./deadlines.ts"
import type { Heard, Incoming } from "./incoming.ts"
import { requestCost } from "./line.ts"
import { Pace } from "./pace.ts"
import { RequestStream } from "./requestStream.ts"
import { Unencodable } from "./unencodable.ts"
import type { Framed } from "./writing.ts"
import { Passing } from "./passing.ts"

/**
 * A connection of a protocol that has control messages. They have to be read also
 * while no request may be: what else comes meanwhile waits here, within a bound.
 */
export class ControlledStream<In, Out> extends RequestStream<In, Out> {
  private readonly control: Control
  private readonly pace: Pace
  /** Whether the server stops, and all that was received before that is decoded. */
  private isLate = false
  /** Whether messages are taken that were decoded. */
  private isTaking = false
  /** Whether those that wait for control messages know that none will come. */
  private isTold = false
  /** Whether a request has ended meanwhile, whose place those have that wait. */
  private hasEnded = false
  /** Whether a request came after that, which nobody will answer. */
  private hasDropped = false
  /** Requests that wait for a place in the pipeline, in their order. */
  private ahead: Array<Ahead<In>> = []
  private first = 0
  private readonly byId = new Passing<unknown, Place>()

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number, control: Control) {
    super(context, wire, id)
    this.control = control
    this.pace = new Pace(control.perSecond, context.now(), () => this.progress())
  }

  override get hasInput(): boolean {
    return this.isTaking || this.first < this.ahead.length || super.hasInput
  }

  /** Control messages count also when the server stops, until what was received is answered. */
  protected override get isOpen(): boolean {
    return super.isOpen || (this.closing.state === "stopping" && this.fault === undefined)
  }

  protected override get room(): number {
    return this.mayRead ? Math.min(mostDecoded, this.pace.leftAt(this.now)) : 0
  }

  protected override get mayRead(): boolean {
    const { context, holding, outbox } = this
    if (outbox.full || context.budget.defers(holding)) return false
    // One chunk is kept however large it is: what a request at work waits for may be the rest of it.
    const chunk = this.ahead[this.first]?.heard.bytes ?? 0
    if ((holding.bounded ?? 0) - chunk >= context.limits.maxBuffered || this.isSpent) return false
    return (this.first === this.ahead.length && this.places > 0) || !context.budget.slows(holding)
  }

  private readonly now = (): number => this.context.now()

  /** Whether no more control messages may be read now. They may be a moment later. */
  private get isSpent(): boolean {
    if (this.pace.leftAt(this.now) > 0) return false
    const { context, pace } = this
    if (pace.dueAt === never) context.deadlines.by(pace, context.now() + pace.wait)
    return true
  }

  protected override take(messages: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    this.isTaking = true
    this.takeEach(messages, payloads)
    this.isTaking = false
  }

  private takeEach(messages: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    const requests: Array<In> = []
    const theirPayloads: Array<Payload> = []
    let { places } = this
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i] as In
      const payload = payloads[i] as Payload
      if (this.attempt(this.control.is, message) === true) {
        if (payload.length > this.control.maxBytes) {
          this.begin(requests, theirPayloads)
          return this.faulty(Outcome.frameTooLarge(this.control.maxBytes, this.bytesRead - payload.length))
        }
        // It may concern one of those before it.
        if (requests.length > 0) this.begin(requests.splice(0), theirPayloads.splice(0))
        this.pass(message, payload)
      } else if (this.isLate) this.hasDropped = true
      else if (this.first === this.ahead.length && places > 0) {
        places--
        requests.push(message)
        theirPayloads.push(payload)
      } else this.wait(message, payload)
    }
    this.begin(requests, theirPayloads)
  }

  private begin(messages: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    if (messages.length === 0) return
    let { last } = this.line
    super.take(messages, payloads)
    for (last = last === undefined ? this.line.first : last.next; last !== undefined; last = last.next) {
      this.know(last.body, last)
    }
  }

  private know(body: In, place: Place): void {
    const id = this.idOf(body)
    if (id !== undefined && !this.byId.has(id)) this.byId.set(id, place)
  }

  private idOf(body: In): unknown {
    const { correlation } = this.context.protocol
    return correlation === undefined ? undefined : this.attempt(correlation.request, body)
  }

  /** A request that the pipeline has no place for. */
  private wait(body: In, payload: Payload): void {
    const { activity, context } = this
    const { heard } = activity
    activity.requestedAt = heard.at
    this.timeouts.asked(heard.at)
    const bytes = requestCost + context.side.weight(payload.length, payload)
    const ahead: Ahead<In> = { body, payload, heard, bytes, controls: undefined, answers: undefined }
    this.holds(this.ahead.at(-1)?.heard === heard ? bytes : bytes + heard.bytes)
    this.ahead.push(ahead)
    this.know(body, ahead)
  }

  /** Gives those that wait the places that there are. */
  private refill(): void {
    const { context, line, outbox } = this
    if (this.first === this.ahead.length || outbox.full || context.budget.defers(this.holding)) return
    while (this.first < this.ahead.length && line.inFlight < context.limits.maxPipelined) {
      if (line.inFlight > 0 && line.bytes(true) >= context.limits.maxBuffered) break
      const ahead = this.ahead[this.first] as Ahead<In>
      this.ahead[this.first++] = undefined as never
      // A chunk is kept for as long as one of its requests waits.
      this.holds(this.ahead[this.first]?.heard === ahead.heard ? -ahead.bytes : -ahead.bytes - ahead.heard.bytes)
      const incoming = line.add(ahead.body, ahead.payload, ahead.heard)
      if (ahead.controls !== undefined) incoming.controls = ahead.controls
      if (ahead.answers !== undefined) incoming.answers = ahead.answers
      const id = this.idOf(ahead.body)
      if (this.byId.get(id) === ahead) this.byId.set(id, incoming)
    }
    if (this.first === this.ahead.length || this.first > 1_024) {
      this.ahead = this.ahead.slice(this.first)
      this.first = 0
    }
    line.offer()
  }

  protected override advance(): void {
    // A control message may end a request while others are taken: what is decoded then would come before those.
    if (this.isTaking) {
      this.hasEnded = true
      return
    }
    do {
      this.hasEnded = false
      this.refill()
      if (this.closing.state === "stopping" && !this.reader.isBehind) this.isLate = true
      super.advance()
    } while (this.hasEnded)
    this.endControls()
  }

  private pass(message: In, payload: Payload): void {
    this.pace.take()
    const { answer, to } = this.control
    const id = to === undefined ? undefined : this.attempt(to, message)
    const place = id === undefined ? undefined : this.byId.get(id)
    if (place !== undefined) return this.controlsOf(place).offer(message, payload)
    const answered = answer === undefined ? undefined : this.attempt(answer, message)
    if (answered !== undefined) this.say(answered as Out)
  }

  /** Answers a control message, in its place. */
  private say(answer: Out): void {
    const { context, outbox } = this
    // Where answers are known by their order, it would be taken for that of the request before it.
    if (this.hasDropped && context.protocol.correlation === undefined) return
    const framed = outbox.frame(answer)
    if (framed instanceof Unencodable)
      return context.troubles.note("a control message was not answered", framed.problem)
    const place = context.protocol.correlation === undefined ? (this.ahead.at(-1) ?? this.line.last) : undefined
    if (place === undefined) return void outbox.add(framed)
    ;(place.answers ??= []).push(framed)
    this.holds(costOf(framed.frame))
  }

  /** What concerns a request that has not ended. */
  private controlsOf(place: Place): Controls<unknown> {
    return (place.controls ??= new Controls<unknown>(this))
  }

  override controlled(incoming: Incoming<In, Out>): Controls<unknown> {
    const controls = this.controlsOf(incoming)
    // Nothing comes for it that has no id of its own, or once the peer has half-closed.
    if (this.isInputOver || this.byId.get(this.idOf(incoming.body)) !== incoming) controls.end()
    return controls
  }

  /** What waits is bounded by itself: requests, control messages that nobody has taken, and answers to some. */
  readonly holds = (bytes: number): void => {
    this.holding.bounded = (this.holding.bounded ?? 0) + bytes
  }

  readonly onTaken = (): void => {
    if (!this.isReading) this.progress()
  }

  override settled(incoming: Incoming<In, Out>): void {
    const id = this.idOf(incoming.body)
    if (this.byId.get(id) === incoming) this.byId.delete(id)
    incoming.controls?.drop()
    const { answers } = incoming
    if (answers !== undefined) {
      incoming.answers = undefined
      for (const framed of answers) {
        this.holds(-costOf(framed.frame))
        if (this.closing.answers) this.outbox.add(framed)
      }
    }
    super.settled(incoming)
  }

  protected override inputEnded(): void {
    super.inputEnded()
    this.endControls()
  }

  /** Whether nothing comes any more, and all that has come is decoded. */
  private get isInputOver(): boolean {
    return !this.isOpen && !this.reader.isBehind
  }

  /** Tells those that wait for control messages that none will come. */
  private endControls(): void {
    if (this.isTold || !this.isInputOver) return
    this.isTold = true
    for (const place of this.byId.values()) this.controlsOf(place as Place).end()
  }

  override release(): void {
    this.ahead = []
    this.first = this.holding.bounded = 0
    this.byId.clear()
    this.context.deadlines.forget(this.pace)
    super.release()
  }

  private attempt<A>(f: (message: never) => A, message: In): A | undefined {
    return attempted(this.context.troubles, f, message)
  }
}

/** A request that waits for a place. */
interface Ahead<In> extends Place {
  readonly body: In
  readonly payload: Payload
  readonly heard: Heard
  /** What it takes beside the chunk that it came in. */
  readonly bytes: number
}

/** What a control message is passed to, and what is answered behind it. */
interface Place {
  controls: Controls<unknown> | undefined
  answers: Array<Framed> | undefined
}

// How many messages are decoded at once.
const mostDecoded = 32
