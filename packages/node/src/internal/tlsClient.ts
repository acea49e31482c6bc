import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TcpClientOptions, TlsTrustOptions, UpgradeOptions } from "../NodeClient.ts"
import * as netSocket from "./netSocket.ts"
import { connecting } from "./tlsConnect.ts"
import { upgrading } from "./tlsUpgrade.ts"

/** A connection that is encrypted from its first byte. */
export const connect = (
  endpoint: Endpoint.Tls,
  options: TcpClientOptions & TlsTrustOptions
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(connecting(endpoint.host, options), (secure) => netSocket.connectInet(endpoint, options, secure))

/** Puts TLS under a connection that began in clear. */
export const upgrade = <In, Out>(
  connection: Connection.Connection<In, Out>,
  options: UpgradeOptions
): Effect.Effect<void, Connection.UpgradeFailed | ServerError> =>
  Effect.flatMap(connecting(undefined, options), (secure) =>
    upgrading(connection, secure, { handshakeTimeout: options.handshakeTimeout ?? "10 seconds", last: undefined })
  )
