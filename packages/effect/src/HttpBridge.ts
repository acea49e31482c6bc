/**
 * A declared server as Effect's `HttpServer`: routers, `HttpApi`, WebSockets and
 * static files run on all our listeners, unmodified, with our limits, admission,
 * PROXY header, TLS reload, copies and stop.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import type * as Server from "@socketserver/core/Server"
import { InvalidOption, PolicyError, located, ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { NodeServices } from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { addressOf } from "./internal/address.ts"
import type { Bytes } from "./internal/bridgedSocket.ts"
import { clientOver } from "./internal/memoryClient.ts"
import type { Address } from "./internal/httpListener.ts"
import { visitOf } from "./internal/visit.ts"
import { WebSockets } from "./internal/webSockets.ts"

/**
 * What a server of HTTP is declared with: a whole connection, told of a stop.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol.Protocol<Bytes, never, Uint8Array, Uint8Array> = Protocol.connection(Protocol.bytes(), {
  atStop: "told"
})

/**
 * A server that was declared with {@link protocol}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared<in out Self> extends Server.Tag<Self, Bytes, never> {
  readonly serve: <R = never>(
    handler: Handler.Handler<Bytes, never, R>
  ) => Layer.Layer<never, ServerError | PolicyError, Self | R>
}

/**
 * The options of {@link layer}. What holds for connections is said where the server listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long the head of a request may take, from the first byte of it, or of the connection. Default: 30 seconds; then 408, and the connection closes. */
  readonly headersTimeout?: Settings.Time | undefined
  /** How long a request may take until all of its body is there; `"off"` is off. Default: 5 minutes; then 408, or the connection closes where an answer has begun. It holds for an answer that begins before its request is whole, too. */
  readonly requestTimeout?: Settings.Time | undefined
  /** How long a connection is kept between requests. Default: 5 seconds; then it closes. Behind a balancer it should be longer than the balancer keeps them. */
  readonly keepAliveTimeout?: Settings.Time | undefined
  /** The largest head of a request, in bytes, or as `"32KiB"`. Default: 16 KiB; then 431, and the connection closes. The largest body is Effect's to bound: `HttpIncomingMessage.MaxBodySize`. */
  readonly maxHeaderBytes?: number | string | undefined
  /** What `ws` takes, such as `perMessageDeflate` and `maxPayload`, whose default is 1 MiB here: a larger message closes with 1009. */
  readonly websocket?: NodeHttpServer.Options["websocket"]
}

