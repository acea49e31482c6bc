/**
 * Connections to a TLS server, which is always verified.
 *
 * **When to use**
 *
 * `NodeClient.connect` for a typed client by URL. This module is the wire below,
 * and the client's side of STARTTLS.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { connect } from "./internal/netSocket.ts"
import { connecting } from "./internal/tlsConnect.ts"
import { upgrading } from "./internal/tlsUpgrade.ts"
import type * as TlsServer from "./TlsServer.ts"

/**
 * Whom a client trusts, and what it shows.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsClientTrust {
  /** Who may have signed the server's certificate: PEM files, or what is in them. A self-signed certificate is its own. Default: the authorities that Node knows. */
  readonly ca?: TlsServer.Pem | ReadonlyArray<TlsServer.Pem> | undefined
  /** The client's certificate, for a server that asks for one, and after it those that lead to its authority. Default: none. */
  readonly cert?: TlsServer.Pem | undefined
  readonly key?: TlsServer.Pem | undefined
  /** Opens an encrypted key. */
  readonly passphrase?: string | undefined
  /** Whom the server's certificate must be for, and the name that is asked for (SNI). Default: the host that is connected to. */
  readonly serverName?: string | undefined
  /** The protocols that are offered, the best one first (ALPN). Default: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** The oldest version that is accepted. Default: `"TLSv1.2"`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
}

/**
 * The options of a TLS connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsClientOptions extends TlsClientTrust {
  readonly host: string
  readonly port: number
  /** Sends small writes at once (TCP_NODELAY). Default: `true`. */
  readonly noDelay?: boolean | undefined
  /** How long connecting may take, the handshake included. Default: 10 seconds; then `ConnectFailed` with kind `TimedOut`. */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * Connects. When the scope closes, what was written is sent and the socket is destroyed, within a second.
 *
 * **Gotchas**
 *
 * There is no way to switch the verification off. For a self-signed certificate
 * give it as `ca`.
 *
 * With TLS 1.3 a server looks at a client's certificate when the client is
 * connected already: one that it refuses ends as a `ConnectionError`.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (
  options: TlsClientOptions
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> => {
  const { connectTimeout = "10 seconds", host, noDelay = true, port } = options
  return Effect.flatMap(connecting(host, options), (secure) =>
    connect(Endpoint.tls(host, port), { host, port, noDelay }, connectTimeout, secure)
  )
}

/**
 * The options of {@link upgrade}.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeOptions extends TlsClientTrust {
  /** Whom the server's certificate must be for. */
  readonly serverName: string
  /** How long the handshake may take. Default: 10 seconds. */
  readonly handshakeTimeout?: Duration.Input | undefined
}

/**
 * Goes on encrypted on a connection that began in clear, as STARTTLS has it,
 * from the client's side. See `TlsServer.upgrade` for the other.
 *
 * **When to use**
 *
 * When the server has said that it is ready. Afterwards `stream`, `write` and
 * `peer` of the same connection are the encrypted ones.
 *
 * **Gotchas**
 *
 * What the server has sent in clear after its consent is an error. After any
 * error the connection is broken off: nothing goes on in clear.
 *
 * **Example** (Asking a mail server for encryption)
 *
 * ```ts no-run
 * import { Client, Protocol } from "@socketserver/core"
 * import { TcpClient, TlsClient } from "@socketserver/node"
 * import { Effect } from "effect"
 *
 * const greet = Effect.gen(function*() {
 *   const wire = yield* TcpClient.wire({ host: "mail.example.org", port: 587 })
 *   const client = yield* Client.make(wire, Protocol.lines({ terminator: "\r\n" }))
 *   yield* client.take
 *   yield* client.send("STARTTLS")
 *   yield* TlsClient.upgrade(client, { serverName: "mail.example.org" })
 *   return yield* client.send("EHLO example.org")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const upgrade = <In, Out>(
  connection: Connection.Connection<In, Out>,
  options: UpgradeOptions
): Effect.Effect<void, Connection.UpgradeFailed | ServerError> =>
  Effect.flatMap(connecting(undefined, options), (secure) =>
    upgrading(connection, secure, { handshakeTimeout: options.handshakeTimeout ?? "10 seconds", last: undefined })
  )
