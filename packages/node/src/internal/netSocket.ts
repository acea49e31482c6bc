import type { ConnectFailed } from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import type { TcpClientOptions } from "../NodeClient.ts"
import { connectFailed, connectKind } from "./errors.ts"
import { peerOf, unixPeer } from "./peers.ts"
import { type Secured, SocketWire } from "./socketWire.ts"

/** The options of a client, its time in milliseconds. */
export interface ConnectOptions extends Omit<TcpClientOptions, "connectTimeout"> {
  readonly connectTimeout?: number | undefined
}

/** How long connecting may take, where nobody says so. */
export const connectMillis = 10_000

type Securing = (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, unknown>

/** A connection to a host and a port, which `secure` encrypts. */
export const connectInet = (
  endpoint: Endpoint.Tcp | Endpoint.Tls,
  options: ConnectOptions = {},
  secure?: Securing
): Effect.Effect<SocketWire, ConnectFailed, Scope.Scope> => {
  const { connectTimeout = connectMillis, noDelay = true } = options
  return connect(endpoint, { host: endpoint.host, port: endpoint.port, noDelay }, connectTimeout, secure)
}

/**
 * A connected `node:net` socket as a wire, for as long as the scope is open.
 * `secure` puts TLS over it, within the same time.
 */
export const connect = (
  endpoint: Endpoint.Endpoint,
  options: net.SocketConnectOpts & { readonly noDelay?: boolean },
  timeoutMillis: number,
  secure?: Securing
): Effect.Effect<SocketWire, ConnectFailed, Scope.Scope> => {
  const fails = (kind: ConnectFailed["kind"], cause: unknown) =>
    Effect.fail(connectFailed(String(endpoint), kind, cause))
  const open = Effect.suspend(() => {
    const socket = new net.Socket({ allowHalfOpen: true })
    const connected = Effect.callback<void, ConnectFailed>((resume) => {
      const failed = (cause: unknown) => resume(fails(connectKind(cause), cause))
      socket.once("error", failed)
      if (options.noDelay !== undefined) socket.setNoDelay(options.noDelay)
      socket.connect(options, () => {
        socket.removeListener("error", failed)
        resume(Effect.void)
      })
    })
    const wire = Effect.suspend(() => {
      const peer =
        endpoint._tag === "Tcp" || endpoint._tag === "Tls"
          ? peerOf(socket, endpoint._tag === "Tls" ? "tls" : "tcp")
          : unixPeer("unix", String(endpoint))
      return secure === undefined
        ? Effect.succeed(new SocketWire(socket, peer, endpoint))
        : secure(socket, peer).pipe(
            Effect.map((secured) => new SocketWire(secured.socket, secured.peer, endpoint, socket)),
            Effect.catch((cause) => fails("Handshake", cause))
          )
    })
    return Effect.onError(Effect.andThen(connected, wire), () => Effect.sync(() => socket.destroy()))
  }).pipe(
    // `connect` throws for options it cannot accept, such as a port out of range.
    Effect.catchDefect((cause) => fails(connectKind(cause), cause)),
    Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => fails("TimedOut", new Error("no answer in time")) })
  )
  return Effect.acquireRelease(open, (wire) => Effect.sync(() => wire.leave()), { interruptible: true })
}
