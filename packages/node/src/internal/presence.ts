import type * as net from "node:net"

/**
 * Whether the peer of a socket is still there, told without reading.
 *
 * No event says it while a socket is paused or has half-closed, and Node may
 * forget it: where TLS writes of its own accord (the tickets after a handshake
 * of 1.3, the answer to a new key) and the peer has reset, that write uses up
 * the system's error, nobody is told, and the reset is read as a regular end.
 * What is written from then on waits for ever, and so do `end` and `finish`.
 */

/** The part of Node's handles that is not documented. */
type Handle =
  | {
      readonly writeQueueSize?: number
      readonly bytesWritten?: number
      readonly getpeername?: (out: object) => number
    }
  | null
  | undefined

const handleOf = (socket: net.Socket): Handle => (socket as { readonly _handle?: Handle })._handle

/** What the system has not taken of what was written, of TLS what is encrypted, until all of it has left. */
export const queueOf = (socket: net.Socket): number | undefined => handleOf(socket)?.writeQueueSize

/** What the system has taken, of TLS what is encrypted; what Node holds back makes it no larger. */
export const takenOf = (raw: net.Socket): number | undefined => {
  const handle = handleOf(raw)
  return handle?.bytesWritten === undefined ? undefined : handle.bytesWritten - (handle.writeQueueSize ?? 0)
}

/**
 * Whether a connection over TCP is there no more; undefined where that cannot be
 * told: over a Unix socket, or in a Node that has no such method. The system
 * knows the peer's address for as long as the connection lives, and forgets it
 * with a reset (ENOTCONN). To ask takes less than a microsecond.
 */
export const isGone = (raw: net.Socket): boolean | undefined => {
  const result = handleOf(raw)?.getpeername?.({})
  return result === undefined ? undefined : result !== 0
}

/**
 * Whether TLS waits for a write that the socket below does not know (any more).
 * For a moment that is so after each write; where it stays so, nothing will be
 * written again.
 */
export const isStuck = (socket: net.Socket, raw: net.Socket): boolean =>
  (queueOf(socket) ?? 0) > 0 && queueOf(raw) === 0

/** What is said of a peer that was found gone. */
export const reset = (): Error => Object.assign(new Error("the peer has reset the connection"), { code: "ECONNRESET" })
