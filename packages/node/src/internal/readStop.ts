import type * as net from "node:net"

/**
 * Stops reading a socket, whoever listens to it, also TLS; returns what reads on. Node
 * reads ahead of whoever listens, and its own `pause` lets it.
 */
export const hold = (socket: net.Socket): (() => void) => {
  const handle = (socket as never as { readonly _handle?: Handle | null })._handle
  handle?.readStop?.()
  return () => {
    if (!socket.destroyed) handle?.readStart?.()
  }
}

/** The part of Node's handles that is not documented. */
interface Handle {
  readonly readStart?: () => void
  readonly readStop?: () => void
}
