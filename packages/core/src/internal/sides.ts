import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder, Maker, Side } from "../Codec.ts"
import type { DecodeError, Payload } from "../Protocol.ts"
import { messageOf } from "./errors.ts"
import { withPayload } from "./undecoded.ts"
import { Unencodable } from "./unencodable.ts"

/** How the ends of protocols are put together: a framing's, and what is converted over it. */

/** A payload or message that a codec cannot read, with the reason. */
export class Undecodable {
  readonly problem: string
  constructor(problem: string) {
    this.problem = problem
  }
}

/** What a conversion makes of a message that is none: it is passed over. */
export const nothing = Symbol("@socketserver/core/internal/nothing")

/** What makes one end of a protocol; the rest follows from it. */
export interface Parts<Read, Write> {
  readonly plain: boolean
  readonly takes?: Side<Read, Write>["takes"]
  /** Default: that of text and bytes, where it is plain; otherwise of what is made of them. */
  readonly weight?: Side<Read, Write>["weight"]
  readonly maxFrameBytes: number
  readonly decoder: () => Decoder<Read>
  readonly encode: (message: Write) => Payload | Unencodable
  readonly frame: (payload: Payload) => Payload | Unencodable
  readonly pieces?: Side<Read, Write>["pieces"]
  readonly payload: Side<Read, Write>["payload"]
  readonly unframe: (datagram: Uint8Array) => Result.Result<Uint8Array, DecodeError>
  readonly frameDatagram: (payload: Payload) => Payload | Unencodable
}

export const make = <Read, Write>(parts: Parts<Read, Write>): Side<Read, Write> => {
  const { decoder, encode, frame, frameDatagram, maxFrameBytes, payload, pieces, plain, takes, unframe } = parts
  return {
    plain,
    takes,
    weight: parts.weight ?? (plain ? weightOfPlain : weightOfValue),
    maxFrameBytes,
    decoder,
    encode,
    frame,
    pieces,
    payload,
    datagram: {
      unframe,
      frame: frameDatagram,
      decode: (datagram) => Result.flatMap(unframe(datagram), payload.decode),
      encode: (message) => {
        const encoded = payload.encode(message)
        return encoded instanceof Unencodable ? encoded : frameDatagram(encoded)
      }
    }
  }
}

/** Text is a copy. */
const weightOfPlain = (bytes: number): number => bytes

/** An estimate: of most formats no value takes more. */
const weightOfValue = (bytes: number): number => bytes * 15

/** A side whose messages are converted: `read` after it has decoded them, `write` before it encodes them. */
export const mapped = <A, B, A2, B2>(
  self: Side<A, B>,
  read: (message: A) => A2 | Undecodable | typeof nothing,
  write: (message: B2) => B | Unencodable,
  takes?: Side<A2, B2>["takes"],
  weight: Side<A2, B2>["weight"] = self.plain ? weightOfValue : self.weight
): Side<A2, B2> => {
  // Written out: a closure for each message is what a combinator would cost.
  const { encode } = self
  const { encode: encodePayload } = self.payload
  return make<A2, B2>({
    plain: false,
    takes,
    weight,
    maxFrameBytes: self.maxFrameBytes,
    decoder: () => new Mapped(self.decoder(), self.plain, read),
    encode: (message) => {
      const written = write(message)
      return written instanceof Unencodable ? written : encode(written)
    },
    frame: self.frame,
    pieces: self.pieces,
    payload: {
      decode: (payload) =>
        Result.flatMap(self.payload.decode(payload), (message) => {
          const converted = read(message)
          if (converted === nothing) return Result.fail(Outcome.malformed(0, "it is empty"))
          return converted instanceof Undecodable
            ? Result.fail(Outcome.malformed(0, converted.problem))
            : Result.succeed(converted)
        }),
      encode: (message) => {
        const written = write(message)
        return written instanceof Unencodable ? written : encodePayload(written)
      }
    },
    unframe: self.datagram.unframe,
    frameDatagram: self.datagram.frame
  })
}

