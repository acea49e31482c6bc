/**
 * A declared server as Effect's `SocketServer`, and a URL as its `Socket`: what runs
 * on those runs on all our listeners, with our limits, admission and stop.
 *
 * RPC servers, the server of the dev tools, and the runners of a cluster take a
 * `SocketServer`. One layer is changed; they are not.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import type * as Server from "@socketserver/core/Server"
import * as Remote from "@socketserver/core/Remote"
import type { PolicyError, ServerError } from "@socketserver/core/ServerError"
import type { NodeClientOptions } from "@socketserver/node/NodeClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { CurrentConnection } from "./CurrentConnection.ts"
import { addressOf } from "./internal/address.ts"
import { type Bytes, dialing, endOf, ofHandler } from "./internal/bridgedSocket.ts"
import { nodeClient, ofClient, ofServer } from "./internal/upgrades.ts"

/**
 * A server that was declared with `Protocol.connection()`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared<in out Self> extends Server.Tag<Self, Bytes, never> {
  readonly run: <R = never>(
    handler: Handler.Handler<Bytes, never, R>
  ) => Effect.Effect<never, ServerError | PolicyError, Self | R>
}

/**
 * A declared server as a `SocketServer`.
 *
 * **Details**
 *
 * `run` serves: the policy decides how many connections run at once and where, and
 * `CurrentConnection` is what its handlers came on. A handler that ends, or fails
 * with a `SocketCloseError`, has `Completed`; any other failure is `Failed`. Over
 * TCP and Unix sockets `upgrade` encrypts, as `TlsServer.upgrade` does.
 *
 * A stop ends what handlers read, with close code 1000. Effect's RPC server takes
 * that for a client that is gone, and interrupts its calls: `RpcBridge.serve`
 * answers them.
 *
 * **Gotchas**
 *
 * Interrupting `run` stops the server, and it cannot be run again; Effect's own
 * goes on listening. `NodeSocket.NetSocket` is not provided: ask `CurrentConnection`.
 * Addresses that Effect has no form for, such as `memory:`, are in `address` as the
 * path of a Unix socket. Datagrams are connections of one message.
 *
 * **Example** (Effect's RPC over any listener)
 *
 * ```ts no-run
 * import { Protocol, Server } from "@socketserver/core"
 * import { SocketBridge } from "@socketserver/effect"
 * import { NodeServer } from "@socketserver/node"
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
 *
 * class Calls extends RpcGroup.make(
 *   Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number })
 * ) {}
 *
 * class Sockets extends Server.Service<Sockets>()("Sockets", { protocol: Protocol.connection() }) {}
 *
 * RpcServer.layer(Calls).pipe(
 *   Layer.provide(Calls.toLayer({ Add: ({ a, b }) => Effect.succeed(a + b) })),
 *   Layer.provide(RpcServer.layerProtocolSocketServer),
 *   Layer.provide(RpcSerialization.layerNdjson),
 *   Layer.provide(SocketBridge.layer(Sockets)),
 *   Layer.merge(Sockets.announce),
 *   Layer.provide(NodeServer.layerConfig(Sockets)),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self>(tag: Declared<Self>): Layer.Layer<SocketServer.SocketServer, never, Self> =>
  Layer.effect(SocketServer.SocketServer)(
    Effect.gen(function* () {
      const server = yield* tag
      const own = yield* Effect.context<Self>()
      const end = yield* Remote.ending
      return SocketServer.SocketServer.of({
        address: addressOf(server.address),
        run: <R, E, A>(handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>) =>
          Effect.contextWith((context: Context.Context<R>) =>
            tag.run(served(handler)).pipe(
              // Effect's own servers run it in a fiber whose errors nobody hears.
              Effect.tapError((error) => (isOver(error) ? Effect.void : end(error))),
              Effect.mapError((cause) => {
                const reason = new SocketServer.SocketServerUnknownError({ cause })
                return new SocketServer.SocketServerError({ reason })
              }),
              // What the caller has comes before what the server was made with.
              Effect.provideContext(Context.merge(own, context))
            )
          )
      })
    })
  )

/** Whether it has ended as it should, or was never begun, since another serves it. */
const isOver = (error: ServerError | PolicyError): boolean =>
  error._tag === "ServerError" && (error.reason._tag === "ServerClosed" || error.reason._tag === "AlreadyServed")

