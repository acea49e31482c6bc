/**
 * What a message costs that arrives in pieces: `drip.ts hand|ours`, asked for a decoder and a size of pieces.
 * CPU of decoding alone, in this process: over a socket the kernel would put the pieces together again.
 */
import type * as Codec from "@socketserver/core/Codec"

export interface Question {
  readonly decoder: "lines" | "lengthPrefixed" | "resp"
  readonly piece: number
  readonly seconds: number
}

type Decoder = Pick<Codec.Decoder<unknown>, "push">

const bytes = 1_000_000
const line = new Uint8Array(bytes).fill(97).fill(10, -1)
const frame = new Uint8Array(bytes).fill(97)
new DataView(frame.buffer).setUint32(0, bytes - 4)
/** A command of words of a hundred bytes. */
const words = Math.floor(bytes / 108)
const command = Buffer.from(`*${words}\r\n${`$100\r\n${"a".repeat(100)}\r\n`.repeat(words)}`)
const messages = { lines: line, lengthPrefixed: frame, resp: command }

/** By hand: grown by doubling where the end is not known, taken at once where it is. */
const byHand = {
  lines: (): Decoder => {
    let kept = Buffer.allocUnsafe(1024)
    let size = 0
    return {
      push: (chunk, into) => {
        if (size === 0 && chunk[chunk.length - 1] === 10) {
          into.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length - 1).toString("utf8"))
          return undefined
        }
        if (size + chunk.length > kept.length) {
          const larger = Buffer.allocUnsafe(Math.max(kept.length * 2, size + chunk.length))
          kept.copy(larger, 0, 0, size)
          kept = larger
        }
        kept.set(chunk, size)
        const end = chunk.indexOf(10)
        size += chunk.length
        if (end === -1) return undefined
        into.push(kept.toString("utf8", 0, size - 1))
        size = 0
        return undefined
      }
    }
  },
  lengthPrefixed: (): Decoder => {
    const header = Buffer.alloc(4)
    let got = 0
    let body: Uint8Array | undefined
    return {
      push: (chunk, into) => {
        if (body === undefined && got === 0 && chunk.length >= 4) {
          const length = Buffer.from(chunk.buffer, chunk.byteOffset, 4).readUInt32BE()
          if (chunk.length === 4 + length) {
            into.push(chunk.subarray(4))
            return undefined
          }
        }
        let at = 0
        while (body === undefined && at < chunk.length) {
          header[got++] = chunk[at++]!
          if (got === 4) body = new Uint8Array(header.readUInt32BE())
        }
        if (body === undefined) return undefined
        body.set(at === 0 ? chunk : chunk.subarray(at), got - 4)
        got += chunk.length - at
        if (got - 4 < body.length) return undefined
        into.push(body)
        return undefined
      }
    }
  },
  resp: (): Decoder => {
    let kept = Buffer.allocUnsafe(1024)
    let size = 0
    let at = 0
    let left = -1
    let found: Array<Uint8Array> = []
    /** The number after a sign, and where its line ends; below 0 where that is not there. */
    const number = (input: Uint8Array, end: number): number => {
      let value = 0
      for (let i = at + 1; i < end; i++) {
        if (input[i] === 10) {
          at = i + 1
          return value
        }
        if (input[i] !== 13) value = value * 10 + input[i]! - 48
      }
      return -1
    }
    const parse = (input: Uint8Array, end: number, into: Array<unknown>) => {
      if (left === -1) left = number(input, end)
      while (left > 0) {
        const start = at
        const length = number(input, end)
        if (length === -1 || at + length + 2 > end) {
          at = start
          return
        }
        found.push(input.subarray(at, at + length))
        at += length + 2
        left--
      }
      if (left === -1) return
      into.push(found)
      found = []
      left = -1
      size = 0
      at = 0
    }
    return {
      push: (chunk, into) => {
        if (size === 0) parse(chunk, chunk.length, into)
        if (size === 0 && left === -1 && at === 0 && into.length > 0) return undefined
        if (size + chunk.length > kept.length) {
          const larger = Buffer.allocUnsafe(Math.max(kept.length * 2, size + chunk.length))
          kept.copy(larger, 0, 0, size)
          kept = larger
        }
        kept.set(chunk, size)
        const first = size === 0
        size += chunk.length
        if (!first) parse(kept, size, into)
        return undefined
      }
    }
  }
}

const ours = async () => {
  const Protocol = await import("@socketserver/core/Protocol")
  const Resp = await import("@socketserver/protocols/Resp")
  const options = { maxFrameBytes: 2 << 20 }
  return {
    lines: Protocol.lines(options).server.decoder,
    lengthPrefixed: Protocol.lengthPrefixed(options).server.decoder,
    resp: Resp.protocol(options).server.decoder
  }
}

const decoders: Readonly<Record<Question["decoder"], () => Decoder>> =
  process.argv[2] === "hand" ? byHand : await ours()

/** Seconds of CPU of one message. */
const measure = ({ decoder, piece, seconds }: Question): number => {
  const message = messages[decoder]
  let times = 0
  const before = process.cpuUsage()
  const used = () => {
    const { system, user } = process.cpuUsage(before)
    return (system + user) / 1e6
  }
  do {
    const reader = decoders[decoder]()
    const decoded: Array<unknown> = []
    if (piece >= bytes) reader.push(message, decoded)
    else for (let at = 0; at < message.length; at += piece) reader.push(message.subarray(at, at + piece), decoded)
    if (decoded.length !== 1 || !isRight(decoder, decoded[0])) {
      throw new Error(`${decoder} in pieces of ${piece} bytes was decoded wrongly`)
    }
    times++
  } while (used() < seconds)
  return used() / times
}

const isRight = (decoder: Question["decoder"], decoded: unknown): boolean => {
  if (decoder === "resp") return (decoded as { readonly length: number }).length === words
  const message = decoded as string | Uint8Array
  const right = decoder === "lines" ? bytes - 1 : bytes - 4
  return message.length === right && message[right - 1] === (decoder === "lines" ? "a" : 97)
}

process.on("message", (question: Question) => {
  try {
    process.send?.({ cpu: measure(question) })
  } catch (error) {
    process.send?.({ wrong: String(error) })
  }
})
// Nothing else keeps it alive.
process.channel?.ref()
console.log("ready")
