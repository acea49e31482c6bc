import type * as Connection from "@socketserver/core/Connection"
import type * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import { type Secured, SocketWire } from "./socketWire.ts"

/** Puts TLS under a connection, by either side's handshake. */
export const upgrading = <In, Out>(
  connection: Connection.Connection<In, Out>,
  secure: (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, Failure>,
  options: { readonly handshakeTimeout: Duration.Input | undefined; readonly last: Out | undefined }
): Effect.Effect<void, Connection.UpgradeFailed> => {
  const { handshakeTimeout, last } = options
  return Transport.upgrade(connection, {
    last,
    problemOf: (failure: Failure) => ("reason" in failure ? failure.reason : `TLS: ${failure.message}`),
    change: (wire) => {
      if (!(wire instanceof SocketWire) || wire.isEncrypted) return Effect.fail(notPossible)
      const change = wire.upgrade(secure)
      return handshakeTimeout === undefined
        ? change
        : Effect.timeoutOrElse(change, { duration: handshakeTimeout, orElse: () => Effect.fail(late) })
    }
  })
}

type Failure = { readonly reason: string } | Error

const notPossible = new Error("only a connection over TCP or a Unix socket that is not encrypted yet can be upgraded")
const late = new Error("no handshake in time")