/**
 * A declared server as an `HttpServer`, with the services that Effect's routers want.
 *
 * **Details**
 *
 * It accepts from the moment that something is served (`HttpRouter.serve`,
 * `HttpServer.serve`). `remoteAddress` is who a trusted PROXY header names. At a stop
 * idle connections close, requests that have begun are received to their end and
 * answered, with `Connection: close`, and WebSockets close with 1001.
 *
 * HTTP runs where its layer is: a policy of workers fails with `PolicyError`. All
 * cores are used by copies, `PREFORK`. In memory the same server answers
 * {@link layerClient}.
 *
 * **Gotchas**
 *
 * The ledger counts connections, not requests.
 *
 * **Example** (A router on any listener)
 *
 * ```ts no-run
 * import { Server } from "@socketserver/core"
 * import { HttpBridge } from "@socketserver/effect"
 * import { NodeServer } from "@socketserver/node"
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}
 *
 * HttpRouter.serve(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello\n"))).pipe(
 *   Layer.provide(HttpBridge.layer(Web)),
 *   Layer.merge(Web.announce),
 *   Layer.provide(NodeServer.layerConfig(Web)),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self>(
  tag: Declared<Self>,
  options: Options = {}
): Layer.Layer<
  HttpServer.HttpServer | NodeServices | HttpPlatform.HttpPlatform | Etag.Generator,
  ServerError | PolicyError,
  Self
> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("@effect/platform-node/NodeHttpServer")),
      (node) => Layer.merge(Layer.effect(HttpServer.HttpServer)(make(tag, options, node.make)), node.layerHttpServices)
    )
  )

type Make = (typeof NodeHttpServer)["make"]

const make = <Self>(tag: Declared<Self>, options: Options, makeServer: Make) =>
  Effect.gen(function* () {
    const said = Effect.mapError((error: ServerError | PolicyError) =>
      error._tag === "ServerError" ? located(error, { of: tag.key }) : error
    )
    const limits = yield* said(Effect.fromResult(limitsOf(options)))
    const server = yield* tag
    yield* said(checked(tag, server))
    const own = yield* Effect.context<Self>()
    const fork = Effect.runForkWith(own)
    const clock = yield* Clock.Clock
    // Whoever serves no HTTP does not load it.
    const { HttpListener } = yield* Effect.promise(() => import("./internal/httpListener.ts"))
    const { serving } = yield* Effect.promise(() => import("./internal/httpServing.ts"))
    const limitsNow = () => Effect.runSync(server.control.limits)
    const listener = new HttpListener(limits.node, {
      address: listeningAt(addressOf(server.address)),
      keepAliveMillis: limits.keepAliveMillis,
      limits: limitsNow,
      isLeaving: () => Effect.runSync(server.isLeaving),
      now: () => clock.currentTimeMillisUnsafe(),
      shutdown: server.shutdown,
      run: (effect, done) => void fork(effect).addObserver(done)
    })
    const { WebSocket } = yield* Effect.promise(() => import("@effect/platform-node/NodeWS"))
    const { maxPayload = 1_048_576 } = options.websocket ?? {}
    const webSockets = new WebSockets(WebSocket, {
      // As for every message: not less than the largest takes at 16 KiB a second.
      messageMillis: () => Math.max(limitsNow().frameMillis, Math.ceil(maxPayload / 16.384)),
      after: (millis, f) => {
        const fiber = fork(Effect.andThen(Effect.sleep(millis), Effect.sync(f)))
        return () => fiber.interruptUnsafe()
      }
    })
    const inner = yield* Effect.orDie(
      makeServer(() => listener, {
        // The stop has a deadline of its own, which ends it.
        gracefulShutdownTimeout: "1 day",
        websocket: { ...options.websocket, maxPayload, WebSocket: webSockets.WebSocket }
      })
    )
    const accepting = Layer.provide(tag.serve(serving(listener, webSockets)), Layer.succeedContext(own))
    return HttpServer.make({
      address: inner.address,
      serve: (app, middleware) =>
        Effect.gen(function* () {
          yield* inner.serve(app, middleware as never)
          // Not before there is somebody who answers. A second time is a mistake of the program.
          yield* Effect.orDie(Layer.buildWithScope(accepting, yield* Effect.scope))
        })
    })
  })

/** A policy under which HTTP cannot run, and listeners that have no connections, are errors of the start. */
const checked = <Self>(
  tag: Declared<Self>,
  server: Server.Server<Bytes, never>
): Effect.Effect<void, ServerError | PolicyError> =>
  Effect.gen(function* () {
    if ((yield* Remote.host) !== undefined) return
    if (tag.protocol.atStop !== "told") {
      return yield* Effect.fail(invalid("protocol", "declare the server with HttpBridge.protocol"))
    }
    const datagrams = server.addresses.find(({ _tag }) => _tag === "Udp" || _tag === "Unixgram")
    if (datagrams !== undefined) {
      return yield* Effect.fail(invalid("listen", `HTTP needs connections, and ${datagrams} has datagrams`))
    }
    const policy = (yield* tag.policy) ?? (yield* Policy.Policy)
    if (policy === undefined || policy.worker === "fiber" || policy.worker === "sequential") return
    const problem = "HTTP runs where its layer is, and not in workers; PREFORK=4 runs four copies of the program"
    return yield* Effect.fail(
      new PolicyError({ policy: policy.name, problem, service: tag.key, variable: policy.variable })
    )
  })