/** The decoder of a converted side: converts each message that `of` decodes. A class, as the decoders of framings are. */
class Mapped<A, B> implements Decoder<B> {
  private readonly of: Decoder<A>
  private readonly plain: boolean
  private readonly convert: (message: A) => B | Undecodable | typeof nothing
  // Not initialised: only a server's decoders have one.
  declare private asked: Maker | undefined
  /** Which messages of the last call were passed over, where there were any. */
  private passed: Array<number> | undefined = undefined

  constructor(of: Decoder<A>, plain: boolean, convert: (message: A) => B | Undecodable | typeof nothing) {
    this.of = of
    this.plain = plain
    this.convert = convert
  }

  /** What is made of a payload is made by the innermost. */
  get maker(): Maker | undefined {
    return this.plain ? this.asked : this.of.maker
  }

  set maker(maker: Maker | undefined) {
    if (this.plain) this.asked = maker
    else this.of.maker = maker
  }

  get isBehind(): boolean {
    return this.of.isBehind
  }

  get restBytes(): number {
    return this.of.restBytes
  }

  push(chunk: Uint8Array, out: Array<B>, payloads?: Array<Payload>, max?: number): DecodeError | undefined {
    const messages: Array<A> = []
    return this.pass(messages, this.of.push(chunk, messages, this.plain ? undefined : payloads, max), out, payloads)
  }

  more(out: Array<B>, payloads?: Array<Payload>, max?: number): DecodeError | undefined {
    const messages: Array<A> = []
    return this.pass(messages, this.of.more(messages, this.plain ? undefined : payloads, max), out, payloads)
  }

  end(out: Array<B>, payloads?: Array<Payload>): DecodeError | undefined {
    const messages: Array<A> = []
    return this.pass(messages, this.of.end(messages, this.plain ? undefined : payloads), out, payloads)
  }

  offsetOf(index: number): number {
    let at = index
    for (const passed of this.passed ?? []) if (passed <= at) at++
    return this.of.offsetOf(at)
  }

  private pass(
    messages: Array<A>,
    error: DecodeError | undefined,
    out: Array<B>,
    payloads: Array<Payload> | undefined
  ): DecodeError | undefined {
    this.passed = undefined
    const { asked } = this
    for (let i = 0; i < messages.length; i++) {
      if (asked?.mayMake(messages[i] as Payload & A) === false) return undefined
      let converted: B | Undecodable | typeof nothing
      // oxlint-disable-next-line socketserver/no-try -- a conversion is user code, and the message at fault is known only here
      try {
        converted = this.convert(messages[i] as A)
      } catch (error) {
        converted = new Undecodable(`the decoder threw: ${messageOf(error)}`)
      }
      if (converted instanceof Undecodable) {
        const payload = this.plain ? messages[i] : payloads?.[payloads.length - messages.length + i]
        return withPayload(Outcome.malformed(this.of.offsetOf(i), converted.problem), payload as Payload | undefined)
      }
      if (converted === nothing) {
        ;(this.passed ??= []).push(i)
        continue
      }
      out.push(converted)
      if (this.plain) payloads?.push(messages[i] as Payload & A)
    }
    return error
  }
}

/** An end that cannot be spoken: what it reads is malformed, and what it is to write is refused. */
export const refusing = (problem: string): Side<never, never> => {
  const fault = () => Outcome.malformed(0, problem)
  const refuse = () => new Unencodable(problem)
  return make<never, never>({
    plain: false,
    maxFrameBytes: 0,
    decoder: () => ({
      push: fault,
      more: () => undefined,
      isBehind: false,
      restBytes: 0,
      end: () => undefined,
      offsetOf: () => 0
    }),
    encode: refuse,
    frame: refuse,
    payload: { decode: () => Result.fail(fault()), encode: refuse },
    unframe: () => Result.fail(fault()),
    frameDatagram: refuse
  })
}
