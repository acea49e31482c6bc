/** Feeds decoders by hand: what the tests of protocols share. */
import type * as Codec from "@socketserver/core/Codec"
import type { Protocol } from "@socketserver/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export const join = (parts: ReadonlyArray<string | Uint8Array>): Uint8Array => {
  const chunks = parts.map((part) => (typeof part === "string" ? utf8(part) : part))
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** The side of a protocol that a server reads; its types are those of the protocol. */
export const serverOf = <In, Out, Send, Receive>(
  protocol: Protocol.Protocol<In, Out, Send, Receive>
): Codec.Side<Send, Receive> => protocol.server as never

export interface Decoded<Message> {
  readonly messages: ReadonlyArray<Message>
  readonly error: Protocol.DecodeError | undefined
  /** Where each message starts. */
  readonly offsets: ReadonlyArray<number>
}

/**
 * Decodes chunks as a connection does: until the first error, then the half-close unless the input stays open. With
 * `max`, so many at a time; `ahead` chunks come while something is left undecoded.
 */
export const decode = <Message>(
  codec: Codec.Side<Message, never>,
  chunks: ReadonlyArray<string | Uint8Array>,
  options?: { readonly open?: boolean; readonly max?: number; readonly ahead?: number }
): Decoded<Message> => {
  const { ahead = 0, max } = options ?? {}
  const decoder = codec.decoder()
  const messages: Array<Message> = []
  const offsets: Array<number> = []
  const step = (f: (out: Array<Message>) => Protocol.DecodeError | undefined) => {
    const before = messages.length
    const error = f(messages)
    for (let i = 0; i < messages.length - before; i++) offsets.push(decoder.offsetOf(i))
    return error
  }
  const rest = () => {
    for (let error: Protocol.DecodeError | undefined; decoder.isBehind;) {
      const before = messages.length
      error = step((out) => decoder.more(out, undefined, max))
      if (messages.length - before > (max ?? Infinity)) throw new Error("it decodes more than the maximum")
      if (error !== undefined) return error
    }
    return undefined
  }
  for (const [i, chunk] of chunks.entries()) {
    const before = messages.length
    // The memory of a chunk is the transport's: what is kept of it must not be.
    const bytes = typeof chunk === "string" ? utf8(chunk) : chunk.slice()
    let error = step((out) => decoder.push(bytes, out, undefined, max))
    if (messages.length - before > (max ?? Infinity)) throw new Error("it decodes more than the maximum")
    if (error === undefined && i % (ahead + 1) === ahead) error = rest()
    if (error !== undefined) return { messages, error, offsets }
  }
  const error = rest()
  if (error !== undefined) return { messages, error, offsets }
  if (options?.open === true) return { messages, error: undefined, offsets }
  const fault = step((out) => decoder.end(out))
  return { messages, error: fault, offsets }
}

export const bytewise = (input: string | Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from(typeof input === "string" ? utf8(input) : input, (byte) => Uint8Array.of(byte))

/** Cuts input into chunks of the given sizes, again and again. */
export const cut = (input: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < input.length; i++) {
    const size = sizes[i % sizes.length] as number
    chunks.push(input.subarray(at, at + size))
    at += size
  }
  return chunks
}

const below = (max: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max - 1 })))

/** Sizes of chunks: many single bytes, some larger. */
export const sizes = Arbitrary.array(
  Arbitrary.map(below(12), (n) => (n < 5 ? 1 : n - 3)),
  { minLength: 1, maxLength: 12 }
)

/** Any bytes. */
export const noise: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.array(below(256), { maxLength: 80 }),
  (bytes) => Uint8Array.from(bytes)
)

/** Pieces of an alphabet, joined: collides with delimiters and limits far more often than random bytes do. */
export const pieces = (alphabet: ReadonlyArray<string | Uint8Array>, maxLength: number) =>
  Arbitrary.map(Arbitrary.array(below(alphabet.length), { maxLength }), (picks) =>
    join(picks.map((pick) => alphabet[pick] as string | Uint8Array))
  )

/** Text of one, two, three and four bytes a character, without newlines. */
export const line = Arbitrary.map(
  pieces(["a", "é", "€", "😀", " ", "\0", "\u2028", "\ufeff", "\r", '"', "\\"], 12),
  (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
)

/** Lists of something. */
export const many = <A>(item: Arbitrary.Arbitrary<A>) => Arbitrary.array(item, { maxLength: 12 })

/** How many bytes are copied between arrays while `f` runs. */
export const copied = (f: () => void): number => {
  const set = Uint8Array.prototype.set
  let total = 0
  Uint8Array.prototype.set = function (source, offset) {
    total += source.length
    return set.call(this, source, offset)
  }
  try {
    f()
  } finally {
    Uint8Array.prototype.set = set
  }
  return total
}
