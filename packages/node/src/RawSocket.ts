/**
 * The socket of a connection itself, for what wants a `net.Socket` or `TLSSocket`
 * and no requests: an HTTP server, a proxy, a library with a protocol of its own.
 *
 * The server goes on to hold what does not need the bytes: places, limits for
 * peers, admission, the PROXY header, TLS, a stop with its deadline, and the looks
 * for peers that are gone or do not read. What it cannot hold without them is told
 * in "Take the socket", a how-to.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Response from "@socketserver/core/Response"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as net from "node:net"

/**
 * A connection whose socket was taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface RawSocket {
  /**
   * The socket, over TLS a `TLSSocket`. It is paused, and has all that the peer has
   * sent. Its `remoteAddress` is who a trusted PROXY header names.
   */
  readonly socket: net.Socket
  /** What the server knows of it. `bytesRead` and `bytesWritten` are the socket's. */
  readonly connection: Connection.Info
  /** Completes when the server stops, once all that had arrived by then has been taken in. */
  readonly stopping: Effect.Effect<void>
}

/**
 * Takes the socket of a whole connection, or returns nothing where it has none: in
 * memory, in a worker, of a datagram.
 *
 * **Gotchas**
 *
 * Ask for it when the handler is called, not in the effect that it returns. The
 * connection closes when the handler ends. {@link handler} does both.
 *
 * @category constructors
 * @since 0.1.0
 */
export const take = <In, Out>(connection: Connection.Connection<In, Out>): RawSocket | undefined => {
  const stopped = Deferred.makeUnsafe<void>()
  const socket = Transport.takeAway(connection, () => Deferred.doneUnsafe(stopped, Effect.void))
  return socket instanceof net.Socket ? { socket, connection, stopping: Deferred.await(stopped) } : undefined
}

/**
 * The handler of a `Protocol.connection` that gets the socket. Its end closes the
 * connection; a peer that is gone interrupts it. Where a connection has no socket,
 * its request ends as `Failed`.
 *
 * **Example** (Passing connections on)
 *
 * ```ts no-run
 * import { Protocol, Server } from "@socketserver/core"
 * import { NodeServer, RawSocket } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 * import * as net from "node:net"
 * import { pipeline } from "node:stream/promises"
 *
 * class Gate extends Server.Service<Gate>()("Gate", { protocol: Protocol.connection() }) {}
 *
 * const GateLive = Gate.serve(
 *   RawSocket.handler(({ socket }) =>
 *     Effect.gen(function* () {
 *       const target = net.connect({ port: 9001, allowHalfOpen: true })
 *       yield* Effect.promise(() => Promise.allSettled([pipeline(socket, target), pipeline(target, socket)]))
 *     })
 *   )
 * )
 *
 * Layer.merge(GateLive, Gate.announce).pipe(Layer.provide(NodeServer.layerConfig(Gate)), NodeServer.launch)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const handler =
  <R = never>(
    use: (raw: RawSocket) => Effect.Effect<unknown, never, R>
  ): Handler.Handler<Connection.Connection<unknown, never>, never, R> =>
  (request) => {
    const raw = take(request.body)
    return raw === undefined ? noSocket : Effect.as(use(raw), Response.empty)
  }

const noSocket = Effect.die(
  new Error("A connection in memory, in a worker, or of a datagram has no socket that could be taken")
)
