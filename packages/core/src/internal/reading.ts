import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder, Maker, Side } from "../Codec.ts"
import type { DecodeError, Payload } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { messageOf } from "./errors.ts"
import { withPayload } from "./undecoded.ts"

/** Whoever holds what is made of payloads. */
export interface ValueHolder {
  /** What one takes as a value. */
  readonly weigh: (payload: Payload) => number
  /** Whether so much more may be held. */
  readonly mayHold: (bytes: number) => boolean
  /** More has come than may be held. */
  readonly overflow: () => void
  /** So much more is held elsewhere, or less; `isAwaited` where the peer has to say the rest of it. */
  readonly charge: (bytes: number, isAwaited?: boolean) => void
}

/**
 * From the chunks of a wire to messages, as many as whoever takes them has room
 * for: the one place that looks at what a wire carries when it is read, and that
 * catches what a decoder throws.
 */
export class Reader<Read> implements Maker {
  /** What was decoded and has not been taken, with the payload of each. */
  messages: Array<Read> = []
  payloads: Array<Payload>
  /** Whether a fault concerns one message alone: a datagram stands for itself, the next one may be fine. */
  readonly separate: boolean
  private readonly side: Side<Read, never>
  private readonly carries: Wire.Wire["carries"]
  private decoder: Decoder<Read> | undefined
  /** Whether the input has ended, and the decoder is still to be told. */
  private ending = false
  /** What the decoder said last: it is asked once a chunk, not for each answer. */
  private behind = false
  readonly holder: ValueHolder | undefined
  /** What those values take that were made in this call, without what they were made of. */
  private making = 0
  /** Whether what was to be made may not be held. Nothing is decoded any more. */
  isRefused = false

  constructor(side: Side<Read, never>, carries: Wire.Wire["carries"], holder?: ValueHolder) {
    this.side = side
    this.carries = carries
    this.separate = carries !== "stream"
    this.holder = holder
    this.decoder = this.newDecoder()
    this.payloads = side.plain ? (this.messages as Array<never>) : []
  }

  private newDecoder(): Decoder<Read> | undefined {
    const { holder, separate, side } = this
    if (separate) return undefined
    const decoder = side.decoder()
    if (holder !== undefined && !side.plain) decoder.maker = this
    return decoder
  }

  mayMake(payload: Payload): boolean {
    if (this.isRefused || this.holder === undefined) return false
    this.making += this.holder.weigh(payload)
    if (!this.holder.mayHold(this.making)) this.isRefused = true
    return !this.isRefused
  }

  /** What was held of a frame is let go of for what is made of it. */
  private begins(): void {
    if (this.holder !== undefined) this.making = this.restBytes * -2
  }

  /** What a chunk of so many bytes takes, and at most what is made of it. */
  takes(bytes: number): number {
    return bytes + this.side.weight(bytes)
  }

  /** What messages take in memory that were made of so many bytes: at most, or as their payloads tell. */
  weightOf(bytes: number, payloads: ReadonlyArray<Payload> | undefined): number {
    const { side } = this
    if (payloads === undefined || side.plain) return side.weight(bytes)
    let sum = 0
    for (const payload of payloads) sum += side.weight(payload.length, payload)
    return sum
  }

  /** Whether there may be messages that have not been decoded. */
  get isBehind(): boolean {
    return !this.isRefused && (this.ending || this.behind)
  }

  /** How many bytes it holds that no message has been made of. */
  get restBytes(): number {
    return this.decoder?.restBytes ?? 0
  }

  /** Takes a chunk, or the end of the input, and decodes at most `max` messages; what a decoder throws is a fault of the input. */
  read(chunk: Uint8Array | undefined, bytesRead: number, max = Infinity): DecodeError | undefined {
    if (chunk === undefined) {
      this.ending = true
      return this.more(bytesRead, max)
    }
    const { decoder } = this
    const payloads = this.side.plain ? undefined : this.payloads
    this.begins()
    // oxlint-disable-next-line socketserver/no-try -- a decoder is user code, and what it throws must not reach the event loop
    try {
      return decoder === undefined
        ? this.readWhole(chunk, payloads)
        : this.asked(decoder, decoder.push(chunk, this.messages, payloads, max))
    } catch (error) {
      const fault = this.threw(error, bytesRead)
      return this.separate ? withPayload(fault, chunk) : fault
    }
  }

  /** Decodes at most `max` of the messages that it is behind. */
  more(bytesRead: number, max: number): DecodeError | undefined {
    const { decoder, messages } = this
    const payloads = this.side.plain ? undefined : this.payloads
    this.begins()
    // oxlint-disable-next-line socketserver/no-try -- as above
    try {
      if (decoder === undefined) {
        this.ending = false
        return undefined
      }
      const fault = this.behind ? this.asked(decoder, decoder.more(messages, payloads, max)) : undefined
      if (fault !== undefined || this.isRefused) this.ending = false
      // The end may make a message of what is left.
      if (!this.ending || this.behind || messages.length >= max) return fault
      this.ending = false
      return this.asked(decoder, decoder.end(messages, payloads))
    } catch (error) {
      this.ending = false
      return this.threw(error, bytesRead)
    }
  }

  /** The decoder has been asked for messages. */
  private asked(decoder: Decoder<Read>, fault: DecodeError | undefined): DecodeError | undefined {
    this.behind = decoder.isBehind
    return fault
  }

  private threw(error: unknown, bytesRead: number): DecodeError {
    return Outcome.malformed(this.separate ? 0 : bytesRead, `the decoder threw: ${messageOf(error)}`)
  }

  /** A datagram, or a payload from another program. */
  private readWhole(chunk: Uint8Array, payloads: Array<Payload> | undefined): DecodeError | undefined {
    const { datagram, payload, plain } = this.side
    const unframed = this.carries === "datagrams" ? datagram.unframe(chunk) : Result.succeed(chunk)
    if (Result.isFailure(unframed)) return withPayload(unframed.failure, chunk)
    if (this.holder !== undefined && !plain && !this.mayMake(unframed.success)) return undefined
    const decoded = payload.decode(unframed.success)
    if (Result.isFailure(decoded)) return withPayload(decoded.failure, unframed.success)
    this.messages.push(decoded.success)
    payloads?.push(unframed.success)
    return undefined
  }

  /** Whether its messages say where something ends: not where they are chunks as they happen to come. */
  get isFramed(): boolean {
    return this.decoder?.isUnframed !== true
  }

  /** How many bytes it holds of a message that is not whole yet. */
  get held(): number {
    return this.isBehind ? 0 : this.restBytes
  }

  /** Whether a part of a message has been read that its rest has not followed. It cannot be read on afterwards. */
  hasRest(): boolean {
    return this.isBehind || this.read(undefined, 0) !== undefined || this.isRefused || this.messages.length > 0
  }

  /** Reads on from the start of a message, as after a change of what carries the connection. */
  restart(): void {
    this.clear()
    this.ending = this.behind = false
    this.decoder = this.newDecoder()
  }

  /** Lets go of what has been taken. */
  clear(): void {
    this.messages = []
    this.payloads = this.side.plain ? (this.messages as Array<never>) : []
  }
}
