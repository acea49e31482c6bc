/**
 * Connections to a TCP server.
 *
 * **When to use**
 *
 * `NodeClient.connect` for a typed client by URL. This module is the wire below.
 *
 * @since 0.1.0
 */
import { ConnectFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Wire from "@socketserver/core/Wire"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { connectKind } from "./internal/errors.ts"
import { socketWire } from "./internal/socketWire.ts"

/**
 * The options of a TCP connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpClientOptions {
  readonly host: string
  readonly port: number
  /** Sends small writes at once (TCP_NODELAY). Default: `true`. */
  readonly noDelay?: boolean | undefined
  /** How long connecting may take. Default: 10 seconds; then `ConnectFailed` with kind `TimedOut`. */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * Connects. When the scope closes, what was written is sent and the socket is destroyed, within a second.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (options: TcpClientOptions): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(connect(options), (socket) => Effect.sync(() => leave(socket)), { interruptible: true }),
    (socket) => socketWire(socket, "tcp")
  )

/** Sends what was written and closes; a peer that does not read is given a second. */
const leave = (socket: net.Socket): void => {
  socket.destroySoon()
  const timer = setTimeout(() => socket.destroy(), 1_000).unref()
  socket.once("close", () => clearTimeout(timer))
}

const connect = (options: TcpClientOptions): Effect.Effect<net.Socket, ConnectFailed> => {
  const { host, noDelay = true, port } = options
  const endpoint = String(Endpoint.tcp(host, port))
  const fails = (kind: ConnectFailed["kind"], cause: unknown) =>
    Effect.fail(new ConnectFailed({ endpoint, kind, cause }))
  return Effect.callback<net.Socket, ConnectFailed>((resume) => {
    const socket = new net.Socket({ allowHalfOpen: true })
    const failed = (cause: unknown) => resume(fails(connectKind(cause), cause))
    socket.once("error", failed)
    socket.setNoDelay(noDelay).connect({ host, port }, () => {
      socket.removeListener("error", failed)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(
    // `connect` throws for options it cannot accept, such as a port out of range.
    Effect.catchDefect((cause) => fails(connectKind(cause), cause)),
    Effect.timeoutOrElse({
      duration: options.connectTimeout ?? "10 seconds",
      orElse: () => fails("TimedOut", new Error("no answer in time"))
    })
  )
}
