import * as Result from "effect/Result"
import { bytesOf } from "../text.ts"
import * as json from "./json.ts"
import { type Chunk, chunkHeader, mostChunks, type Part } from "./model.ts"
import type { Shape } from "./shape.ts"

/** What a datagram is, by its first two bytes. */
export const read = (bytes: Uint8Array, shape: Shape): Result.Result<Part, string> => {
  if (bytes[0] === 0x1e && bytes[1] === 0x0f) return readChunk(bytes)
  return isCompressed(bytes) ? Result.succeed({ _tag: "Compressed", bytes }) : json.read(bytes, shape)
}

/** Gzip, or a stream of zlib: its method is 8, and its first two bytes are a multiple of 31. */
export const isCompressed = ([first = 0, second = 0]: Uint8Array): boolean =>
  isGzip(first, second) || ((first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0)

export const isGzip = (first: number | undefined, second: number | undefined): boolean =>
  first === 0x1f && second === 0x8b

const readChunk = (bytes: Uint8Array): Result.Result<Chunk, string> => {
  if (bytes.length < chunkHeader) return Result.fail("a chunk has a header of twelve bytes")
  const index = bytes[10] as number
  const count = bytes[11] as number
  if (count === 0 || count > mostChunks) return Result.fail(`a message has 1 to ${mostChunks} chunks`)
  if (index >= count) return Result.fail("a chunk has a number below that of all chunks")
  let id = ""
  for (let at = 2; at < 10; at++) id += (bytes[at] as number).toString(16).padStart(2, "0")
  return Result.succeed({ _tag: "Chunk", id, index, count, bytes: bytes.subarray(chunkHeader) })
}

export const write = (part: Part, shape: Shape): Result.Result<Uint8Array, string> => {
  switch (part._tag) {
    case "Message":
      return Result.map(json.write(part, shape), bytesOf)
    case "Compressed":
      return isCompressed(part.bytes) ? Result.succeed(part.bytes) : Result.fail("it is neither gzip nor zlib")
    case "Chunk":
      return writeChunk(part)
  }
}

const writeChunk = ({ bytes, count, id, index }: Chunk): Result.Result<Uint8Array, string> => {
  if (!/^[0-9a-f]{16}$/.test(id)) return Result.fail("the id of a message is eight bytes in hexadecimal")
  const framed = new Uint8Array(chunkHeader + bytes.length)
  framed.set([0x1e, 0x0f, ...Array.from({ length: 8 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16))])
  framed.set([index, count], 10)
  framed.set(bytes, chunkHeader)
  const arrives = readChunk(framed)
  return Result.isFailure(arrives) || arrives.success.index !== index || arrives.success.count !== count
    ? Result.fail(`a message has 1 to ${mostChunks} chunks, which have the numbers from 0`)
    : Result.succeed(framed)
}
