import type * as net from "node:net"
import type { MessagePort } from "node:worker_threads"

/** Bytes both ways between a parent and a worker. */
export interface Link {
  readonly start: (receiver: { readonly onBytes: (chunk: Uint8Array) => void; readonly onEnd: () => void }) => void
  readonly send: (parts: Array<Uint8Array>, bytes: number) => void
  /** Calls back when all that was sent is the system's to deliver; at once, if it is already. */
  readonly whenSent: (sent: () => void) => void
  readonly close: () => void
}

/**
 * Over a pipe beside stdin, stdout and stderr. Node's own channel between
 * processes costs twice the CPU (`pnpm bench --channels`).
 */
export const pipeLink = (socket: net.Socket): Link => ({
  start: ({ onBytes, onEnd }) => {
    socket.on("data", onBytes)
    socket.on("close", onEnd)
    // A worker that is gone does not read any more; `close` follows.
    socket.on("error", () => {})
  },
  send: (parts, bytes) => {
    if (bytes <= 65_536) {
      socket.write(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, bytes))
      return
    }
    socket.cork()
    for (const part of parts) socket.write(part)
    socket.uncork()
  },
  whenSent: (sent) => {
    if (socket.writableLength === 0) sent()
    else socket.write("", sent)
  },
  close: () => socket.destroy()
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
