import { ConnectFailed } from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Wire from "@socketserver/core/Wire"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { connectKind } from "./errors.ts"
import { peerOf, unixPeer } from "./peers.ts"
import { SocketWire } from "./socketWire.ts"

/** A connected `node:net` socket as a wire, for as long as the scope is open. */
export const connect = (
  endpoint: Endpoint.Endpoint,
  options: net.SocketConnectOpts & { readonly noDelay?: boolean },
  timeout: Duration.Input
): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> => {
  const fails = (kind: ConnectFailed["kind"], cause: unknown) =>
    Effect.fail(new ConnectFailed({ endpoint: String(endpoint), kind, cause }))
  const open = Effect.callback<net.Socket, ConnectFailed>((resume) => {
    const socket = new net.Socket({ allowHalfOpen: true })
    const failed = (cause: unknown) => resume(fails(connectKind(cause), cause))
    socket.once("error", failed)
    if (options.noDelay !== undefined) socket.setNoDelay(options.noDelay)
    socket.connect(options, () => {
      socket.removeListener("error", failed)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(
    // `connect` throws for options it cannot accept, such as a port out of range.
    Effect.catchDefect((cause) => fails(connectKind(cause), cause)),
    Effect.timeoutOrElse({ duration: timeout, orElse: () => fails("TimedOut", new Error("no answer in time")) })
  )
  return Effect.map(
    Effect.acquireRelease(open, (socket) => Effect.sync(() => leave(socket)), { interruptible: true }),
    (socket) => {
      const peer = endpoint._tag === "Tcp" ? peerOf(socket, "tcp") : unixPeer("unix", String(endpoint))
      return new SocketWire(socket, peer, endpoint)
    }
  )
}

/** Sends what was written and closes; a peer that does not read is given a second. */
const leave = (socket: net.Socket): void => {
  socket.destroySoon()
  const timer = setTimeout(() => socket.destroy(), 1_000).unref()
  socket.once("close", () => clearTimeout(timer))
}
