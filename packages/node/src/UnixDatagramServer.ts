/**
 * Unix datagram sockets, for programs that say so in code; `NodeServer` chooses
 * them by URL.
 *
 * A datagram is a request; a response is a datagram, a stream several, `empty`
 * none. Unlike over UDP nothing is lost on the way, doubled or overtaken, and a
 * server that is busy holds its senders back.
 *
 * Node lacks them. They exist on Linux, and through `koffi`, which is an optional dependency:
 * `npm install koffi`. It ships its binary; nothing is compiled or downloaded.
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
import { bindFailed } from "./internal/netServer.ts"
import { copy } from "./internal/prefork/copy.ts"
import * as unixgram from "./internal/unixgram.ts"
import * as unixPath from "./internal/unixPath.ts"
import { serve } from "./internal/unixgramServer.ts"
import { bounded } from "./internal/machine.ts"

/**
 * The options of a server on a Unix datagram socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixDatagramServerOptions extends Transport.ServerOptions, UnixDatagramListenOptions {}

/**
 * The options of a listener on a Unix datagram socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixDatagramListenOptions extends UnixDatagramSocketOptions {
  /** A path of at most 107 bytes, or `@name` for an abstract socket. */
  readonly path: string
  /**
   * The mode of the socket's file; write permission lets a user send. Default:
   * `0o600`, the owner only. An abstract socket has none: every local user may
   * send.
   */
  readonly mode?: number | undefined
}

/**
 * The options of a Unix datagram socket, wherever it comes from.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixDatagramSocketOptions {
  /** The largest datagram that is read, in bytes. Default: 64 KiB. One that is longer is counted as `Refused`. */
  readonly maxDatagramBytes?: number | undefined
  /**
   * How long a reply waits for a peer whose queue is full. Default: 1 second; then
   * it ends as `Undelivered`, with reason `PeerFull`. At most 1,024 replies wait
   * for one peer, and none for a peer that takes nothing while the server is full.
   */
  readonly sendTimeout?: Settings.Time | undefined
  /**
   * What the kernel holds of replies that peers have not read, all together, in
   * bytes (SO_SNDBUF). Default: 1 MiB, which Linux doubles; the kernel may cap it
   * (`net.core.wmem_max`).
   */
  readonly sendBufferBytes?: number | undefined
}

/**
 * A server on a Unix datagram socket.
 *
 * **Details**
 *
 * Its connections are datagrams: each lives until it is answered. When there
 * are `maxConnections` of them, nothing is read until one has been answered:
 * the kernel's queue fills, and senders wait. A reply to a peer that does not
 * read waits for `sendTimeout`; one to a sender without an address ends as
 * `Undelivered` with reason `NoReturnAddress`, one to a peer that has left with
 * `PeerGone`.
 *
 * A path is bound and removed as that of `UnixServer` is. At a stop it goes
 * first; then what the kernel holds is read once, and answered.
 *
 * **Gotchas**
 *
 * Linux only, and with the package `koffi`; elsewhere the layer fails with
 * `UnsupportedEndpoint`, which says what to do.
 *
 * The kernel's queue is short: `net.unix.max_dgram_qlen` datagrams, often 10.
 * A sender that does not want to wait loses what does not fit.
 *
 * **Example** (Receiving what `logger` sends)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer, UnixDatagramServer } from "@socketserver/node"
 * import { Console, Effect, Layer } from "effect"
 *
 * class Log extends Server.Service<Log>()("Log", { protocol: Protocol.lines() }) {}
 *
 * // logger -u /tmp/log.sock -d "Hello, world"
 * Log.serve((request) => Effect.as(Console.log(request.body), Response.empty)).pipe(
 *   Layer.provide(UnixDatagramServer.layer(Log, { path: "/tmp/log.sock" })),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: UnixDatagramServerOptions
): Layer.Layer<Self, ServerError> => Transport.layer(tag, bounded(options), listen(options))

/**
 * A listener on a Unix datagram socket, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: UnixDatagramListenOptions): Transport.Listen =>
  (sink) =>
    Effect.gen(function* () {
      const { path } = options
      const mode = yield* unixPath.modeOf(path, options.mode)
      const address = Endpoint.unixgram(path)
      const set = yield* unixgram.resolve(options)
      if (copy !== undefined) {
        const cause = new Error("copies (PREFORK) cannot share it; take POLICY=pool or thread to use all cores")
        return yield* Effect.fail(bindFailed(String(address), cause, "Other"))
      }
      const system = yield* unixgram.load(address)
      const bound = yield* Effect.acquireRelease(
        unixgram.bind(system, { name: path, mode, maxDatagramBytes: set.maxDatagramBytes }),
        ({ close, server }) =>
          Effect.sync(() => {
            unixPath.attempt(close)
            server.close()
          })
      )
      yield* Effect.forkScoped(unixPath.watch(bound, (problem) => sink.warn(problem)))
      return serve(sink, system, { socket: bound.server, address, leave: bound.close }, set)
    })
