import { deepStrictEqual } from "node:assert"
import type * as Codec from "@socketserver/core/Codec"
import type { DecodeError } from "@socketserver/core/Protocol"
import type { Random } from "../../../core/src/internal/random.ts"

/** What a decoder makes of chunks: messages, where each starts, and the error that ended them. */
const decoded = <Read>(side: Codec.Side<Read, never>, chunks: ReadonlyArray<Uint8Array>, max: number) => {
  const decoder = side.decoder()
  const messages: Array<Read> = []
  const offsets: Array<number> = []
  const step = (take: (out: Array<Read>) => DecodeError | undefined) => {
    const before = messages.length
    const error = take(messages)
    for (let i = 0; i < messages.length - before; i++) offsets.push(decoder.offsetOf(i))
    return error
  }
  for (const chunk of chunks) {
    let error = step((out) => decoder.push(chunk.slice(), out, undefined, max))
    while (error === undefined && decoder.isBehind) error = step((out) => decoder.more(out, undefined, max))
    if (error !== undefined) return { messages, offsets, error }
  }
  return { messages, offsets, error: step((out) => decoder.end(out)) }
}

/** Looks that a decoder reads input the same in one piece, byte by byte and in pieces by chance. */
export const inPieces = <Read>(side: Codec.Side<Read, never>, input: Uint8Array, random: Random): void => {
  const whole = decoded(side, [input], Infinity)
  if (input.length <= 4_096) {
    deepStrictEqual(
      decoded(
        side,
        Array.from(input, (byte) => Uint8Array.of(byte)),
        Infinity
      ),
      whole
    )
  }
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < input.length;) {
    const size = random.int(1, 40)
    chunks.push(input.subarray(at, at + size))
    at += size
  }
  deepStrictEqual(decoded(side, chunks, random.int(1, 3)), whole)
}
