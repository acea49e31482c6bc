/**
 * The load generator, a process of its own: `load.ts <port> <connections> <depth> <seconds to live>`.
 *
 * Closed loop: each connection keeps `depth` lines outstanding and sends as many new ones as were answered.
 * What is sent is a window that moves over one prepared tape, so every byte that comes back is compared with
 * one native call per chunk, and a reply that is wrong, torn, out of order or of another connection is an error.
 */
import * as Net from "node:net"

/** What a load reports about its window. */
export interface LoadReport {
  readonly requests: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly busy: number
}

/** What a load says: that all connections are open, a window's report, or why it gave up. */
export type LoadMessage =
  | { readonly tag: "connected" }
  | { readonly tag: "began" }
  | { readonly tag: "report"; readonly report: LoadReport }
  | { readonly tag: "broken"; readonly reason: string }

const [port = 0, connections = 1, depth = 1, lifetime = 60] = process.argv.slice(2).map(Number)

const lineBytes = 32
const tapeLines = 4096
const tapeBytes = tapeLines * lineBytes
// The first lines once more at the end, so that no window has to wrap.
const tape = Buffer.from(
  Array.from(
    { length: tapeLines + depth },
    (_, line) => `${line % tapeLines}`.padStart(6, "0") + " what goes out comes back\n"
  ).join("")
)

const maxSamples = 1 << 18
const latencies = new Float64Array(maxSamples)
let samples = 0

const say = (message: LoadMessage, then?: () => void) => process.send?.(message, undefined, undefined, then)

const giveUp = (reason: string) => {
  for (const client of clients) client.socket.destroy()
  say({ tag: "broken", reason }, () => process.exit(1))
}

/** The line of the first wrong byte, as it should be and as it came. */
const difference = (actual: Uint8Array, expected: Buffer): string => {
  const first = expected.findIndex((byte, index) => byte !== actual[index])
  const show = (bytes: Uint8Array) => JSON.stringify(Buffer.from(bytes).toString("latin1", line, line + lineBytes))
  const line = Math.max(0, expected.lastIndexOf(0x0a, first - 1) + 1)
  return `expected ${show(expected)}, got ${show(actual)}`
}

const connect = (index: number) => {
  const start = index * 61
  let sent = 0
  let received = 0
  let sampled = -1
  let sampledAt = 0

  const at = (position: number) => (start * lineBytes + position) % tapeBytes

  const send = (lines: number) => {
    if (sampled === -1) {
      sampled = sent + lineBytes
      sampledAt = performance.now()
    }
    const from = at(sent)
    sent += lines * lineBytes
    socket.write(tape.subarray(from, from + lines * lineBytes))
  }

  const onBytes = (size: number, bytes: Uint8Array): boolean => {
    const from = at(received)
    if (received + size > sent) {
      giveUp(`connection ${index}: ${received + size - sent} bytes more than were asked for`)
      return false
    }
    if (tape.compare(bytes, 0, size, from, from + size) !== 0) {
      giveUp(`connection ${index}: ${difference(bytes.subarray(0, size), tape.subarray(from, from + size))}`)
      return false
    }
    const before = Math.floor(received / lineBytes)
    received += size
    if (sampled !== -1 && received >= sampled) {
      latencies[samples++ % maxSamples] = performance.now() - sampledAt
      sampled = -1
    }
    const lines = Math.floor(received / lineBytes) - before
    client.completed += lines
    if (lines > 0) send(lines)
    return true
  }

  const socket = Net.connect({
    host: "127.0.0.1",
    port,
    noDelay: true,
    onread: { buffer: new Uint8Array(65_536), callback: onBytes }
  })
  socket.once("connect", () => {
    if (++connected === connections) {
      for (const { open } of clients) open()
      say({ tag: "connected" })
    }
  })
  socket.once("error", (error) => giveUp(`connection ${index}: ${error.message}`))
  socket.once("end", () => giveUp(`connection ${index}: the server closed it`))

  const client = { socket, completed: 0, open: () => send(depth) }
  return client
}

let connected = 0
const clients = Array.from({ length: connections }, (_, index) => connect(index))

let beganAt = 0
let cpu = process.cpuUsage()
let atBegin: ReadonlyArray<number> = []

const begin = () => {
  beganAt = performance.now()
  cpu = process.cpuUsage()
  atBegin = clients.map(({ completed }) => completed)
  samples = 0
  say({ tag: "began" })
}

const end = () => {
  const elapsed = performance.now() - beganAt
  const used = process.cpuUsage(cpu)
  const completed = clients.map((client, index) => client.completed - atBegin[index]!)
  for (const { socket } of clients) socket.destroy()
  const starved = completed.indexOf(0)
  if (starved !== -1) return giveUp(`connection ${starved}: no reply in the whole window`)
  const sorted = latencies.subarray(0, Math.min(samples, maxSamples)).sort()
  const quantile = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
  say(
    {
      tag: "report",
      report: {
        requests: completed.reduce((sum, count) => sum + count, 0),
        seconds: elapsed / 1000,
        p50: quantile(0.5),
        p99: quantile(0.99),
        busy: (used.user + used.system) / 1000 / elapsed
      }
    },
    () => process.exit()
  )
}

process.on("message", (message) => (message === "begin" ? begin() : end()))
process.on("disconnect", () => process.exit())
setTimeout(() => giveUp(`not finished after ${lifetime} s`), lifetime * 1000).unref()
