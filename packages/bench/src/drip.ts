/**
 * What a message costs that arrives in pieces: `pnpm bench:drip`.
 *
 * CPU of decoding alone, in this process: over a socket the kernel would put the pieces together again. Only ratios
 * within one run mean something.
 */
import type * as Codec from "@socketserver/core/Codec"
import * as Protocol from "@socketserver/core/Protocol"
import { parseArgs } from "node:util"

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, check: { type: "boolean", default: false } }
})

const kib = 1024
const sizes = [64 * kib, 1024 * kib]
const pieces = [1, 64, 16 * kib, Infinity]
/** How much dearer a byte of the large message may be: where work grows with the square of the size, it is 16 times. */
const atMost = 2

const maxFrameBytes = 2 * 1024 * kib

interface Row {
  readonly name: string
  readonly what: string
  readonly decoder: () => Pick<Codec.Decoder<unknown>, "push">
  /** A message of that many bytes on the wire. */
  readonly message: (bytes: number) => Uint8Array
}

interface Parsing {
  /** Where the next part starts. */
  readonly at: number
  /** How many parts there will be, once that is known. */
  readonly count: number
  readonly parts: Array<number>
}

/** An array of integers, as in Redis' protocol: where it ends shows only while it is read. */
const array = Protocol.make<ReadonlyArray<number>, Parsing>({
  name: "array",
  maxFrameBytes,
  decode: (input, _, state) => {
    let { at, count, parts } = state ?? { at: 0, count: Infinity, parts: [] }
    while (parts.length < count) {
      const end = input.indexOf(13, at)
      if (end === -1 || end + 1 === input.length) return Protocol.more(undefined, { at, count, parts })
      let number = 0
      for (let i = at + 1; i < end; i++) number = number * 10 + (input[i] as number) - 48
      if (count === Infinity) count = number
      else parts.push(number)
      at = end + 2
    }
    return Protocol.frame(parts, at)
  },
  encode: (parts) => `*${parts.length}\r\n${parts.map((part) => `:${part}\r\n`).join("")}`
})

const rows: ReadonlyArray<Row> = [
  {
    name: "nothing",
    what: "cuts the pieces and looks at none (the baseline)",
    decoder: () => ({
      push: (chunk, messages) => {
        if (chunk.length === 0 || chunk[chunk.length - 1] === 10) messages.push(chunk)
        return undefined
      }
    }),
    message: (bytes) => new Uint8Array(bytes).fill(97).fill(10, -1)
  },
  {
    name: "lengthPrefixed",
    what: "one byte string after its length",
    decoder: Protocol.lengthPrefixed({ maxFrameBytes }).server.decoder,
    message: (bytes) => {
      const message = new Uint8Array(bytes).fill(97)
      new DataView(message.buffer).setUint32(0, bytes - 4)
      return message
    }
  },
  {
    name: "lines",
    what: "one line of text",
    decoder: Protocol.lines({ maxFrameBytes }).server.decoder,
    message: (bytes) => new Uint8Array(bytes).fill(97).fill(10, -1)
  },
  {
    name: "make",
    what: "an array of integers, as in Redis' protocol, by a step that carries its state",
    decoder: array.server.decoder,
    message: (bytes) => {
      const count = Math.floor((bytes - 16) / 6)
      return new TextEncoder().encode(`*${count}\r\n${":123\r\n".repeat(count)}`)
    }
  }
]

const cutInto = (message: Uint8Array, size: number, push: (piece: Uint8Array) => unknown): void => {
  if (size >= message.length) return void push(message)
  for (let at = 0; at < message.length; at += size) push(message.subarray(at, at + size))
}

/** Microseconds of CPU of one message in pieces of a size. */
const measure = ({ decoder, message }: Row, bytes: number, size: number): number => {
  const input = message(bytes)
  const times = Math.max(1, Math.ceil((2 * 1024 * kib) / input.length / (size === 1 ? 4 : 1)))
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) {
    const { push } = decoder()
    const messages: Array<unknown> = []
    cutInto(input, size, (piece) => push(piece, messages))
    if (messages.length !== 1) throw new Error(`${messages.length} messages were decoded, must be 1`)
  }
  const { system, user } = process.cpuUsage(before)
  return (system + user) / times
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const print = (...cells: ReadonlyArray<string>) => console.log(`| ${cells.join(" | ")} |`)
const bytesOf = (bytes: number) => (bytes < kib ? `${bytes} B` : `${bytes / kib} KiB`)

const measured = new Map<string, Array<number>>()
const key = (row: Row, bytes: number, size: number) => `${row.name} ${bytes} ${size}`
// The first round is warm-up.
for (let round = 0; round <= Number(flags.rounds); round++) {
  for (const row of rows) {
    for (const bytes of sizes) {
      for (const size of pieces) {
        const cpu = measure(row, bytes, size)
        if (round === 0) measured.set(key(row, bytes, size), [])
        else measured.get(key(row, bytes, size))!.push(cpu)
      }
    }
  }
}
const cpuOf = (row: Row, bytes: number, size: number) => median(measured.get(key(row, bytes, size))!)

console.log(`# A message in pieces

- CPU of decoding one message, in microseconds: the median of ${flags.rounds} rounds, in each every cell once.
- \`× one\` is beside the same message in one piece. \`× smaller\` is what a byte costs beside one of the smaller message
  in such pieces: 1 where work grows with the size, ${sizes[1]! / sizes[0]!} where it grows with the square of it.
- One piece is all there is to cut from: \`lengthPrefixed\` copies none of it, so that its ratios are large.
- Not measured: sockets, handlers, replies.
`)
for (const { name, what } of rows) console.log(`- \`${name}\`: ${what}`)
console.log("")
print("decoder", "message", "pieces", "CPU, µs", "× one", "ns/byte", "× smaller")
print("---", "--:", "--:", "--:", "--:", "--:", "--:")
for (const row of rows) {
  for (const bytes of sizes) {
    for (const size of pieces) {
      const cpu = cpuOf(row, bytes, size)
      const growth = cpu / bytes / (cpuOf(row, sizes[0]!, size) / sizes[0]!)
      // Few pieces cost what memory costs: a message may fit into a cache, and a larger one not.
      const dear = size < 16 * kib && growth > atMost
      if (flags.check && dear) process.exitCode = 1
      print(
        row.name,
        bytesOf(bytes),
        size === Infinity ? "one" : bytesOf(size),
        cpu.toFixed(1),
        row === rows[0] ? "–" : (cpu / cpuOf(row, bytes, Infinity)).toFixed(2),
        ((cpu * 1000) / bytes).toFixed(2),
        bytes === sizes[0] ? "–" : `${growth.toFixed(2)}${dear ? " **too dear**" : ""}`
      )
    }
  }
}
