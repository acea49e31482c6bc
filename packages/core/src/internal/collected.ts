import type { Side } from "../Codec.ts"
import type { Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { Unencodable } from "./unencodable.ts"
import { type Encoded, encoderOf, Framed, framerOf, Pieces, type ToFrame } from "./writing.ts"

/** What bounds an end of a connection. Looked at where it counts, since it may be changed. */
export interface Bounds {
  readonly limits: {
    /** The largest message that is written, in bytes. */
    readonly maxReply: number
    /** How much may wait to be sent before nothing more is added, in bytes. */
    readonly maxBuffered: number
  }
}

/**
 * What was encoded and has not been handed to the wire. Over a connection it is
 * joined while it is small, and leaves in pieces, since a string has an end; over
 * datagrams each message leaves by itself.
 */
export class Collected<Out> {
  /** Whether each message is written by itself, as a datagram. */
  readonly separate: boolean
  private readonly wire: Wire.Wire
  private readonly side: Side<unknown, Out>
  private readonly frameOf: ToFrame<Out>
  private readonly bounds: Bounds
  /** What was collected before `text`. */
  private pieces: Array<string | Uint8Array> = []
  private text = ""
  /** How much of the first piece has left. */
  private at = 0
  private length = 0

  constructor(wire: Wire.Wire, side: Side<unknown, Out>, bounds = unbounded) {
    this.separate = wire.carries !== "stream"
    // Datagrams have their own.
    this.bounds = this.separate ? unbounded : bounds
    this.wire = wire
    this.side = side
    this.frameOf = framerOf(side, wire.carries)
  }

  get isEmpty(): boolean {
    return this.pieces.length === 0 && this.text === ""
  }

  /** How much it is, in bytes or characters, with what each datagram costs. */
  get size(): number {
    return this.length
  }

  /** Whether it is so much that it is offered to the transport within the turn. */
  get isFull(): boolean {
    return this.length > highWaterMark
  }

  /** How much may wait to be sent before nothing more is added. */
  get most(): number {
    return this.bounds.limits.maxBuffered
  }

  /** Adds a message; says why if it cannot be encoded. */
  add(message: Out | Encoded | Framed): string | undefined {
    const encoded = typeof message === "object" && message instanceof Framed ? message.frame : this.frameOf(message)
    if (encoded instanceof Unencodable) return encoded.problem
    if (encoded.length > this.bounds.limits.maxReply) return this.tooLarge(encoded.length)
    if (this.separate) return this.addDatagram(encoded as Payload)
    this.length += encoded.length
    if (typeof encoded !== "string") {
      if (this.text !== "") this.seal(utf8.encode(this.text))
      if (encoded instanceof Pieces) this.pieces.push(...encoded.all)
      else this.pieces.push(encoded)
    } else if (this.text === "" || encoded.length <= highWaterMark) {
      this.text += encoded
      if (this.text.length > highWaterMark) this.seal(this.text)
    } else {
      this.seal(this.text)
      this.pieces.push(encoded)
    }
    return undefined
  }

  /** Makes the frame of a message that is added later, or says why it has none. */
  frame(message: Out | Encoded): Framed | Unencodable {
    // It may wait for long, and whoever has made it may change it meanwhile.
    const encoded = encoderOf(this.side, this.wire.carries)(message)
    if (encoded instanceof Unencodable) return encoded
    return encoded.length > this.bounds.limits.maxReply
      ? new Unencodable(this.tooLarge(encoded.length))
      : new Framed(encoded)
  }

  private tooLarge(length: number): string {
    return `it has ${length} bytes, and at most ${this.bounds.limits.maxReply} are sent at once (maxReply); stream it`
  }

  private seal(piece: string | Uint8Array): void {
    this.pieces.push(piece)
    this.text = ""
  }

  private addDatagram(encoded: string | Uint8Array): string | undefined {
    const { maxMessageBytes = Infinity } = this.wire
    // A character has a byte at least.
    const bytes = typeof encoded === "string" && encoded.length <= maxMessageBytes ? utf8.encode(encoded) : encoded
    if (typeof bytes === "string" || bytes.length > maxMessageBytes) {
      return `it has ${bytes.length} bytes, a datagram at most ${maxMessageBytes}`
    }
    this.pieces.push(bytes)
    this.length += bytes.length + datagramOverhead
    return undefined
  }

  /** Hands to the wire what it takes, or all of it if it shall have `everything`; whether more may follow at once. */
  send(everything = this.separate): boolean {
    let writable = true
    for (let piece = this.take(); piece !== undefined; piece = writable || everything ? this.take() : undefined) {
      writable = this.wire.write(piece)
    }
    return writable
  }

  clear(): void {
    this.text = ""
    this.pieces = []
    this.at = 0
    this.length = 0
  }

  /** Removes the next piece. */
  private take(): string | Uint8Array | undefined {
    const [first] = this.pieces
    if (first === undefined) {
      const { text } = this
      if (text === "") return undefined
      this.text = ""
      this.length -= text.length
      return text
    }
    if (this.separate) {
      this.pieces.shift()
      this.length -= first.length + datagramOverhead
      return first as Uint8Array
    }
    const piece = first.length > largestPiece ? this.cut(first) : this.joined(first)
    this.length -= piece.length
    return piece
  }

  /** The next part of a large piece. */
  private cut(piece: string | Uint8Array): string | Uint8Array {
    const { at } = this
    let to = Math.min(at + highWaterMark, piece.length)
    // The halves of a character stay together.
    if (typeof piece === "string" && to < piece.length && isHighSurrogate(piece.charCodeAt(to - 1))) to--
    this.at = to
    if (to === piece.length) this.drop(1)
    return typeof piece === "string" ? piece.slice(at, to) : piece.subarray(at, to)
  }

  /** The first piece, with those that follow while they are small: one copy costs less than one more write. */
  private joined(first: string | Uint8Array): string | Uint8Array {
    const { pieces } = this
    let count = 1
    if (typeof first === "string") {
      this.drop(1)
      return first
    }
    let size = first.length
    for (; count < pieces.length; count++) {
      const piece = pieces[count] as string | Uint8Array
      if (typeof piece === "string" || size + piece.length > highWaterMark) break
      size += piece.length
    }
    if (count === 1) {
      this.drop(1)
      return first
    }
    const joined = new Uint8Array(size)
    let at = 0
    for (let i = 0; i < count; i++) {
      joined.set(pieces[i] as Uint8Array, at)
      at += (pieces[i] as Uint8Array).length
    }
    this.drop(count)
    return joined
  }

  private drop(count: number): void {
    this.at = 0
    if (count === this.pieces.length) this.pieces = []
    else this.pieces.splice(0, count)
  }
}

const utf8 = new TextEncoder()

const unbounded: Bounds = { limits: { maxReply: Infinity, maxBuffered: Infinity } }

// What is collected before it is offered to the transport within one turn, and what is joined.
const highWaterMark = 65_536

// A text that is sealed as soon as it is over the mark has one small message more.
const largestPiece = 2 * highWaterMark

// Each datagram costs, also an empty one.
const datagramOverhead = 64

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff
