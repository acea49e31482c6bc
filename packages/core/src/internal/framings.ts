import * as Result from "effect/Result"
import * as Outcome from "../Outcome.ts"
import type { Decoder, Framing, Side } from "../Codec.ts"
import type { DecodeError, FramingFormat, Payload } from "../Protocol.ts"
import { concat, indexOf, readLength, writeLength } from "./bytes.ts"
import * as decoders from "./decoders.ts"
import * as lineDecoders from "./lineDecoders.ts"
import * as sides from "./sides.ts"
import { Unencodable } from "./unencodable.ts"

/** The framings: how the payloads of a byte stream are told apart, and what each is in a datagram. */

const utf8 = new TextEncoder()

/** The bytes of a payload. */
export const bytesOf = (payload: Payload): Uint8Array => (typeof payload === "string" ? utf8.encode(payload) : payload)

/** The text of a payload. */
const textOf = (payload: Payload): string | sides.Undecodable =>
  typeof payload === "string" ? payload : (decoders.textOf(payload) ?? notText)

const notText = new sides.Undecodable("it is not valid UTF-8")

/** A text that UTF-8 can express: a lone surrogate would arrive as another character. */
const wellFormed = (text: string): string | Unencodable => (text.isWellFormed() ? text : illFormed)

const illFormed = new Unencodable("the text has a lone surrogate, which UTF-8 cannot express")

const bytesPayload: Side<Uint8Array, Uint8Array>["payload"] = {
  decode: (payload) => Result.succeed(bytesOf(payload)),
  encode: (message) => message
}

const textPayload: Side<string, string>["payload"] = {
  decode: (payload) => {
    const text = textOf(payload)
    return typeof text === "string" ? Result.succeed(text) : Result.fail(Outcome.malformed(0, text.problem))
  },
  encode: wellFormed
}

/** A framing of bytes: text over it is their UTF-8. */
const ofBytes = (parts: {
  readonly maxFrameBytes: number
  readonly decoder: () => Decoder<Uint8Array>
  readonly frame: (payload: Uint8Array) => Payload | Unencodable
  readonly pieces?: Side<never, never>["pieces"]
  readonly unframe: (datagram: Uint8Array) => Result.Result<Uint8Array, DecodeError>
  readonly frameDatagram: (payload: Uint8Array) => Payload | Unencodable
}): Framing => {
  const bytes = sides.make<Uint8Array, Uint8Array>({
    plain: true,
    takes: "bytes",
    maxFrameBytes: parts.maxFrameBytes,
    decoder: parts.decoder,
    encode: parts.frame,
    frame: (payload) => parts.frame(bytesOf(payload)),
    pieces: parts.pieces,
    payload: bytesPayload,
    unframe: parts.unframe,
    frameDatagram: (payload) => parts.frameDatagram(bytesOf(payload))
  })
  return {
    bytes,
    text: sides.mapped<Uint8Array, Uint8Array, string, string>(
      bytes,
      textOf,
      (text) => (text.isWellFormed() ? utf8.encode(text) : illFormed),
      "text",
      bytes.weight
    )
  }
}

/** Every chunk is a payload. */
export const chunks: Framing = ofBytes({
  // What a socket brings at once.
  maxFrameBytes: 65_536,
  decoder: decoders.chunks,
  frame: (payload) => payload,
  unframe: Result.succeed,
  frameDatagram: (payload) => payload
})

export const lines = (options: {
  readonly maxFrameBytes: number
  readonly unterminated: "emit" | "malformed"
  readonly terminator: string
}): Framing => {
  const ofText = (end: string) => (text: string) => {
    if (text.includes("\n") || text.charCodeAt(text.length - 1) === 13) {
      return new Unencodable(notALine)
    }
    return text.isWellFormed() ? text + end : illFormed
  }
  const ofBytes = (end: string) => {
    const mark = utf8.encode(end)
    return (bytes: Uint8Array) =>
      bytes.includes(10) || bytes[bytes.length - 1] === 13 ? new Unencodable(notALine) : concat(bytes, mark)
  }
  const frame = (end: string) => {
    const [text, bytes] = [ofText(end), ofBytes(end)]
    return (payload: Payload) => (typeof payload === "string" ? text(payload) : bytes(payload))
  }
  const framed = frame(options.terminator)
  const shared = {
    plain: true,
    maxFrameBytes: options.maxFrameBytes,
    frame: framed,
    unframe: (datagram: Uint8Array) => lineDecoders.unframeLine(datagram, options.maxFrameBytes),
    frameDatagram: frame("")
  }
  return {
    text: sides.make<string, string>({
      takes: "text",
      ...shared,
      decoder: () => lineDecoders.textLines(options),
      encode: ofText(options.terminator),
      payload: textPayload
    }),
    bytes: sides.make<Uint8Array, Uint8Array>({
      takes: "bytes",
      ...shared,
      decoder: () => lineDecoders.byteLines(options),
      encode: ofBytes(options.terminator),
      payload: bytesPayload
    })
  }
}

const notALine = "a line cannot contain a newline or end with a carriage return"

/** A framing whose payloads are found by looking at the front of the input; `own` is what it does in another way than most. */
export const stepping = <State>(
  options: FramingFormat<State> & { readonly maxFrameBytes: number },
  own?: Partial<Pick<Parameters<typeof ofBytes>[0], "unframe" | "frameDatagram" | "pieces">>
): Framing => {
  const { decode, encode, maxFrameBytes } = options
  return ofBytes({
    maxFrameBytes,
    decoder: () => decoders.stepping({ maxFrameBytes, step: decode }),
    frame: encode,
    unframe: (input) => decoders.wholeFrame(input, decode, maxFrameBytes),
    frameDatagram: encode,
    ...own
  })
}

export const delimited = (mark: Uint8Array, maxFrameBytes: number): Framing => {
  const frame = (payload: Uint8Array): Uint8Array | Unencodable => {
    // Also where the end of the payload and the start of the delimiter make a delimiter.
    const framed = concat(payload, mark)
    const at = indexOf(framed, mark, 0)
    return at === payload.length ? framed : new Unencodable(`a message cannot contain the delimiter (byte ${at})`)
  }
  return stepping(
    {
      maxFrameBytes,
      decode: (input, seen) => {
        const at = indexOf(input, mark, Math.max(0, seen - mark.length + 1))
        return at === -1 ? more : found(input.subarray(0, at), at + mark.length)
      },
      encode: frame
    },
    {
      unframe: (datagram) => {
        const at = indexOf(datagram, mark, 0)
        if (at !== -1 && at !== datagram.length - mark.length) {
          return Result.fail(Outcome.malformed(0, `the datagram has a delimiter inside (byte ${at})`))
        }
        // As over a connection, the delimiter counts.
        return (at === -1 ? datagram.length + mark.length : datagram.length) > maxFrameBytes
          ? Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
          : Result.succeed(at === -1 ? datagram : datagram.subarray(0, at))
      },
      frameDatagram: (payload) => {
        const framed = frame(payload)
        return framed instanceof Unencodable ? framed : payload
      }
    }
  )
}

export const lengthPrefixed = (options: {
  readonly lengthBytes: 1 | 2 | 4 | 8
  readonly endian: "big" | "little"
  readonly lengthOffset: number
  readonly lengthAdjustment: number
  readonly maxFrameBytes: number
}): Framing => {
  const { lengthAdjustment: adjustment, lengthBytes: width, lengthOffset: before, maxFrameBytes } = options
  const little = options.endian === "little"
  const header = before + width
  const largest = 2 ** (width * 8) - 1
  /** The frame of a payload, with so much of what comes after the length. */
  const framed = (payload: Uint8Array, rest: number): Uint8Array | Unencodable => {
    if (payload.length < before)
      return new Unencodable(`a message starts with ${before} bytes of header, this has ${payload.length}`)
    const length = payload.length - before - adjustment
    if (length < 0 || length > largest)
      return new Unencodable(`${length} does not fit a length field of ${width} bytes`)
    const out = new Uint8Array(header + rest)
    if (before > 0) out.set(payload.subarray(0, before))
    writeLength(out, before, width, little, length)
    if (rest > 0) out.set(before === 0 ? payload : payload.subarray(before), header)
    return out
  }
  return stepping(
    {
      maxFrameBytes,
      decode: (input) => {
        if (input.length < header) return { _tag: "More", needed: header }
        const length = readLength(input, before, width, little)
        const size = header + length + adjustment
        if (size < header) {
          const reason = `the length field says ${length}, which leaves ${length + adjustment} bytes`
          return { _tag: "Malformed", reason }
        }
        if (input.length < size) return { _tag: "More", needed: size }
        const body = input.subarray(header, size)
        return found(before === 0 ? body : concat(input.subarray(0, before), body), size)
      },
      encode: (payload) => framed(payload, payload.length - before)
    },
    {
      pieces: (payload) => {
        const head = framed(payload, 0)
        return head instanceof Unencodable ? head : [head, payload.subarray(before)]
      },
      // As over a connection, the header counts. With a header before the field a datagram is a whole frame.
      ...(before === 0 && unframed(header, maxFrameBytes))
    }
  )
}

/** A datagram is the payload itself; what frames it over a connection counts as it does there. */
const unframed = (overhead: number, maxFrameBytes: number) => ({
  unframe: (datagram: Uint8Array) =>
    overhead + datagram.length > maxFrameBytes
      ? Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
      : Result.succeed(datagram),
  frameDatagram: (payload: Uint8Array) => payload
})

export const fixed = (sizeBytes: number): Framing =>
  stepping({
    maxFrameBytes: sizeBytes,
    decode: (input) =>
      input.length < sizeBytes ? { _tag: "More", needed: sizeBytes } : found(input.subarray(0, sizeBytes), sizeBytes),
    encode: (payload) =>
      payload.length === sizeBytes
        ? payload
        : new Unencodable(`a message has ${sizeBytes} bytes, not ${payload.length}`)
  })

/** https://cr.yp.to/proto/netstrings.txt */
export const netstring = (maxFrameBytes: number): Framing => {
  const colon = 58
  const comma = 44
  const malformed = (reason: string) => ({ _tag: "Malformed", reason }) as const
  return stepping(
    {
      maxFrameBytes,
      decode: (input) => {
        let length = 0
        let at = 0
        for (; at < input.length && input[at] !== colon; at++) {
          const digit = (input[at] as number) - 48
          if (digit < 0 || digit > 9 || at > 9) return malformed("the length is not a number of at most ten digits")
          if (at === 1 && length === 0) return malformed("the length starts with 0")
          length = length * 10 + digit
        }
        if (at === input.length) return more
        if (at === 0) return malformed("it has no length")
        const end = at + 1 + length
        if (input.length <= end) return { _tag: "More", needed: end + 1 }
        return input[end] === comma ? found(input.subarray(at + 1, end), end + 1) : malformed("no comma at the end")
      },
      encode: (payload) => concat(concat(utf8.encode(`${payload.length}:`), payload), Uint8Array.of(comma))
    },
    {
      pieces: (payload) => [utf8.encode(`${payload.length}:`), payload, Uint8Array.of(comma)],
      unframe: (datagram) => unframed(`${datagram.length}`.length + 2, maxFrameBytes).unframe(datagram),
      frameDatagram: (payload) => payload
    }
  )
}

const more = { _tag: "More", needed: undefined } as const

const found = (value: Uint8Array, size: number) => ({ _tag: "Frame", value, size }) as const
