/**
 * Effect's RPC on our servers: for programs that have an `RpcGroup`, and want limits,
 * admission, every listener, and a stop that loses no call.
 *
 * Clients are Effect's own, unchanged. There are two ways, and the protocol that a
 * server is declared with says which:
 *
 * | declared with | a request is | so that |
 * |---|---|---|
 * | {@link connection} | the whole connection | handlers run in one process, as on Effect's own server |
 * | {@link protocol} | a call | handlers run under every policy, in threads and processes too; the ledger counts calls, and one that crashes its worker is one that failed |
 *
 * It leans on `effect/rpc`, which is marked unstable: its peer range is narrow.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import type * as Server from "@socketserver/core/Server"
import type { PolicyError, ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcMessage from "effect/rpc/RpcMessage"
import { Calls } from "./internal/rpcCalls.ts"
import { Connections } from "./internal/rpcConnections.ts"
import { type Call as AnyCall, died, messages, pong } from "./internal/rpcMessages.ts"
import { running } from "./internal/rpcServing.ts"

/**
 * How messages cross.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * What a line is: `"ndjson"` for clients with `RpcSerialization.layerNdjson`,
   * `"json-rpc"` for those with `layerNdJsonRpc` and for others that speak JSON-RPC
   * 2.0 a line; a batch is refused. Default: `"ndjson"`.
   */
  readonly serialization?: "ndjson" | "json-rpc" | undefined
  /** The longest line, in bytes. Default: 1 MiB. A longer one ends the connection's input: `FrameTooLarge`. */
  readonly maxFrameBytes?: number | undefined
}

/**
 * A call, as clients send it. Its `payload` is encoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call<out Tag extends string = string> extends RpcMessage.RequestEncoded {
  readonly tag: Tag
}

/**
 * A connection of an RPC client.
 *
 * @category models
 * @since 0.1.0
 */
export type RpcConnection = Connection.Connection<RpcMessage.FromClientEncoded, RpcMessage.FromServerEncoded>

/**
 * Whole connections of RPC clients, for {@link serve}.
 *
 * **Details**
 *
 * A stop takes no more calls and answers those that it has: acknowledgements, pings
 * and interrupts are read meanwhile.
 *
 * @category protocols
 * @since 0.1.0
 */
export const connection = (
  options?: Options
): Protocol.Protocol<RpcConnection, never, RpcMessage.FromClientEncoded, RpcMessage.FromServerEncoded> =>
  Protocol.connection(messages(options), { atStop: "told" })

/**
 * The calls of a group as requests, for {@link serve}.
 *
 * **Details**
 *
 * Answers overtake each other, as clients of RPC know. Pings are answered, and
 * acknowledgements and interrupts reach the call that they concern, however many
 * calls are in flight: they are control messages (`Protocol.control`). A stream is
 * a reply of many messages.
 *
 * A `key` of the server may look at a call's `tag` and encoded `payload`, so that
 * `keyed` keeps calls with the same in order.
 *
 * **Example** (Calls in worker processes)
 *
 * ```ts no-run
 * import { Server } from "@socketserver/core"
 * import { RpcBridge } from "@socketserver/effect"
 * import { NodeServer } from "@socketserver/node"
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 *
 * class Sums extends RpcGroup.make(
 *   Rpc.make("Add", { payload: { a: Schema.Number, b: Schema.Number }, success: Schema.Number })
 * ) {}
 *
 * class Api extends Server.Service<Api>()("Api", { protocol: RpcBridge.protocol(Sums) }) {}
 *
 * //   LISTEN=tcp://127.0.0.1:9000  POLICY=pool:2
 * RpcBridge.serve(Sums, Api).pipe(
 *   Layer.provide(Sums.toLayer({ Add: ({ a, b }) => Effect.succeed(a + b) })),
 *   Layer.merge(Api.announce),
 *   Layer.provide(NodeServer.layerConfig(Api)),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options?: Options
): Protocol.Protocol<
  Call<Rpcs["_tag"]>,
  RpcMessage.FromServerEncoded,
  RpcMessage.FromClientEncoded,
  RpcMessage.FromServerEncoded
> => {
  const correlated = Protocol.correlated(messages(options), {
    request: (message) => ("id" in message ? message.id : undefined),
    response: (message) => ("requestId" in message ? message.requestId : undefined)
  })
  const controlled = Protocol.control(correlated, {
    is: (message) => message._tag !== "Request",
    to: (message) => ("requestId" in message ? message.requestId : undefined),
    answer: (message) => (message._tag === "Ping" ? pong : undefined)
  })
  return { ...controlled, name: `rpc(${[...group.requests.keys()].join(", ")})` } as never
}

/**
 * How a group is served.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions {
  /** As for any server. Default: the configured one. */
  readonly policy?: Policy.Policy | undefined
  /** No span for each call. */
  readonly disableTracing?: boolean | undefined
  readonly spanPrefix?: string | undefined
  readonly spanAttributes?: Record<string, unknown> | undefined
  /**
   * Whether a defect costs its own call alone. Otherwise it fails all that its client
   * has in flight, as on Effect's own server. Default: `false` for connections; for
   * calls it is `true` and cannot be changed.
   */
  readonly disableFatalDefects?: boolean | undefined
  /**
   * Calls of one connection that run at a time; further ones wait, in at most 256 KiB,
   * then the connection is read no further. Only for connections: for calls it is the
   * server's `maxPipelined`. Default: 128.
   */
  readonly maxInFlight?: number | undefined
  /** Handlers that run at a time, over all connections. Only for connections: for calls the policy says it. Default: `"unbounded"`. */
  readonly concurrency?: number | "unbounded" | undefined
}

