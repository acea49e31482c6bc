import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import type { Side } from "../Codec.ts"
import * as Connection from "../Connection.ts"
import type * as Outcome from "../Outcome.ts"
import type { DecodeError, Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { BatchQueue } from "./batchQueue.ts"
import { Reader, type ValueHolder } from "./reading.ts"
import type { InputEnd, Relay } from "./relay.ts"

/** Who takes messages before those who read: a client, whose answers they may be. */
export interface Taker<In> {
  /** Takes what is its own; returns the others. */
  readonly take: (messages: Array<In>) => Array<In>
  /** Whether it waits for more, with so many that nobody has read, of so many bytes; when no more bytes come, that is only what is left of them. */
  readonly waits: (unread: number, bytes: number, isLast: boolean) => boolean
  /** Nothing more will come. */
  readonly end: (exit: Exit.Exit<never, Connection.ConnectionError | Cause.Done> | undefined) => void
}

type Receiver = Parameters<Relay["start"]>[0]

/**
 * The reading half of a typed connection: what arrives is held until a handler
 * begins, then decoded for those who read, or passed on as bytes. What nobody
 * waits for stays in the kernel.
 */
export class Input<In> {
  readonly inbox = new BatchQueue<In, Connection.ConnectionError>()
  readonly reader: Reader<In>
  /** Why it could not be decoded, or the connection not be upgraded. */
  fault: DecodeError | Outcome.Refused | undefined = undefined
  private readonly wire: Wire.Wire
  private readonly taker: Taker<In> | undefined
  isReading = true
  /** How often messages have come. */
  received = 0
  /** Called when reading stops, or goes on. */
  onReading: (reading: boolean) => void = noop
  /** Whether what arrives may be decoded now; otherwise {@link goOn} is called when it may. */
  mayDecode: () => boolean = always
  /** Goes on in the next turn of the event loop, where others have theirs. */
  later: ((f: () => void) => void) | undefined = undefined
  private isResting = false
  /** Called when the wire is given away, with what is to be told of a stop. */
  onGivenAway: (onStop: () => void) => void = noop
  /** Called when what the peer has sent may not be held. */
  onRefused: () => void = noop
  /** Called when somebody is going to wait for what the peer sends. */
  onAwaited: () => void = noop
  /** Whether anything is still to come: `ended` by the peer or a fault, `stopped` by the server, which makes nothing of what has come of a message. */
  private state: "open" | InputEnd = "open"
  /** What arrived before the handler began, which may want it as bytes. */
  private held: Array<Uint8Array> | undefined
  /** Who takes the bytes, if a handler has asked for them. */
  private relayed: Receiver | "waiting" | undefined = undefined
  /** Whether the server stops, and reading goes on. */
  private isTold = false
  /** How the inbox ends, when all that has come is decoded. */
  private ending: Exit.Exit<never, Connection.ConnectionError> | "ended" | undefined = undefined
  private decoding = false
  /** What the messages in the inbox take, and those that came with them. */
  private decodedBytes = 0
  /** How many have been left to those who read since there were none, and what those take, where somebody takes before them. */
  private left = 0
  private leftBytes = 0
  /** Called when it is taken that was handed on. */
  onTaken: () => void = noop

  constructor(
    wire: Wire.Wire,
    side: Side<In, never>,
    holds: boolean,
    taker: Taker<In> | undefined,
    holder?: ValueHolder
  ) {
    this.wire = wire
    this.reader = new Reader(side, wire.carries, holder)
    this.held = holds ? [] : undefined
    this.taker = taker
  }

  /** What it holds that nobody has taken, in bytes. */
  get bytes(): number {
    let sum = this.reader.restBytes * 2
    for (const chunk of this.held ?? []) sum += chunk.length
    return this.inbox.size === 0 ? sum : sum + this.decodedBytes
  }

  get isOpen(): boolean {
    return this.state === "open"
  }

  /** Whether nothing but the peer is waited for, by those who read messages or by those who take the bytes. */
  get isAwaited(): boolean {
    return this.inbox.isAwaited || (this.relayed !== undefined && this.relayed !== "waiting" && this.isReading)
  }

  /** Somebody takes messages: more are read where there are no more than `few`. */
  demand(few: number): void {
    if (this.inbox.size <= few) this.read(true)
    if (this.inbox.size === 0) this.onAwaited()
  }

  /** Whether a handler has asked for the bytes, for somebody who has not taken them yet. */
  get isHandedOn(): boolean {
    return this.relayed === "waiting"
  }

  onData(chunk: Uint8Array): void {
    if (this.isOpen) this.decode(chunk)
  }

  onEnd(): void {
    if (!this.isOpen) return
    if (this.held === undefined) this.decode(undefined)
    this.endAs("ended")
  }

  /** Nothing more will be read. What has arrived of a message is none. */
  stop(): void {
    if (this.isOpen) this.endAs("stopped")
  }

  /** The server stops, and reading goes on: who takes the bytes is told. */
  tell(): void {
    this.isTold = true
    if (this.relayed !== undefined && this.relayed !== "waiting") this.relayed.onStop?.()
  }

  /** Whether the server stops, which whoever takes it now has not heard of. */
  get isStopping(): boolean {
    return this.isTold || this.state === "stopped"
  }

  /** Gives up reading, before anything was delivered: returns what has come, or nothing where that is too late. */
  giveUp(): ReadonlyArray<Uint8Array> | undefined {
    const { held } = this
    if (held === undefined || this.relayed !== undefined) return undefined
    this.held = undefined
    this.state = "ended"
    this.isReading = true
    return held
  }

  /** Nothing more will come, nor is wanted. */
  close(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    if (this.isOpen) this.state = "ended"
    this.endInbox(exit)
  }

  private get wantsMore(): boolean {
    const { inbox, taker } = this
    return (inbox.size === 0 || taker?.waits(inbox.size, this.unreadBytes, !this.isOpen) === true) && this.mayDecode()
  }

  /** What those take that nobody has read. */
  private get unreadBytes(): number {
    return this.left === 0 ? 0 : (this.leftBytes * this.inbox.size) / this.left
  }

  /** How it has ended, where no more bytes come. */
  get ended(): Exit.Exit<never, Connection.ConnectionError | Cause.Done> | undefined {
    if (this.isOpen) return undefined
    const { ending = "ended" } = this
    return ending === "ended" ? done : ending
  }

  /** It may decode again. */
  goOn(): void {
    if (this.held === undefined && this.relayed === undefined && this.wantsMore) this.read(true)
  }

  /** A handler takes what was held, by messages unless it has asked for the bytes. */
  deliver(): void {
    const { held } = this
    if (held === undefined || this.relayed !== undefined) return
    this.held = undefined
    for (const chunk of held) this.decode(chunk)
    if (this.isOpen) return
    if (this.state === "ended") this.decode(undefined)
    this.endInbox()
  }

  /** A handler takes it, by bytes: nothing is decoded here any more, once they are taken. */
  relay(): Relay["start"] {
    this.relayed = "waiting"
    return (receiver) => {
      this.relayed = receiver
      this.onTaken()
      const held = this.held ?? []
      this.held = undefined
      for (const chunk of held) receiver.onData(chunk)
      if (this.isTold) receiver.onStop?.()
      if (this.state !== "open") receiver.onEnd(this.state)
    }
  }

  read(reading: boolean): void {
    // What has arrived and is not decoded comes first.
    if (reading && this.reader.isBehind) this.catchUp()
    this.readOn(reading)
  }

  private readOn(wants: boolean): void {
    // Of a server that says what is wrong nothing more is wanted: it would say so for ever.
    const isWanted = this.taker === undefined || this.fault === undefined || this.reader.separate
    this.readWire(wants && isWanted && !this.reader.isBehind)
  }

  private readWire(reading: boolean): void {
    if (this.isReading === reading) return
    this.isReading = reading
    this.onReading(reading)
    if (reading) this.wire.resume()
    else this.wire.pause()
  }

  /** The input has ended: by the peer, or because the server stops. */
  private endAs(state: InputEnd): void {
    this.state = state
    if (this.held !== undefined) return
    if (this.relayed !== undefined && this.relayed !== "waiting") this.relayed.onEnd(state)
    this.endInbox()
  }

  private endInbox(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    this.ending ??= exit ?? "ended"
    // What is left may hold what somebody waits for, who is not to wait for those who read.
    if (this.reader.isBehind && this.taker !== undefined) this.catchUp()
    if (this.reader.isBehind) return
    const ending = this.ending === "ended" ? undefined : this.ending
    this.inbox.end(ending)
    this.taker?.end(ending)
  }

  /** Decodes a chunk, or the end of the input. */
  private decode(chunk: Uint8Array | undefined): void {
    if (chunk !== undefined && this.held !== undefined) {
      this.held.push(chunk)
      return this.read(false)
    }
    if (this.relayed !== undefined && this.relayed !== "waiting") {
      if (chunk !== undefined) this.relayed.onData(chunk)
      return
    }
    if (this.inbox.size === 0) this.decodedBytes = 0
    this.decodedBytes += this.reader.takes(chunk?.length ?? 0)
    this.decoded(this.reader.read(chunk, this.wire.bytesRead, this.wantsMore ? mostDecoded : 0))
    this.catchUp()
    this.readOn(this.wantsMore)
  }

  /** Decodes more of what has arrived, for as long as somebody waits for it. */
  private catchUp(): void {
    if (this.decoding) return
    this.decoding = true
    while (this.reader.isBehind && this.wantsMore && !this.isResting) {
      const { received } = this
      this.decoded(this.reader.more(this.wire.bytesRead, mostDecoded))
      // What is no message, as an empty line of JSON, fills no inbox.
      if (received === this.received && this.later !== undefined) this.rest(this.later)
    }
    this.decoding = false
    if (this.ending !== undefined && !this.reader.isBehind) this.endInbox()
  }

  private rest(later: (f: () => void) => void): void {
    this.isResting = true
    later(() => {
      this.isResting = false
      this.catchUp()
      this.readOn(this.wantsMore)
    })
  }

  private decoded(fault: DecodeError | undefined): void {
    const { isRefused, messages, payloads } = this.reader
    if (isRefused) {
      this.reader.clear()
      return this.onRefused()
    }
    if (messages.length > 0) {
      this.reader.clear()
      this.receive(messages, payloads)
    }
    if (fault !== undefined) this.fail(fault)
  }

  private receive(messages: Array<In>, payloads: ReadonlyArray<Payload>): void {
    this.received++
    const others = this.taker === undefined ? messages : this.taker.take(messages)
    if (others.length === 0) return
    if (this.taker !== undefined) this.leave(messages, others, payloads)
    this.inbox.offer(others)
  }

  /** Counts those that are left for who reads. */
  private leave(messages: ReadonlyArray<In>, others: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    if (this.inbox.size === 0) this.left = this.leftBytes = 0
    this.left += others.length
    let next = 0
    for (let i = 0; i < messages.length && next < others.length; i++) {
      if (messages[i] !== others[next]) continue
      next++
      this.leftBytes += this.reader.takes((payloads[i] as Payload).length)
    }
  }

  private fail(fault: DecodeError): void {
    this.fault = fault
    const error = new Connection.ConnectionError({ reason: fault, peer: this.wire.peer })
    if (this.reader.separate) this.inbox.offerFault(error)
    else {
      this.state = "ended"
      this.ending = Exit.fail(error)
      this.endInbox()
    }
  }
}

const done = Exit.fail(Cause.Done())

const noop = () => {}
const always = () => true

/** How many messages are decoded ahead of whoever reads them. */
const mostDecoded = 128
