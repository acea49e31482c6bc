import type * as net from "node:net"

/**
 * Resets a connection over TCP: the peer sees it, and the system lets go of what
 * it still had to send. `socket` is what is written to, `raw` what carries it.
 *
 * While a half-close is on its way the system's library refuses to (EINVAL), and
 * Node, which has given its handle up by then, neither closes it nor says
 * `close`, ever. It is on its way for a moment; for longer only where TLS has a
 * last word for a peer that does not read. Such a peer gets no reset.
 */
export const resetSocket = (socket: net.Socket, raw: net.Socket): void => {
  const halfCloses = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
  if (!halfCloses || socket.destroyed) return void raw.resetAndDestroy()
  const timer = setTimeout(() => socket.destroy(), 1_000).unref()
  socket.once("close", () => clearTimeout(timer))
  socket.once("finish", () => raw.resetAndDestroy())
}