const invalid = (option: string, problem: string): ServerError =>
  new ServerError({ reason: new InvalidOption({ option, problem }) })

const limitsOf = (options: Options) =>
  Result.gen(function* () {
    const time = (name: keyof Options, input: Settings.Time, forever = false) =>
      Result.mapError(
        Settings.millis(name, input, { forever, least: 1, most: mostMillis }),
        (reason) => new ServerError({ reason })
      )
    const headersMillis = yield* time("headersTimeout", options.headersTimeout ?? "30 seconds")
    const requestMillis = yield* time("requestTimeout", options.requestTimeout ?? "5 minutes", true)
    const keepAliveMillis = yield* time("keepAliveTimeout", options.keepAliveTimeout ?? "5 seconds")
    const { maxHeaderBytes = 16_384 } = options
    const maxHeaderSize = yield* Result.mapError(
      Settings.bytes("maxHeaderBytes", maxHeaderBytes),
      (reason) => new ServerError({ reason })
    )
    const requestTimeout = requestMillis === Infinity ? 0 : requestMillis
    const headersTimeout = requestTimeout === 0 ? headersMillis : Math.min(headersMillis, requestTimeout)
    const connectionsCheckingInterval = Math.max(50, Math.min(2_000, Math.floor(headersTimeout / 4)))
    return { node: { headersTimeout, requestTimeout, maxHeaderSize, connectionsCheckingInterval }, keepAliveMillis }
  })

// A timer takes no longer time.
const mostMillis = 2 ** 31 - 1

const listeningAt = (address: NetAddress.SocketAddress): Address =>
  NetAddress.isUnixPathAddress(address) ? address.path : { address: NetAddress.formatHost(address), port: address.port }

/**
 * The connection that an HTTP request came on: its peer, listener, and what TLS has
 * agreed on. `undefined` of a request that did not come by this bridge.
 *
 * **Example** (Greeting by certificate)
 *
 * ```ts
 * import { HttpBridge } from "@socketserver/effect"
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 *
 * const hello = Effect.map(HttpBridge.connection, (connection) =>
 *   HttpServerResponse.text(`hello ${connection?.peer.tls?.certificate?.subject["CN"] ?? connection?.peer.name}`)
 * )
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const connection: Effect.Effect<Connection.Info | undefined, never, HttpServerRequest> = Effect.map(
  HttpServerRequest,
  ({ source }) => {
    const { socket } = source as { readonly socket?: object }
    return socket === undefined ? undefined : visitOf(socket)?.connection
  }
)

/**
 * A client of this very server, wherever it listens first: in a test, in memory and
 * without a port. URLs are paths.
 *
 * **Example** (Testing a router without a socket)
 *
 * ```ts
 * import { MemoryServer, Server } from "@socketserver/core"
 * import { HttpBridge } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
 *
 * class Web extends Server.Service<Web>()("Web", { protocol: HttpBridge.protocol }) {}
 *
 * const WebLive = HttpRouter.serve(HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello")), {
 *   disableLogger: true
 * }).pipe(Layer.provide(HttpBridge.layer(Web)))
 *
 * const program = Effect.flatMap(HttpClient.get("/hello"), (response) => response.text).pipe(
 *   Effect.provide(
 *     Layer.merge(WebLive, HttpBridge.layerClient(Web)).pipe(Layer.provide(MemoryServer.layer(Web)))
 *   )
 * )
 *
 * await Effect.runPromise(program) // => "hello"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const layerClient = <Self>(
  tag: Server.Tag<Self, Bytes, never> & {
    readonly rawClient: Effect.Effect<Bytes, Connection.ConnectFailed, Self | Scope.Scope>
  }
): Layer.Layer<HttpClient.HttpClient, never, Self> =>
  Layer.effect(HttpClient.HttpClient)(
    Effect.flatMap(tag, (server) => clientOver(Effect.provideService(tag.rawClient, tag, server)))
  )
