import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder, Side } from "../Codec.ts"
import type { DecodeError, Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { messageOf } from "./errors.ts"

/**
 * From the chunks of a wire to messages: the one place that looks at what a wire
 * carries when it is read, and that catches what a decoder throws.
 */
export class Reader<Read> {
  /** What was decoded and has not been taken, with the payload of each. */
  messages: Array<Read> = []
  payloads: Array<Payload>
  /** Whether a fault concerns one message alone: a datagram stands for itself, the next one may be fine. */
  readonly separate: boolean
  private readonly side: Side<Read, never>
  private readonly carries: Wire.Wire["carries"]
  private decoder: Decoder<Read> | undefined

  constructor(side: Side<Read, never>, carries: Wire.Wire["carries"]) {
    this.side = side
    this.carries = carries
    this.separate = carries !== "stream"
    this.decoder = this.separate ? undefined : side.decoder()
    this.payloads = side.plain ? (this.messages as Array<never>) : []
  }

  /** Decodes a chunk, or the end of the input; what a decoder throws is a fault of the input. */
  read(chunk: Uint8Array | undefined, bytesRead: number): DecodeError | undefined {
    const { decoder, messages } = this
    const payloads = this.side.plain ? undefined : this.payloads
    // oxlint-disable-next-line socketserver/no-try -- a decoder is user code, and what it throws must not reach the event loop
    try {
      if (decoder !== undefined) {
        return chunk === undefined ? decoder.end(messages, payloads) : decoder.push(chunk, messages, payloads)
      }
      return chunk === undefined ? undefined : this.readWhole(chunk, payloads)
    } catch (error) {
      return Outcome.malformed(this.separate ? 0 : bytesRead, `the decoder threw: ${messageOf(error)}`)
    }
  }

  /** A datagram, or a payload from another program. */
  private readWhole(chunk: Uint8Array, payloads: Array<Payload> | undefined): DecodeError | undefined {
    const { datagram, payload } = this.side
    const unframed = this.carries === "datagrams" ? datagram.unframe(chunk) : Result.succeed(chunk)
    if (Result.isFailure(unframed)) return unframed.failure
    const decoded = payload.decode(unframed.success)
    if (Result.isFailure(decoded)) return decoded.failure
    this.messages.push(decoded.success)
    payloads?.push(unframed.success)
    return undefined
  }

  /** Whether a part of a message has been read that its rest has not followed. It cannot be read on afterwards. */
  hasRest(): boolean {
    return this.read(undefined, 0) !== undefined || this.messages.length > 0
  }

  /** Reads on from the start of a message, as after a change of what carries the connection. */
  restart(): void {
    this.clear()
    this.decoder = this.separate ? undefined : this.side.decoder()
  }

  /** Lets go of what has been taken. */
  clear(): void {
    this.messages = []
    this.payloads = this.side.plain ? (this.messages as Array<never>) : []
  }
}
