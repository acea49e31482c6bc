/**
 * Unix stream sockets, for programs that say so in code; `NodeServer` chooses
 * them by URL.
 *
 * A path in the file system, or a name in Linux's abstract namespace. It is
 * TCP's semantics without a network: half-close, back-pressure, and a file mode
 * that says who may connect.
 *
 * @since 0.1.0
 */
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { copy } from "./internal/prefork/copy.ts"
import * as netServer from "./internal/netServer.ts"
import { accepting, identifying } from "./internal/streamListener.ts"
import * as unixPath from "./internal/unixPath.ts"
import * as unixStream from "./internal/unixStream.ts"
import { bounded } from "./internal/machine.ts"

/**
 * The options of a server on a Unix socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixServerOptions extends Transport.ServerOptions, UnixListenOptions {}

/**
 * The options of a listener on a Unix socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixListenOptions {
  /** A path of at most 107 bytes, or `@name` for an abstract socket (Linux only). */
  readonly path: string
  /**
   * The mode of the socket's file; write permission lets a user connect. Default:
   * `0o600`, the owner only. An abstract socket has none: every local user may
   * connect.
   */
  readonly mode?: number | undefined
  /**
   * Whether each peer's process, user and group are found out (`peer.credentials`),
   * and who may connect: `"any"` user, the `"same-user"` as the server, or users by
   * their numbers. Others, root among them, are closed before anything is read, and
   * count as `Refused`. Limits for each peer count by user then. Needs Linux and the
   * package `koffi`; without them the start fails. Default: nobody is asked.
   */
  readonly peers?: Peers | undefined
  /**
   * Connections that the kernel keeps until they are accepted. Default: 511; the
   * kernel may cap it (`net.core.somaxconn`).
   */
  readonly backlog?: number | undefined
  /**
   * Whether every peer is a balancer that introduces each connection with a PROXY
   * header (version 1 or 2), so that `Peer` is who connected to it. The mode says
   * who may be one. Default: `false`.
   */
  readonly proxyProtocol?: boolean | undefined
  /** How long a balancer may take for its header. Default: 5 seconds; then the connection is refused. */
  readonly proxyTimeout?: Settings.Time | undefined
}

/**
 * Which users may connect, by `Peer.credentials`.
 *
 * @category models
 * @since 0.1.0
 */
export type Peers = "any" | "same-user" | ReadonlyArray<number>

/**
 * A server on a Unix socket.
 *
 * **Details**
 *
 * A socket that a dead server left behind is replaced, after a probe has shown
 * that nobody listens on it. One that is alive is never taken, and neither is a
 * file that is not a socket. When the server stops accepting, its path is
 * removed, unless another server has put its own there meanwhile.
 *
 * **Gotchas**
 *
 * A server that is killed with SIGKILL leaves its path behind; the next start
 * replaces it.
 *
 * **Example** (Serving lines on a path)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer, UnixServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(UnixServer.layer(Echo, { path: "/run/echo.sock", mode: 0o660 })),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: UnixServerOptions
): Layer.Layer<Self, ServerError> => Transport.layer(tag, bounded(options), listen(options))

/**
 * A listener on a Unix socket, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: UnixListenOptions): Transport.Listen =>
  (sink) =>
    Effect.gen(function* () {
      const { backlog = 511, path } = options
      const mode = yield* unixPath.modeOf(path, options.mode)
      const accept = yield* accepting(options)
      const identify = yield* identifying(options.peers)
      const address = Endpoint.unix(path)
      const bind = (native: string, around?: (bind: () => void) => void) =>
        netServer.listen(String(address), {}, { path: native, backlog, mode }, around)
      // Where a supervisor holds the socket, its path is the supervisor's.
      const bound = yield* unixPath.isAbstract(path) || copy !== undefined
        ? Effect.map(Effect.acquireRelease(bind(unixPath.native(path)), close), (server) => ({
            server,
            close: () => void server.close(),
            lost: () => undefined
          }))
        : Effect.acquireRelease(
            unixPath.bind({ path, mode, endpoint: String(address), listen: bind, ...unixStream.kind }),
            (bound) => Effect.sync(() => unixPath.attempt(bound.close))
          )
      yield* Effect.forkScoped(unixPath.watch(bound, (problem) => sink.warn(problem)))
      let peers = 0
      bound.server.on("connection", (socket) => {
        const peer = identify(sink, socket, `${address}#${++peers}`, address)
        if (peer !== undefined) accept(sink, socket, peer, address)
      })
      bound.server.on("error", netServer.sort(sink))
      return { address, close: bound.close, queues: true, connect: unixStream.connect(address) }
    })

const close = (server: { readonly close: () => unknown }) => Effect.sync(() => server.close())
