import type * as Connection from "@socketserver/core/Connection"
import type * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import { type Secured, SocketWire } from "./socketWire.ts"

type Secure = (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, Failure>

/** Puts TLS under a connection, by its server's handshake. */
export const upgrading = <In, Out>(
  connection: Connection.Connection<In, Out>,
  secure: Secure,
  last: Out | undefined
): Effect.Effect<void, Connection.UpgradeFailed> =>
  Transport.upgrade(connection, { last, problemOf, impossible, change: (wire) => (wire as SocketWire).upgrade(secure) })

/** Puts TLS over a wire, by its client's handshake. */
export const changing = (wire: Wire.Wire, secure: Secure, handshakeMillis: number): Effect.Effect<void, Failure> =>
  isPlain(wire)
    ? Effect.timeoutOrElse(wire.upgrade(secure), {
        duration: handshakeMillis,
        orElse: () => Effect.fail(new Error("no handshake in time"))
      })
    : Effect.fail({ reason: notPossible })

export type Failure = { readonly reason: string } | Error

/** What is wrong, in words. */
export const problemOf = (failure: Failure): string =>
  failure instanceof ServerError
    ? failure.message
    : failure instanceof Error
      ? `TLS: ${failure.message}`
      : failure.reason

/** Why a connection has no wire that TLS could be put under. */
export const impossible = (wire: Wire.Wire): string | undefined => (isPlain(wire) ? undefined : notPossible)

const isPlain = (wire: Wire.Wire): wire is SocketWire => wire instanceof SocketWire && !wire.isEncrypted

// A worker has the bytes of a connection, not its socket.
const notPossible =
  "only a connection over TCP or a Unix socket, outside a worker, that is not encrypted yet can be upgraded"
