/**
 * Sockets that the program was started with, by descriptor; `NodeServer` takes
 * them by URL or from systemd.
 *
 * Such a socket is a descriptor that is open already, as systemd's socket
 * activation, inetd's `wait` services and tests hand one down.
 *
 * What kind of socket it is (TCP, UDP, Unix) is found out. It is the manager's:
 * a path is not removed when the server stops.
 *
 * @since 0.1.0
 */
import { ConnectFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import type * as Server from "@socketserver/core/Server"
import { BindFailed, InvalidOption, ServerError } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as net from "node:net"
import { activated } from "./internal/activation.ts"
import * as descriptors from "./internal/descriptors.ts"
import * as netServer from "./internal/netServer.ts"
import * as netSocket from "./internal/netSocket.ts"
import { peerOf, reachable } from "./internal/peers.ts"
import { accepting, allowing, identifying } from "./internal/streamListener.ts"
import type { Securing } from "./internal/tlsListener.ts"
import * as udp from "./internal/udp.ts"
import { keepAliveOf } from "./internal/times.ts"
import { copy } from "./internal/prefork/copy.ts"
import { receiving } from "./internal/udpListener.ts"
import * as unixStream from "./internal/unixStream.ts"
import type { AdmissionOptions } from "./TcpServer.ts"
import type { TlsOptions } from "./TlsServer.ts"
import type { Peers } from "./UnixServer.ts"
import type { UnixDatagramSocketOptions } from "./UnixDatagramServer.ts"
import { bounded, connectionBytes } from "./internal/machine.ts"

/**
 * The options of a server on an inherited socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface FdServerOptions extends Transport.ServerOptions, FdListenOptions {}

/**
 * The options of a listener on an inherited socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface FdListenOptions extends Omit<AdmissionOptions, "proxyProtocol"> {
  /** The descriptor's number, 3 or more for what a manager hands down. */
  readonly fd: number
  /** Serves TLS on it, which takes a TCP socket. Default: what comes is in clear. */
  readonly tls?: TlsOptions | undefined
  /** As for a Unix listener, where it is a Unix stream socket; another one takes none. Default: nobody is asked. */
  readonly peers?: Peers | undefined
  /**
   * Whose connections begin with a PROXY header: networks, where it is a TCP socket, and `true` for everybody who
   * connects, where it is a Unix stream socket. Default: nobody's.
   */
  readonly proxyProtocol?: AdmissionOptions["proxyProtocol"] | boolean
  /** As for a TCP listener, where it is a TCP socket. Default: 60 seconds; `"off"` is off. */
  readonly keepAlive?: Settings.Time | undefined
  /** What holds if it is a Unix datagram socket. */
  readonly unixgram?: UnixDatagramSocketOptions | undefined
}

/**
 * A server on an inherited socket.
 *
 * **Details**
 *
 * A TCP or Unix socket must be listening. `server.address` is where it is bound:
 * `tcp://127.0.0.1:9000`.
 *
 * **Gotchas**
 *
 * The descriptor is closed when the server stops, so a server of the same
 * process cannot take it again.
 *
 * **Example** (Serving a socket of systemd)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { FdServer, NodeServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(FdServer.layer(Echo, { fd: 3 })),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: FdServerOptions
): Layer.Layer<Self, ServerError> =>
  Transport.layer(
    tag,
    bounded(options, options.tls === undefined ? connectionBytes.plain : connectionBytes.tls),
    listen(options)
  )

/**
 * A listener on an inherited socket, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: FdListenOptions): Transport.Listen =>
  (sink) =>
    Effect.gen(function* () {
      const { fd, tls, unixgram } = options
      if (copy !== undefined && !activated().some((handed) => handed.fd === fd)) return yield* Effect.fail(noCopys(fd))
      // Taking a descriptor that is Node's own, an epoll instance say, would end the process.
      if (!descriptors.isSocket(fd)) return yield* Effect.fail(noSocket(fd, new Error(`descriptor ${fd} is no socket`)))
      // libuv ends the process where a descriptor is watched twice.
      if (taken.has(fd)) return yield* Effect.fail(isTaken(fd))
      yield* Effect.acquireRelease(
        Effect.sync(() => taken.add(fd)),
        () => Effect.sync(() => taken.delete(fd))
      )
      const securing =
        tls === undefined
          ? undefined
          : yield* Effect.flatMap(
              Effect.promise(() => import("./internal/tlsListener.ts")),
              ({ securing }) => securing(tls)
            )
      const accept = yield* accepting(options, securing?.secure)
      const allows = yield* allowing(options.allow)
      const local = descriptors.unixOf(fd)
      if (tls !== undefined && local !== undefined) return yield* Effect.fail(noTls(fd))
      if (options.peers !== undefined && local?.datagrams !== false) return yield* Effect.fail(noUsers(fd))
      const { proxyProtocol = false } = options
      const isStream = local?.datagrams === false
      if (isStream && typeof proxyProtocol !== "boolean") return yield* Effect.fail(noNetworks(fd))
      if (proxyProtocol !== false && local?.datagrams === true) return yield* Effect.fail(noHeader(fd))
      if (local?.datagrams === true) {
        const { inherit } = yield* Effect.promise(() => import("./internal/unixgramServer.ts"))
        return yield* inherit(fd, unixgram)(allows === undefined ? sink : admitting(sink, allows))
      }
      const socket = yield* udp.adopt(fd)
      if (socket !== undefined) {
        if (tls !== undefined) return yield* Effect.fail(noTls(fd))
        if (proxyProtocol !== false) return yield* Effect.fail(noHeader(fd))
        const { address, port } = socket.address()
        return receiving(sink, socket, Endpoint.udp(address, port), allows, true)
      }
      if (!isStream && proxyProtocol === true) return yield* Effect.fail(noEverybody(fd))
      const keepAlive = yield* Effect.fromResult(keepAliveOf(options.keepAlive))
      const server = yield* Effect.acquireRelease(
        Effect.mapError(netServer.listen(String(Endpoint.fd(fd)), keepAlive, { fd }), (error) =>
          error.reason._tag === "BindFailed" && error.reason.kind === "InvalidOption"
            ? noSocket(fd, error.cause)
            : error
        ),
        (server) => Effect.sync(() => server.close())
      )
      const bound = server.address()
      const inet = typeof bound === "object" && bound !== null
      if (tls !== undefined && !inet) return yield* Effect.fail(noTls(fd))
      const address = inet
        ? (tls === undefined ? Endpoint.tcp : Endpoint.tls)(bound.address, bound.port)
        : local?.name === undefined
          ? Endpoint.fd(fd)
          : Endpoint.unix(local.name)
      const identify = yield* identifying(options.peers)
      let peers = 0
      server.on("connection", (socket: net.Socket) => {
        const peer = inet
          ? peerOf(socket, tls === undefined ? "tcp" : "tls")
          : identify(sink, socket, `${address}#${++peers}`, address)
        if (peer === undefined) return
        if (inet) socket.setNoDelay(true)
        accept(sink, socket, peer, address)
      })
      server.on("error", netServer.sort(sink))
      return { address, close: () => void server.close(), queues: true, connect: connect(address, securing) }
    })

/** A sink that gets the datagrams of those only that are allowed. */
const admitting = (sink: Transport.Sink, allows: (peer: Peer.Peer) => boolean): Transport.Sink => ({
  ...sink,
  receive: (datagram) =>
    allows(datagram.peer)
      ? sink.receive(datagram)
      : sink.refuse(datagram.peer, datagram.listener, Outcome.refused("allow", "Allow"), "datagram")
})