/**
 * A server that was declared with {@link connection} or {@link protocol}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared<in out Self, in out In, in out Out> extends Server.Tag<Self, In, Out> {
  readonly serve: <R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: Server.ServeOptions<In, Out>
  ) => Layer.Layer<never, ServerError | PolicyError, Self | R>
}

/**
 * Serves a group of RPCs.
 *
 * **Details**
 *
 * What calls do is done by Effect's own `RpcServer`: handlers, middleware, spans,
 * streams and their acknowledgements, interrupts and defects are as they are there.
 * `CurrentConnection` is the connection that a call came on.
 *
 * A stop, by a signal too, answers every call that has come, streams to their end,
 * within the `drainTimeout`. A client that half-closes gets all its answers. One that
 * is gone has its calls interrupted.
 *
 * **Gotchas**
 *
 * With {@link connection}, the policy runs connections and not calls, and a `POLICY`
 * of workers moves whole connections. A notification, and a call that was *discarded*,
 * count in `maxInFlight` until their handlers have ended, and a stop waits for both.
 *
 * With {@link protocol}, each worker has Effect's server: what middleware keeps of a
 * client is kept in each. `Rpc.fork` and `concurrency` mean nothing: the policy says
 * how many run.
 *
 * @category layers
 * @since 0.1.0
 */
export const serve: {
  <Rpcs extends Rpc.Any, Self>(
    group: RpcGroup.RpcGroup<Rpcs>,
    tag: Declared<Self, RpcConnection, never>,
    options?: ServeOptions
  ): Layer.Layer<
    never,
    ServerError | PolicyError,
    Self | Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>
  >
  <Rpcs extends Rpc.Any, Self>(
    group: RpcGroup.RpcGroup<Rpcs>,
    tag: Declared<Self, Call<Rpcs["_tag"]>, RpcMessage.FromServerEncoded>,
    options?: ServeOptions
  ): Layer.Layer<
    never,
    ServerError | PolicyError,
    Self | Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>
  >
} = (<Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  tag: Declared<never, never, never>,
  options: ServeOptions = {}
) =>
  tag.protocol.kind === "connection"
    ? connections(group, tag as never, options)
    : calls(group, tag as never, options)) as never

const connections = <Rpcs extends Rpc.Any, Self>(
  group: RpcGroup.RpcGroup<Rpcs>,
  tag: Declared<Self, RpcConnection, never>,
  { maxInFlight = 128, policy, ...options }: ServeOptions
) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { stopping } = yield* tag
      const connections = new Connections({ maxInFlight, maxWaiting: 262_144 })
      const { disconnect, write } = yield* running(group, options, () => connections)
      yield* Effect.forkScoped(Effect.andThen(stopping, connections.stop), { startImmediately: true })
      // The last in the scope is the first that it closes: calls are answered before Effect's server ends, which interrupts them.
      yield* Layer.build(tag.serve(connections.handler(write, disconnect), { policy }))
    })
  )

const calls = <Rpcs extends Rpc.Any, Self>(
  group: RpcGroup.RpcGroup<Rpcs>,
  tag: Declared<Self, AnyCall, RpcMessage.FromServerEncoded>,
  { concurrency: _, maxInFlight: __, policy, ...options }: ServeOptions
) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const calls = new Calls()
      const { disconnect, write } = yield* running(group, { ...options, disableFatalDefects: true }, () => calls)
      yield* Layer.build(tag.serve(calls.handler(write, disconnect), { policy, onWorkerCrashed }))
    })
  )

/** The call that a worker has crashed over dies, and no other. */
const onWorkerCrashed = (
  crash: Outcome.WorkerCrashed,
  { body }: { readonly body: AnyCall }
): Response.Response<RpcMessage.FromServerEncoded> =>
  body.isNotification === true ? Response.empty : Response.make(died(body.id, Outcome.describe(crash)))
