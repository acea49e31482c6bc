/**
 * Connections to a TCP server.
 *
 * **When to use**
 *
 * `NodeClient.connect` for a typed client by URL. This module is the wire below.
 *
 * @since 0.1.0
 */
import type { ConnectFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Wire from "@socketserver/core/Wire"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { connect } from "./internal/netSocket.ts"

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
export const wire = (options: TcpClientOptions): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> => {
  const { connectTimeout = "10 seconds", host, noDelay = true, port } = options
  return connect(Endpoint.tcp(host, port), { host, port, noDelay }, connectTimeout)
}
