import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TlsTrustOptions, UpgradeOptions } from "../NodeClient.ts"
import * as netSocket from "./netSocket.ts"
import { time } from "./times.ts"
import { connecting } from "./tlsConnect.ts"
import { upgrading } from "./tlsUpgrade.ts"

/** A connection that is encrypted from its first byte. */
export const connect = (
  endpoint: Endpoint.Tls,
  options: netSocket.ConnectOptions & TlsTrustOptions
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(connecting(endpoint.host, options), (secure) => netSocket.connectInet(endpoint, options, secure))

/** Puts TLS under a connection that began in clear. */
export const upgrade = <In, Out>(
  connection: Connection.Connection<In, Out>,
  options: UpgradeOptions
): Effect.Effect<void, Connection.UpgradeFailed | ServerError> =>
  Effect.gen(function* () {
    const handshakeMillis = yield* Effect.fromResult(
      time("handshakeTimeout", options.handshakeTimeout ?? "10 seconds", { forever: true })
    )
    const secure = yield* connecting(undefined, options)
    yield* upgrading(connection, secure, { handshakeMillis, last: undefined })
  })
