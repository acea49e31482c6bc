/**
 * TCP, for programs that say so in code; `NodeServer` chooses it by URL.
 *
 * @since 0.1.0
 */
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Networks from "@socketserver/core/Networks"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import type * as Layer from "effect/Layer"
import { listenInet } from "./internal/inetListener.ts"
import { bounded } from "./internal/machine.ts"
import * as netSocket from "./internal/netSocket.ts"
import { reachable } from "./internal/peers.ts"

/**
 * The options of a TCP server.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpServerOptions extends Transport.ServerOptions, TcpListenOptions {}

/**
 * The options of a TCP listener.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpListenOptions extends AdmissionOptions {
  /**
   * A name or an IP address. Default: `"127.0.0.1"`, this machine only.
   * `"0.0.0.0"` is all of IPv4, `"::"` all of both families.
   */
  readonly host?: string | undefined
  /** Default: 0, any free port; `server.address` has the one that was bound. */
  readonly port?: number | undefined
  /**
   * Connections that the kernel keeps until they are accepted. Default: 511; the
   * kernel may cap it (`net.core.somaxconn`).
   */
  readonly backlog?: number | undefined
  /** Sends small writes at once instead of collecting them (TCP_NODELAY). Default: `true`. */
  readonly noDelay?: boolean | undefined
  /** Probes a peer that has been silent for this time, from 1 second to 9 hours, so that one which has vanished is noticed: where it does not answer, the system ends the connection (after ten probes, a second apart). Default: 60 seconds; `"off"` is off. */
  readonly keepAlive?: Settings.Time | undefined
  /**
   * Lets several processes bind the same port, with connections spread among them
   * (SO_REUSEPORT), where the platform has it. Default: `false`.
   */
  readonly reusePort?: boolean | undefined
  /** With host `"::"`, leaves IPv4 out. Default: `false`. */
  readonly ipv6Only?: boolean | undefined
}

/**
 * Who may come in by a listener whose peers have IP addresses, and who they are.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdmissionOptions {
  /**
   * The networks that peers may come from: `["10.0.0.0/8", "::1"]`. Others are
   * closed before anything is read and count as `Refused`. Default: all.
   */
  readonly allow?: ReadonlyArray<Networks.Input> | undefined
  /**
   * The networks of balancers that introduce each connection with a PROXY
   * header (version 1 or 2), so that `Peer` is who connected to them. From
   * these a connection without a header is refused; from others no header is
   * read. Default: none.
   */
  readonly proxyProtocol?: ReadonlyArray<Networks.Input> | undefined
  /** How long a balancer may take for its header. Default: 5 seconds; then the connection is refused. */
  readonly proxyTimeout?: Settings.Time | undefined
}

/**
 * A TCP server.
 *
 * **Gotchas**
 *
 * The default host is loopback, so that a program is not on the network before
 * it says so.
 *
 * **Example** (Serving lines over TCP)
 *
 * ```ts no-run
 * import { NodeRuntime } from "@effect/platform-node"
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { TcpServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(TcpServer.layer(Echo, { port: 9000 })),
 *   Layer.launch,
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: TcpServerOptions = {}
): Layer.Layer<Self, ServerError> => Transport.layer(tag, bounded(options), listen(options))

/**
 * A TCP listener, for `Transport.layer`: one of several of a server.
 *
 * **Example** (Listening on two ports)
 *
 * ```ts
 * import { Protocol, Server } from "@socketserver/core"
 * import * as Transport from "@socketserver/core/Transport"
 * import { TcpServer } from "@socketserver/node"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoTransport = Transport.layer(Echo, { maxConnections: 100 }, [
 *   TcpServer.listen({ port: 9000 }),
 *   TcpServer.listen({ host: "::1", port: 9000 })
 * ])
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: TcpListenOptions = {}): Transport.Listen =>
  (sink) =>
    listenInet(options, sink, {
      endpoint: Endpoint.tcp,
      connect: (host, port) => netSocket.connectInet(Endpoint.tcp(reachable(host), port))
    })