const noSocket = (fd: number, cause: unknown): ServerError =>
  new ServerError({ reason: new BindFailed({ endpoint: String(Endpoint.fd(fd)), kind: "InvalidDescriptor", cause }) })

/** Those that servers of this program have. */
const taken = new Set<number>()

const isTaken = (fd: number): ServerError =>
  new ServerError({
    reason: new BindFailed({
      endpoint: String(Endpoint.fd(fd)),
      kind: "AddressInUse",
      cause: new Error(`descriptor ${fd} is taken`),
      problem: `another server of this program has descriptor ${fd}; hand over one for each (with a prefix, each server has its own variables)`
    })
  })

/** A copy of a program that was not handed a socket: under its number there is another descriptor, or none. */
const noCopys = (fd: number): ServerError =>
  new ServerError({
    reason: new BindFailed({
      endpoint: String(Endpoint.fd(fd)),
      kind: "InvalidDescriptor",
      cause: new Error(`descriptor ${fd} is none of LISTEN_FDS`),
      problem: `copies (PREFORK) are handed only the sockets that LISTEN_FDS counts, and descriptor ${fd} is none of them; hand it over by socket activation, or leave PREFORK out`
    })
  })

const noUsers = (fd: number): ServerError =>
  new ServerError({
    reason: new InvalidOption({
      option: "peers",
      problem: `users are known of Unix stream sockets alone, and descriptor ${fd} is another`
    })
  })

const wrongHeader = (problem: string): ServerError =>
  new ServerError({ reason: new InvalidOption({ option: "proxyProtocol", problem }) })

const noNetworks = (fd: number): ServerError =>
  wrongHeader(
    `descriptor ${fd} is a Unix socket, whose peers have no addresses; true believes everybody who may connect`
  )

const noEverybody = (fd: number): ServerError =>
  wrongHeader(`descriptor ${fd} is a TCP socket, and everybody could say who he is; name the networks of the balancers`)

const noHeader = (fd: number): ServerError =>
  wrongHeader(`descriptor ${fd} is a socket of datagrams, which have no header; leave it out`)

const noTls = (fd: number): ServerError =>
  new ServerError({
    reason: new InvalidOption({
      option: "tls",
      problem: `TLS is served on TCP sockets, and descriptor ${fd} is another; leave out cert and key`
    })
  })

const connect = (
  address: Endpoint.Endpoint,
  securing: Pick<Securing, "connect"> | undefined
): Transport.Listening["connect"] => {
  switch (address._tag) {
    case "Tls":
      return securing!.connect(address.host, address.port)
    case "Tcp":
      return netSocket.connectInet(Endpoint.tcp(reachable(address.host), address.port))
    case "Unix":
      return unixStream.connect(address)
    default:
      return Effect.fail(
        new ConnectFailed({
          endpoint: String(address),
          kind: "Other",
          cause: new Error("the address of its socket is not known on this platform")
        })
      )
  }
}
