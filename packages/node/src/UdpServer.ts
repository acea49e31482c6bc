/**
 * UDP, for programs that say so in code; `NodeServer` chooses it by URL.
 *
 * A datagram is a request; a response is a datagram, a stream several, `empty`
 * none. What is lost, doubled or overtaken on the way is not put right here:
 * that is the protocol's part.
 *
 * @since 0.1.0
 */
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Networks from "@socketserver/core/Networks"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { allowing } from "./internal/streamListener.ts"
import { isLocalhost, onLocalhost } from "./internal/localhost.ts"
import * as udp from "./internal/udp.ts"
import { receiving } from "./internal/udpListener.ts"
import { bounded } from "./internal/machine.ts"

/**
 * The options of a UDP server.
 *
 * @category models
 * @since 0.1.0
 */
export interface UdpServerOptions extends Transport.ServerOptions, UdpListenOptions {}

/**
 * The options of a UDP listener.
 *
 * @category models
 * @since 0.1.0
 */
export interface UdpListenOptions {
  /**
   * A name or an IP address. Default: `"127.0.0.1"`, this machine only.
   * `"0.0.0.0"` is all of IPv4, `"::"` all of both families.
   */
  readonly host?: string | undefined
  /** Default: 0, any free port; `server.address` has the one that was bound. */
  readonly port?: number | undefined
  /**
   * Lets several processes bind the same port, with datagrams spread among them by
   * their senders (SO_REUSEPORT), where the platform has it. What is sent to a group, or
   * broadcast, comes to each of them. Default: `false`.
   */
  readonly reusePort?: boolean | undefined
  /** With host `"::"`, leaves IPv4 out. Default: `false`. */
  readonly ipv6Only?: boolean | undefined
  /**
   * What the kernel holds of datagrams that have not been read, in bytes
   * (SO_RCVBUF). It drops what comes over that, without a word. Default: the
   * system's; the kernel may cap it (`net.core.rmem_max`).
   */
  readonly receiveBufferBytes?: number | undefined
  /** What the kernel holds of replies that have not left, in bytes (SO_SNDBUF). Default: the system's. */
  readonly sendBufferBytes?: number | undefined
  /**
   * Allows replies to broadcast addresses. What is broadcast comes in without it, too.
   * Two copies (`PREFORK=2`) and more would each handle that, so that the start fails there. Default: `false`.
   */
  readonly broadcast?: boolean | undefined
  /**
   * Groups to join: `["239.1.2.3"]`, `["ff02::1:3"]`. Bind to `"0.0.0.0"` or
   * `"::"`, or to the group itself. Two copies (`PREFORK=2`) and more would each handle
   * what comes, so that the start fails there. Default: none.
   */
  readonly multicast?: ReadonlyArray<string> | undefined
  /**
   * The interface on which groups are joined: the address of one for IPv4,
   * `"::%eth0"` for IPv6. Default: the system's choice.
   */
  readonly multicastInterface?: string | undefined
  /** How many routers a datagram to a group may pass, 0 to 255. Default: 1, the local network. */
  readonly multicastTtl?: number | undefined
  /**
   * The networks that peers may come from: `["10.0.0.0/8", "::1"]`. Datagrams of
   * others are dropped and count as `Refused`. Default: all.
   */
  readonly allow?: ReadonlyArray<Networks.Input> | undefined
}

/**
 * A UDP server.
 *
 * **Details**
 *
 * Its connections are datagrams: each lives until it is answered, and
 * `maxConnections` bounds those that are not. One more is dropped, and counted
 * as `Refused`. A response that is too large for a datagram (65,507 bytes over
 * IPv4), or whose receiver cannot be reached, ends as `Undelivered`.
 *
 * **Gotchas**
 *
 * The sender's address can be forged. A server that answers more than it was
 * asked, to whoever asks, is a weapon against others: keep replies small, or
 * know your peers; `maxAmplification` and `maxRepliesPerNetwork` bound it.
 *
 * **Example** (Serving lines over UDP)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer, UdpServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Upper extends Server.Service<Upper>()("Upper", { protocol: Protocol.lines() }) {}
 *
 * Upper.serve((request) => Effect.succeed(Response.make(request.body.toUpperCase()))).pipe(
 *   Layer.provide(UdpServer.layer(Upper, { port: 9999 })),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: UdpServerOptions = {}
): Layer.Layer<Self, ServerError> => Transport.layer(tag, bounded(options), listen(options))

/**
 * A UDP listener, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: UdpListenOptions = {}): Transport.Listen =>
  (sink) =>
    Effect.gen(function* () {
      const { host: named = "127.0.0.1", multicast, multicastInterface } = options
      const allows = yield* allowing(options.allow)
      const on = (host: string, port: number) =>
        Effect.map(udp.bind(Endpoint.udp(host, port), options), (socket) =>
          receiving(sink, socket, Endpoint.udp(named, socket.address().port), allows)
        )
      // A group is of one family.
      const isOfBoth = isLocalhost(named) && multicast === undefined && multicastInterface === undefined
      return yield* isOfBoth ? onLocalhost(options.port ?? 0, on) : on(named, options.port ?? 0)
    })
