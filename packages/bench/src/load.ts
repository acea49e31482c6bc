/**
 * The load generator, a process of its own: `load.ts <port> <connections> <depth> <seconds to live> [tls]`.
 *
 * Closed loop: each connection keeps `depth` lines outstanding and sends as many new ones as were answered.
 * What is sent is a window that moves over one prepared tape, so every byte that comes back is compared with
 * one native call per chunk, and a reply that is wrong, torn, out of order or of another connection is an error.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { type LoadMessage, Window } from "./window.ts"

const [port = 0, connections = 1, depth = 1, lifetime = 60] = process.argv.slice(2, 6).map(Number)
const encrypted = process.argv[6] === "tls"

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

const window = new Window()

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
      window.sample(performance.now() - sampledAt)
      sampled = -1
    }
    const lines = Math.floor(received / lineBytes) - before
    client.completed += lines
    if (lines > 0) send(lines)
    return true
  }

  const options = {
    host: "127.0.0.1",
    port,
    noDelay: true,
    onread: { buffer: new Uint8Array(65_536), callback: onBytes }
  }
  // The server's certificate is made anew by each: what is measured is the work, not the trust.
  const socket = encrypted ? Tls.connect({ ...options, rejectUnauthorized: false }) : Net.connect(options)
  socket.once(encrypted ? "secureConnect" : "connect", () => {
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

const begin = () => {
  window.begin(clients)
  say({ tag: "began" })
}

const end = () => {
  const report = window.end(clients)
  for (const { socket } of clients) socket.destroy()
  if (typeof report === "string") return giveUp(report)
  say({ tag: "report", report }, () => process.exit())
}

process.on("message", (message) => (message === "begin" ? begin() : end()))
process.on("disconnect", () => process.exit())
setTimeout(() => giveUp(`not finished after ${lifetime} s`), lifetime * 1000).unref()
