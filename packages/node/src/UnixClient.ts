/**
 * Connections to a Unix socket.
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
import { native } from "./internal/unixPath.ts"

/**
 * The options of a connection to a Unix socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixClientOptions {
  /** A path, or `@name` for an abstract socket (Linux only). */
  readonly path: string
  /** How long connecting may take. Default: 10 seconds; then `ConnectFailed` with kind `TimedOut`. */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * Connects. When the scope closes, what was written is sent and the socket is destroyed, within a second.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (options: UnixClientOptions): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> =>
  connect(Endpoint.unix(options.path), { path: native(options.path) }, options.connectTimeout ?? "10 seconds")
