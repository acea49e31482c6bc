import type * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"
import type { Payload } from "../Protocol.ts"
import { BatchQueue } from "./batchQueue.ts"
import type { Reader } from "./reading.ts"

/** Who takes messages before those who read: a client, whose answers they may be. */
export interface Taker<In> {
  /** Takes what is its own; returns the others. */
  readonly take: (messages: Array<In>) => Array<In>
  /** Whether it waits for more, with so many that nobody has read, of so many bytes; when no more bytes come, that is only what is left of them. */
  readonly waits: (unread: number, bytes: number, isLast: boolean) => boolean
  /** Nothing more will come. */
  readonly end: (exit: Exit.Exit<never, Connection.ConnectionError | Cause.Done> | undefined) => void
}

/** The messages that have been decoded for those who read, and what they take. */
export class Inbox<In> extends BatchQueue<In, Connection.ConnectionError> {
  /** How often messages have come. */
  received = 0
  readonly taker: Taker<In> | undefined
  private readonly reader: Reader<In>
  /** What the messages take, and those that came with them. */
  private decodedBytes = 0
  /** How many have been left to those who read since there were none, and what those take, where somebody takes before them. */
  private left = 0
  private leftBytes = 0

  constructor(reader: Reader<In>, taker: Taker<In> | undefined) {
    super()
    this.reader = reader
    this.taker = taker
  }

  /** What it holds that nobody has taken, in bytes. */
  get bytes(): number {
    return this.size === 0 ? 0 : this.decodedBytes
  }

  /** Whether somebody waits for more; with `isLast`, for more of what has come. */
  wants(isLast: boolean): boolean {
    return this.size === 0 || this.taker?.waits(this.size, this.unreadBytes, isLast) === true
  }

  /** What those take that nobody has read. */
  private get unreadBytes(): number {
    return this.left === 0 ? 0 : (this.leftBytes * this.size) / this.left
  }

  /** So many bytes are going to be decoded. */
  expect(bytes: number): void {
    if (this.size === 0) this.decodedBytes = 0
    this.decodedBytes += this.reader.takes(bytes)
  }

  receive(messages: Array<In>, payloads: ReadonlyArray<Payload>): void {
    this.received++
    const others = this.taker === undefined ? messages : this.taker.take(messages)
    if (others.length === 0) return
    if (this.taker !== undefined) this.leave(messages, others, payloads)
    this.offer(others)
  }

  /** Counts those that are left for who reads. */
  private leave(messages: ReadonlyArray<In>, others: ReadonlyArray<In>, payloads: ReadonlyArray<Payload>): void {
    if (this.size === 0) this.left = this.leftBytes = 0
    this.left += others.length
    let next = 0
    for (let i = 0; i < messages.length && next < others.length; i++) {
      if (messages[i] !== others[next]) continue
      next++
      this.leftBytes += this.reader.takes((payloads[i] as Payload).length)
    }
  }

  override end(exit?: Exit.Exit<never, Connection.ConnectionError>): void {
    super.end(exit)
    this.taker?.end(exit)
  }
}
