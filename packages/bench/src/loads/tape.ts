/**
 * Messages that come back as they went, over connections that are kept.
 *
 * Closed loop: each connection keeps `depth` messages outstanding and sends as many new ones as were answered.
 * What is sent is a window that moves over one prepared tape, so every byte that comes back is compared with
 * one native call per chunk, and a reply that is wrong, torn, out of order or of another connection is an error.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { counting, type Open, type Task } from "./load.ts"

/** Numbers on the tape, which are the keys under `keyed`. */
const keys = 100_000
const tapeBytes = 4 << 20
const batch = 200

const messages: Readonly<Record<Task["message"], (number: number, size: number) => Buffer>> = {
  line: (number, size) =>
    Buffer.from(`${number}`.padStart(6, "0").padEnd(size - 1, " what goes out comes back") + "\n"),
  frame: (number, size) => {
    const message = Buffer.alloc(size, `${number}`.padStart(6, "0"))
    message.writeUInt32BE(size - 4)
    return message
  },
  json: (number, size) => {
    const text = (name: string) => `${JSON.stringify({ id: number, name, tags: ["a", "b"], price: 12.5 })}\n`
    return Buffer.from(text("x".repeat(size - text("").length)))
  },
  bytes: (number, size) => Buffer.alloc(size, `${number}`.padStart(6, "0"))
}

const tapes = new Map<string, Buffer>()

/** The first messages stand once more at the end, so that no window has to wrap. */
const tapeOf = ({ depth, message, size }: Task): Buffer => {
  const name = `${message} ${size} ${depth}`
  const made = tapes.get(name)
  if (made !== undefined) return made
  const count = Math.min(keys, Math.max(4, Math.floor(tapeBytes / size)))
  const tape = Buffer.concat(Array.from({ length: count + depth }, (_, i) => messages[message](i % count, size)))
  tapes.set(name, tape)
  return tape
}

export const open: Open = async (task, giveUp) => {
  const { depth, hold, size } = task
  const tape = tapeOf(task)
  const wraps = tape.length - depth * size

  const connect = (index: number) =>
    new Promise<{ readonly socket: Net.Socket; completed: number; readonly open: () => void }>((resolve, reject) => {
      const start = index * 61 * size
      let sent = 0
      let received = 0
      const at = (position: number) => (start + position) % wraps
      const send = (count: number) => {
        const from = at(sent)
        sent += count * size
        socket.write(tape.subarray(from, from + count * size))
      }
      const fail = (reason: string) => {
        socket.destroy()
        giveUp(`connection ${index}: ${reason}`)
        reject(new Error(reason))
      }
      const onBytes = (length: number, bytes: Uint8Array): boolean => {
        if (closing) return true
        if (received + length > sent) return (fail("more bytes than were asked for"), false)
        for (let seen = 0; seen < length;) {
          // A message may be larger than a chunk: compare as far as the tape goes before it wraps.
          const from = at(received + seen)
          const part = Math.min(length - seen, tape.length - from)
          if (tape.compare(bytes, seen, seen + part, from, from + part) !== 0) {
            return (fail(`${JSON.stringify(Buffer.from(bytes).toString("latin1", seen, seen + 40))} is wrong`), false)
          }
          seen += part
        }
        const before = Math.floor(received / size)
        received += length
        const count = Math.floor(received / size) - before
        client.completed += count
        if (count === 0) return true
        if (accepted !== undefined) accepted()
        else if (hold !== true) send(count)
        return true
      }
      const where = task.transport === "unix" ? { path: task.target } : { host: "127.0.0.1", port: Number(task.target) }
      const options = {
        ...where,
        noDelay: true,
        onread: { buffer: new Uint8Array(hold ? 256 : 65_536), callback: onBytes }
      }
      // The server's certificate is made anew by each: what is measured is the work, not the trust.
      const socket =
        task.transport === "tls" ? Tls.connect({ ...options, rejectUnauthorized: false }) : Net.connect(options)
      let accepted: (() => void) | undefined
      const client = { socket, completed: 0, open: () => send(depth) }
      socket.once(task.transport === "tls" ? "secureConnect" : "connect", () => {
        if (hold !== true && task.connections <= batch) return resolve(client)
        accepted = () => {
          accepted = undefined
          resolve(client)
        }
        send(1)
      })
      socket.on("error", (error) => !closing && fail(error.message))
      socket.once("end", () => !closing && fail("the server closed it"))
    })

  let closing = false
  const clients: Array<Awaited<ReturnType<typeof connect>>> = []
  // No more at once than a backlog holds. Who is connected may still wait in it: who is answered does not.
  for (let i = 0; i < task.connections; i += batch) {
    const some = Array.from({ length: Math.min(batch, task.connections - i) }, (_, j) => connect(i + j))
    clients.push(...(await Promise.all(some)))
  }
  if (hold !== true) for (const client of clients) client.open()
  return {
    ...counting(clients),
    close: () => {
      closing = true
      for (const { socket } of clients) socket.destroy()
    }
  }
}
