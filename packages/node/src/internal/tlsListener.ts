import * as Endpoint from "@socketserver/core/Endpoint"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type { TlsOptions } from "../TlsServer.ts"
import { make } from "./credentials.ts"
import { connect, connectMillis } from "./netSocket.ts"
import { reachable } from "./peers.ts"
import { SocketWire } from "./socketWire.ts"
import type { Secure } from "./streamListener.ts"
import { pinned } from "./tlsConnect.ts"

/** What makes a listener for connections one for TLS. */
export interface Securing {
  readonly secure: Secure
  /** Connects to it, for clients in the same program. */
  readonly connect: (host: string, port: number) => Transport.Listening["connect"]
}

/** Reads the certificates, or says what is wrong with them. */
export const securing = (options: TlsOptions): Effect.Effect<Securing, ServerError> =>
  Effect.map(make(options), (own) => ({
    secure: {
      handshakeMillis: own.handshakeMillis,
      wire: (socket, peer, listener) =>
        Effect.map(
          own.secure(socket, peer),
          (secured) => new SocketWire(secured.socket, secured.peer, listener, socket)
        )
    },
    connect: (host, port) =>
      Effect.andThen(
        // What a client sees next is what it trusts.
        own.refresh,
        Effect.suspend(() => {
          const address = Endpoint.tls(host, port)
          const options = { host: reachable(host), port, noDelay: true }
          return connect(address, options, connectMillis, pinned(own.certificates, own.alpn))
        })
      )
  }))
