import type * as Exit from "effect/Exit"
import type { Side } from "../Codec.ts"
import type * as Connection from "../Connection.ts"
import type * as Wire from "../Wire.ts"
import { Decoding } from "./decoding.ts"
import { Inbox, type Taker } from "./inbox.ts"
import { Inflow, type InputOwner } from "./inflow.ts"
import { Reader, type ValueHolder } from "./reading.ts"
import type { InputEnd, Relay } from "./relay.ts"

export interface InputOptions<In> {
  readonly wire: Wire.Wire
  readonly side: Side<In, never>
  /** Whether what arrives is held until it is delivered. */
  readonly holds?: boolean
  readonly owner?: InputOwner
  readonly taker?: Taker<In>
  /** What its server counts it by; a client's counts nowhere. */
  readonly holding?: ValueHolder
}

type Receiver = Parameters<Relay["start"]>[0]

/**
 * The reading half of a typed connection: what arrives is held until a handler
 * begins, then decoded for those who read, or passed on as bytes. What nobody
 * waits for stays in the kernel.
 */
export class Input<In> {
  readonly inflow: Inflow
  readonly reader: Reader<In>
  readonly inbox: Inbox<In>
  readonly decoding: Decoding<In>
  /** What arrived before the handler began, which may want it as bytes. */
  private held: Array<Uint8Array> | undefined
  /** Who takes the bytes, if a handler has asked for them. */
  private relayed: Receiver | "waiting" | undefined = undefined

  constructor(options: InputOptions<In>) {
    const { holding, holds, owner = nobody, side, taker, wire } = options
    this.inflow = new Inflow(wire, owner)
    this.reader = new Reader(side, wire.carries, holding)
    this.inbox = new Inbox(this.reader, taker)
    this.decoding = new Decoding(this.inflow, this.reader, this.inbox)
    this.held = holds === true ? [] : undefined
  }

  /** What it holds that nobody has taken, in bytes. */
  get bytes(): number {
    let sum = this.reader.restBytes * 2 + this.inbox.bytes
    if (this.held !== undefined) for (const chunk of this.held) sum += chunk.length
    return sum
  }

  /** Whether nothing but the peer is waited for, by those who read messages or by those who take the bytes. */
  get isAwaited(): boolean {
    return this.inbox.isAwaited || (this.receiver !== undefined && this.inflow.isReading)
  }

  /** Somebody takes messages: more are read where there are no more than `few`. */
  demand(few: number): void {
    if (this.inbox.size <= few) this.read(true)
    if (this.inbox.size === 0) this.inflow.owner.onAwaited?.()
  }

  /** Whether a handler has asked for the bytes, for somebody who has not taken them yet. */
  get isHandedOn(): boolean {
    return this.relayed === "waiting"
  }

  private get receiver(): Receiver | undefined {
    return this.relayed === "waiting" ? undefined : this.relayed
  }

  onData(chunk: Uint8Array): void {
    if (!this.inflow.isOpen) return
    if (this.held === undefined) return this.pass(chunk)
    this.held.push(chunk)
    this.inflow.read(false)
  }

  onEnd(): void {
    if (!this.inflow.isOpen) return
    if (this.held === undefined) this.pass(undefined)
    this.endAs("ended")
  }

  /** Passes a chunk on, or decodes it, or the end of the input. */
  private pass(chunk: Uint8Array | undefined): void {
    const { receiver } = this
    if (receiver === undefined) this.decoding.decode(chunk)
    else if (chunk !== undefined) receiver.onData(chunk)
  }

  /** Nothing more will be read. What has arrived of a message is none. */
  stop(): void {
    if (this.inflow.isOpen) this.endAs("stopped")
  }

  /** The input has ended: by the peer, or because the server stops. */
  private endAs(state: InputEnd): void {
    this.inflow.state = state
    if (this.held !== undefined) return
    this.receiver?.onEnd(state)
    this.decoding.end()
  }

  /** The server stops, and reading goes on: who takes the bytes is told. */
  tell(): void {
    this.inflow.isTold = true
    this.receiver?.onStop?.()
  }

  /** Gives up reading, before anything was delivered: returns what has come, or nothing where that is too late. */
  giveUp(): ReadonlyArray<Uint8Array> | undefined {
    const { held, inflow } = this
    if (held === undefined || this.relayed !== undefined) return undefined
    this.held = undefined
    inflow.state = "ended"
    inflow.isReading = true
    return held
  }

  /** Nothing more will come, nor is wanted. */
  close(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    if (this.inflow.isOpen) this.inflow.state = "ended"
    this.decoding.end(exit)
  }

  /** It may decode again. */
  goOn(): void {
    if (this.held === undefined && this.relayed === undefined && this.decoding.wantsMore) this.read(true)
  }

  /** A handler takes what was held, by messages unless it has asked for the bytes. */
  deliver(): void {
    const { held, inflow } = this
    if (held === undefined || this.relayed !== undefined) return
    this.held = undefined
    for (const chunk of held) this.pass(chunk)
    if (inflow.isOpen) return
    if (inflow.state === "ended") this.pass(undefined)
    this.decoding.end()
  }

  /** A handler takes it, by bytes: nothing is decoded here any more, once they are taken. */
  relay(): Relay["start"] {
    this.relayed = "waiting"
    return (receiver) => {
      const { inflow } = this
      this.relayed = receiver
      inflow.owner.onTaken?.()
      const { held = [] } = this
      this.held = undefined
      for (const chunk of held) receiver.onData(chunk)
      if (inflow.isTold) receiver.onStop?.()
      if (inflow.state !== "open") receiver.onEnd(inflow.state)
    }
  }

  read(reading: boolean): void {
    // What has arrived and is not decoded comes first.
    if (reading && this.reader.isBehind) this.decoding.catchUp()
    this.decoding.readOn(reading)
  }
}

const nobody: InputOwner = {}
