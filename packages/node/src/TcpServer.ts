/**
 * TCP on `node:net`.
 *
 * @since 0.1.0
 */
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Server from "@socketserver/core/Server"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as net from "node:net"
import * as netServer from "./internal/netServer.ts"
import { peerOf, reachable } from "./internal/peers.ts"
import { accepting, type InetAdmissionOptions } from "./internal/streamListener.ts"
import * as TcpClient from "./TcpClient.ts"

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
export interface TcpListenOptions extends InetAdmissionOptions {
  /** A name or an IP address. Default: `"127.0.0.1"`, this machine only. `"0.0.0.0"` is all of IPv4, `"::"` all of both families. */
  readonly host?: string | undefined
  /** Default: 0, any free port; `server.address` has the one that was bound. */
  readonly port?: number | undefined
  /** Connections that the kernel keeps until they are accepted. Default: 511; the kernel may cap it (`net.core.somaxconn`). */
  readonly backlog?: number | undefined
  /** Sends small writes at once instead of collecting them (TCP_NODELAY). Default: `true`. */
  readonly noDelay?: boolean | undefined
  /** Probes a silent peer after this time. Default: off. */
  readonly keepAlive?: Duration.Input | undefined
  /** Lets several processes bind the same port, with connections spread among them (SO_REUSEPORT), where the platform has it. Default: `false`. */
  readonly reusePort?: boolean | undefined
  /** With host `"::"`, leaves IPv4 out. Default: `false`. */
  readonly ipv6Only?: boolean | undefined
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
): Layer.Layer<Self, ServerError> => Transport.layer(tag, options, listen(options))

/**
 * A TCP listener, for `Transport.layer`: one of several of a server.
 *
 * **Example** (Listening on two ports)
 *
 * ```ts
 * import { Protocol, Server, Transport } from "@socketserver/core"
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
    Effect.gen(function* () {
      const { backlog = 511, host = "127.0.0.1", ipv6Only = false, noDelay = true, reusePort = false } = options
      if (host === "") {
        const problem = 'it is empty; "0.0.0.0" and "::" listen everywhere'
        return yield* Effect.fail(new ServerError({ reason: new InvalidOption({ option: "host", problem }) }))
      }
      const accept = yield* accepting(options)
      const asked = Endpoint.tcp(host, options.port ?? 0)
      const keepAlive = options.keepAlive !== undefined
      const bind = netServer.listen(
        String(asked),
        { noDelay, keepAlive, keepAliveInitialDelay: Duration.toMillis(options.keepAlive ?? 0) },
        { host, port: asked.port, backlog, ipv6Only, reusePort }
      )
      const server = yield* Effect.acquireRelease(bind, (server) => Effect.sync(() => server.close()))
      const { port } = server.address() as net.AddressInfo
      const address = Endpoint.tcp(host, port)
      server.on("connection", (socket) => accept(sink, socket, peerOf(socket, "tcp"), address))
      server.on("error", netServer.sort(sink))
      return {
        address,
        close: () => server.close(),
        connect: TcpClient.wire({ host: reachable(host), port })
      }
    })
