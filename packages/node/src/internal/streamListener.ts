import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Networks from "@socketserver/core/Networks"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as net from "node:net"
import type { Admission, AdmissionOptions } from "./admission.ts"
import type { Peers } from "../UnixServer.ts"
import { hold } from "./readStop.ts"
import { scarcityOf } from "./openFiles.ts"
import { unixPeer } from "./peers.ts"
import { SocketWire } from "./socketWire.ts"

/** Makes what is encrypted of a socket, once the peer may come in. */
export interface Secure {
  /** How long it may take. */
  readonly handshakeMillis: number
  readonly wire: (
    socket: net.Socket,
    peer: Peer.Peer,
    listener: Endpoint.Endpoint
  ) => Effect.Effect<Wire.Wire, Outcome.Refused>
}

/** What takes a listener's sockets: at once, where nothing comes before their first byte. */
export const accepting = (
  options: AdmissionOptions,
  secure?: Secure
): Effect.Effect<
  (sink: Transport.Sink, socket: net.Socket, peer: Peer.Peer, listener: Endpoint.Endpoint) => void,
  ServerError
> =>
  Effect.map(admissionOf(options), (admission) => {
    const plain: Secure["wire"] = (socket, peer, listener) => Effect.succeed(new SocketWire(socket, peer, listener))
    if (admission === undefined && secure === undefined) {
      return (sink, socket, peer, listener) => sink.accept(new SocketWire(socket, peer, listener), scarcityOf(socket))
    }
    return (sink, socket, peer, listener) => {
      // Without a listener an error would end the process; `close` follows it.
      socket.on("error", noop)
      const introduce = admission?.introduced(socket, peer)
      sink.open({
        peer,
        listener,
        introduce,
        headerMillis: introduce === undefined ? undefined : admission?.headerMillis,
        allow: admission?.allowed,
        scarcity: scarcityOf(socket),
        handshakeMillis: secure?.handshakeMillis,
        secure: (peer) => (secure?.wire ?? plain)(socket, peer, listener),
        hold: () => hold(socket),
        begun: () => socket.bytesRead > 0,
        // What came with a PROXY header is there for the handshake.
        taken: () => socket.bytesRead - socket.readableLength,
        destroy: () => void socket.destroy()
      })
    }
  })

/** Who asks nobody where they come from does not load what could tell. */
const admissionOf = (options: AdmissionOptions): Effect.Effect<Admission | undefined, ServerError> =>
  options.allow === undefined && (options.proxyProtocol ?? false) === false
    ? Effect.succeed(undefined)
    : Effect.flatMap(
        Effect.promise(() => import("./admission.ts")),
        ({ admission }) => admission(options)
      )

/** Whether peers may come in by a listener for datagrams; undefined where all may. */
export const allowing = (
  allow: ReadonlyArray<Networks.Input> | undefined
): Effect.Effect<((peer: Peer.Peer) => boolean) | undefined, ServerError> =>
  allow === undefined
    ? Effect.succeed(undefined)
    : Effect.flatMap(
        Effect.promise(() => import("./admission.ts")),
        ({ allowed }) => allowed(allow)
      )

/**
 * Finds out who connects to a Unix socket: nothing, unless that is asked for. Who may
 * not connect is closed, and is nobody.
 */
export const identifying = (
  peers: Peers | undefined
): Effect.Effect<
  (sink: Transport.Sink, socket: net.Socket, name: string, listener: Endpoint.Endpoint) => Peer.Peer | undefined,
  ServerError
> =>
  peers === undefined
    ? Effect.succeed((_sink, _socket, name) => unixPeer("unix", name))
    : Effect.flatMap(
        Effect.promise(() => import("./unixUsers.ts")),
        ({ identifying }) => identifying(peers)
      )

const noop = () => {}
