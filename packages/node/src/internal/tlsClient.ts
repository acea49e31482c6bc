import type * as Connection from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TlsTrustOptions, UpgradeOptions } from "../NodeClient.ts"
import * as netSocket from "./netSocket.ts"
import { connecting } from "./tlsConnect.ts"
import { changing, type Failure, problemOf } from "./tlsUpgrade.ts"

/** A connection that is encrypted from its first byte. */
export const connect = (
  endpoint: Endpoint.Tls,
  options: netSocket.ConnectOptions & TlsTrustOptions
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(connecting(endpoint.host, options), (secure) => netSocket.connectInet(endpoint, options, secure))

/** Puts TLS over the wire of a connection that began in clear. */
export const upgrade = (
  wire: Wire.Wire,
  options: UpgradeOptions,
  handshakeMillis: number
): Effect.Effect<void, { readonly problem: string; readonly failure: Failure }> =>
  Effect.mapError(
    Effect.flatMap(connecting(undefined, options), (secure) => changing(wire, secure, handshakeMillis)),
    (failure) => ({ problem: problemOf(failure), failure })
  )
