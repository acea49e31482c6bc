import type { Side } from "../Codec.ts"
import type * as Wire from "../Wire.ts"
import { Unencodable } from "./unencodable.ts"
import { type Encode, type Encoded, encoderOf } from "./writing.ts"

/**
 * What was encoded in a turn of the event loop and has not been handed to the
 * wire: it leaves in one write, or over datagrams in one for each message.
 */
export class Collected<Out> {
  /** Whether each message is written by itself, as a datagram. */
  readonly separate: boolean
  private readonly wire: Wire.Wire
  private readonly encode: Encode<Out>
  private text = ""
  private bytes: Array<Uint8Array> = []
  /** In bytes or characters, with what each datagram costs. */
  private size = 0

  constructor(wire: Wire.Wire, side: Side<unknown, Out>) {
    this.separate = wire.carries !== "stream"
    this.wire = wire
    this.encode = encoderOf(side, wire.carries)
  }

  get isEmpty(): boolean {
    return this.bytes.length === 0 && this.text === ""
  }

  /** Whether it is so much that it is offered to the transport within the turn. */
  get isFull(): boolean {
    return this.size > highWaterMark
  }

  /** Adds a message; says why if it cannot be encoded. */
  add(message: Out | Encoded): string | undefined {
    const encoded = this.encode(message)
    if (encoded instanceof Unencodable) return encoded.problem
    this.size += encoded.length
    if (this.separate) return this.addDatagram(typeof encoded === "string" ? utf8.encode(encoded) : encoded)
    if (typeof encoded === "string") this.text += encoded
    else {
      this.sealText()
      this.bytes.push(encoded)
    }
    return undefined
  }

  private addDatagram(bytes: Uint8Array): string | undefined {
    const { maxMessageBytes = Infinity } = this.wire
    if (bytes.length > maxMessageBytes) return `it has ${bytes.length} bytes, a datagram at most ${maxMessageBytes}`
    this.bytes.push(bytes)
    this.size += datagramOverhead
    return undefined
  }

  /** Hands all of it to the wire; whether more may follow at once. */
  send(): boolean {
    let writable = true
    this.size = 0
    if (this.separate) {
      for (let chunk = this.bytes.shift(); chunk !== undefined; chunk = this.bytes.shift()) {
        writable = this.wire.write(chunk)
      }
    } else if (this.bytes.length > 0) {
      this.sealText()
      const bytes = this.bytes
      this.bytes = []
      for (const chunk of small(bytes)) writable = this.wire.write(chunk)
    } else if (this.text !== "") {
      const text = this.text
      this.text = ""
      writable = this.wire.write(text)
    }
    return writable
  }

  clear(): void {
    this.text = ""
    this.bytes = []
    this.size = 0
  }

  private sealText(): void {
    if (this.text === "") return
    this.bytes.push(utf8.encode(this.text))
    this.text = ""
  }
}

const utf8 = new TextEncoder()

// What is collected before it is offered to the transport within one turn.
const highWaterMark = 65_536

// Each datagram costs, also an empty one.
const datagramOverhead = 64

/** Joins chunks while they are small: one copy costs less than one more write. */
const small = (chunks: Array<Uint8Array>): Array<Uint8Array> => {
  if (chunks.length === 1) return chunks
  const joined: Array<Uint8Array> = []
  let from = 0
  while (from < chunks.length) {
    let to = from
    let size = 0
    while (to < chunks.length && (to === from || size + (chunks[to] as Uint8Array).length <= highWaterMark)) {
      size += (chunks[to++] as Uint8Array).length
    }
    if (to === from + 1) joined.push(chunks[from] as Uint8Array)
    else {
      const out = new Uint8Array(size)
      let at = 0
      for (; from < to; from++) {
        out.set(chunks[from] as Uint8Array, at)
        at += (chunks[from] as Uint8Array).length
      }
      joined.push(out)
    }
    from = to
  }
  return joined
}
