import type * as Connection from "@socketserver/core/Connection"
import type * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import { type Secured, SocketWire } from "./socketWire.ts"

/** Puts TLS under a connection, by either side's handshake. */
export const upgrading = <In, Out>(
  connection: Connection.Connection<In, Out>,
  secure: (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, Failure>,
  options: { readonly handshakeMillis: number | undefined; readonly last: Out | undefined }
): Effect.Effect<void, Connection.UpgradeFailed> => {
  const { handshakeMillis, last } = options
  return Transport.upgrade(connection, {
    last,
    problemOf: (failure: Failure) => ("reason" in failure ? failure.reason : `TLS: ${failure.message}`),
    impossible,
    change: (wire) => {
      const change = (wire as SocketWire).upgrade(secure)
      return handshakeMillis === undefined
        ? change
        : Effect.timeoutOrElse(change, { duration: handshakeMillis, orElse: () => Effect.fail(late) })
    }
  })
}

/** Why a connection has no wire that TLS could be put under. */
export const impossible = (wire: Wire.Wire): string | undefined => (isPlain(wire) ? undefined : notPossible)

type Failure = { readonly reason: string } | Error

const isPlain = (wire: Wire.Wire): boolean => wire instanceof SocketWire && !wire.isEncrypted

// A worker has the bytes of a connection, not its socket.
const notPossible =
  "only a connection over TCP or a Unix socket, outside a worker, that is not encrypted yet can be upgraded"
const late = new Error("no handshake in time")