const served =
  <R, E, A>(handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>): Handler.Handler<Bytes, never, R> =>
  ({ body: connection }) =>
    Effect.suspend(() => handler(ofHandler(connection, ofServer))).pipe(
      Effect.provideService(CurrentConnection, connection),
      Effect.as(Response.empty),
      Effect.catchCause((cause) => {
        const ends = cause.reasons.map((reason) => endOf(connection, reason))
        if (ends.includes(undefined)) return Effect.failCause(cause)
        return Effect.succeed(ends.includes("broken") ? gone : Response.empty)
      }),
      Effect.orDie
    )

const gone = Response.withOutcome(Response.empty, Outcome.cancelled("ConnectionClosed"))

/**
 * A `Socket` to a URL, which connects whenever its reader is acquired.
 *
 * **Details**
 *
 * What is written while there is no connection waits for the next one. The end of
 * a connection is a `SocketCloseError`, and one that cannot be made is a
 * `SocketOpenError` with the `ConnectFailed` as its cause.
 *
 * **Example** (A client of an RPC server)
 *
 * ```ts no-run
 * import { SocketBridge } from "@socketserver/effect"
 * import { Layer } from "effect"
 * import { RpcClient, RpcSerialization } from "effect/rpc"
 *
 * const ClientProtocol = RpcClient.layerProtocolSocket().pipe(
 *   Layer.provide(SocketBridge.layerClient("tls://127.0.0.1:9000", { tls: { ca: "ca.pem" } })),
 *   Layer.provide(RpcSerialization.layerNdjson)
 * )
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const client = (url: string, options: NodeClientOptions = {}): Effect.Effect<Socket.Socket> =>
  clientOf(Effect.flatMap(nodeClient, ({ connect }) => connect({ protocol: Protocol.bytes() }, url, options)))

/**
 * The same as a layer.
 *
 * @category clients
 * @since 0.1.0
 */
export const layerClient = (url: string, options?: NodeClientOptions): Layer.Layer<Socket.Socket> =>
  Layer.effect(Socket.Socket)(client(url, options))

/**
 * A `Socket` of whatever connects: `Tag.rawClient`, for tests in memory.
 *
 * **Example** (Talking to a server in memory)
 *
 * ```ts
 * import { MemoryServer, Protocol, Server } from "@socketserver/core"
 * import { SocketBridge } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { SocketServer } from "effect/socket"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.connection() }) {}
 *
 * const EchoLive = Layer.effectDiscard(
 *   Effect.gen(function* () {
 *     const server = yield* SocketServer.SocketServer
 *     const echo = server.run((socket) =>
 *       Effect.gen(function* () {
 *         const { pull } = yield* socket.reader
 *         const { writeAll } = yield* socket.writer
 *         return yield* Effect.forever(Effect.flatMap(pull, writeAll))
 *       }).pipe(Effect.scoped)
 *     )
 *     yield* Effect.forkScoped(echo)
 *   })
 * ).pipe(Layer.provide(SocketBridge.layer(Echo)))
 *
 * const program = Effect.gen(function* () {
 *   const echo = yield* Echo
 *   const socket = yield* SocketBridge.clientOf(Effect.provideService(Echo.rawClient, Echo, echo))
 *   const { pull } = yield* socket.reader
 *   const { write } = yield* socket.writer
 *   yield* write("hello")
 *   return new TextDecoder().decode((yield* pull)[0] as Uint8Array)
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * await Effect.runPromise(program) // => "hello"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const clientOf = (
  connect: Effect.Effect<Bytes, Connection.ConnectFailed | ServerError, Scope.Scope>
): Effect.Effect<Socket.Socket> => dialing(connect, ofClient)
