/** The links of Node: pipes to a process, a port to a thread. */
import type * as net from "node:net"
import type { MessagePort } from "node:worker_threads"
import type { Link } from "./link.ts"

/**
 * Over two pipes beside stdin, stdout and stderr. Node's own channel between
 * processes costs twice the CPU (`pnpm bench --channels`). With one pipe for
 * both ways, a write to a worker that has just ended would fail, and Node would
 * throw away what it had sent before and nobody had read yet.
 */
export const pipeLink = (input: net.Socket, output: net.Socket): Link => ({
  start: ({ onBytes, onEnd }) => {
    input.on("data", onBytes)
    input.on("close", onEnd)
    input.on("error", () => {})
    // A worker that is gone does not read any more. What it has sent is still to come.
    output.on("error", () => {})
  },
  send: (parts, bytes) => {
    if (bytes <= 65_536) {
      output.write(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, bytes))
      return
    }
    output.cork()
    for (const part of parts) output.write(part)
    output.uncork()
  },
  whenSent: (sent) => {
    if (output.writableLength === 0) sent()
    else output.write("", sent)
  },
  close: () => {
    input.destroy()
    output.destroy()
  }
})

/** Over a port between threads: each batch is one buffer, which is handed over and not copied. */
export const portLink = (port: MessagePort): Link => ({
  start: ({ onBytes, onEnd }) => {
    port.on("message", onBytes)
    port.on("close", onEnd)
  },
  send: (parts, bytes) => {
    const joined = new Uint8Array(bytes)
    let at = 0
    for (const part of parts) {
      joined.set(part, at)
      at += part.length
    }
    port.postMessage(joined, [joined.buffer])
  },
  whenSent: (sent) => sent(),
  close: () => port.close()
})
