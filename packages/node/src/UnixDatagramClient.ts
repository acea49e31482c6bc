/**
 * Clients of a Unix datagram socket.
 *
 * **When to use**
 *
 * `NodeClient.connect` for a typed client by URL. This module is the wire below.
 *
 * @since 0.1.0
 */
import type { ConnectFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as unixgram from "./internal/unixgram.ts"
import { connect } from "./internal/unixgramClient.ts"
import { resolve } from "./internal/unixgramServer.ts"

/**
 * The options of a client of a Unix datagram socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixDatagramClientOptions {
  /** The server's path, or `@name` for an abstract socket. */
  readonly path: string
  /** The client's own path or abstract `@name`, where the server sends its answers. Default: an abstract name that the kernel chooses. A server in another network namespace (a container) does not see abstract names: give it a path. */
  readonly bind?: string | undefined
  /** The mode of the client's own path; the server needs write permission to answer. Default: `0o600`, the owner only. */
  readonly mode?: number | undefined
  /** How long a message waits while the server's queue is full. Default: 10 seconds; then the connection ends with reason `Reset`. */
  readonly sendTimeout?: Duration.Input | undefined
  /** The largest answer, in bytes. Default: 64 KiB. One that is longer ends the connection with reason `Reset`. */
  readonly maxDatagramBytes?: number | undefined
}

/**
 * A socket that sends to one server, and receives from nobody else.
 *
 * **Details**
 *
 * It fails if nobody has the server's path open. A message waits, in order,
 * while the server's queue is full; one that is sent to a server that has left
 * ends the connection with reason `Reset`. What nobody reads stays in the
 * kernel, and holds the server's answers back.
 *
 * **Gotchas**
 *
 * Linux only, and with the package `koffi`; elsewhere it fails with
 * `UnsupportedEndpoint`, which says what to do.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (
  options: UnixDatagramClientOptions
): Effect.Effect<Wire.Wire, ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(Effect.andThen(resolve(options), unixgram.load(Endpoint.unixgram(options.path))), (system) =>
    connect(system, options)
  )
