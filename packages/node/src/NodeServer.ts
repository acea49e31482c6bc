/**
 * Servers by URL or by configuration, for programs that listen; and `launch`,
 * which runs them.
 *
 * A transport that no URL names is not loaded.
 *
 * @since 0.1.0
 */
import * as Endpoint from "@socketserver/core/Endpoint"
import { isSilent } from "@socketserver/core/Remote"
import type * as Server from "@socketserver/core/Server"
import { located, type ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as launching from "./internal/launch/launch.ts"
import { ofProvider, OnProgramSettings, programNames } from "./internal/launch/settings.ts"
import { numbered } from "./internal/activation.ts"
import { endpoints, invalid, settings, variable } from "./internal/configuration.ts"
import { listenerOf } from "./internal/listeners.ts"
import { bounded, connectionBytes } from "./internal/machine.ts"
import { tellMisspelt } from "./internal/misspelt.ts"
import * as reloads from "./internal/reloads.ts"
import * as once from "./internal/onlyParent.ts"
import { isInert, role } from "./internal/worker/child/role.ts"
import type * as FdServer from "./FdServer.ts"
import type * as TcpServer from "./TcpServer.ts"
import type * as TlsServer from "./TlsServer.ts"
import type * as UdpServer from "./UdpServer.ts"
import type * as UnixDatagramServer from "./UnixDatagramServer.ts"
import type * as UnixServer from "./UnixServer.ts"

/**
 * Runs layers as a program: until SIGINT or SIGTERM, then a drain, then exit
 * status 0.
 *
 * **When to use**
 *
 * As the last line of a program that is a server. It is `Layer.launch` with
 * `NodeRuntime.runMain`, and these differences: a stop that was asked for is
 * success (`runMain` alone exits with 130), a start that fails prints its
 * message in one line and exits with 1, and logs go to stderr, so that stdout
 * is the program's own. A second signal ends the drain at once, with 130 or 143.
 *
 * **Details**
 *
 * All servers stop before anything else of the program ends, and each says at
 * `Info` what it has done since its start: `stopped Echo in 120 ms: 40 completed,
 * 0 interrupted, 158 refused, 42 connections`. A second after the longest drain
 * timeout the program is ended by force, whatever holds it; where that hangs, since
 * a thread cannot be ended, by SIGKILL (status 137) another second later. So what
 * other layers do at their end has to be done by then, too.
 *
 * `PREFORK=4` runs four copies of the program that accept on the same addresses. One
 * that ends, or hangs for `HANG_TIMEOUT` (10 seconds), is replaced; SIGHUP replaces
 * all of them, one after the other.
 *
 * `WATCHDOG=10s` ends a program with SIGKILL whose event loop does not turn for so
 * long: such a loop sees no signal. It is off by default, since it is a thread
 * (10 MiB) of each copy. Whoever reads stdout or stderr may go: what is written
 * then is lost, and nothing else.
 *
 * **Example** (A program that is a server)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(NodeServer.layerConfig(Echo)),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const launch = <A, E, R>(layer: Layer.Layer<A, E, R> & Complete<R>): void =>
  launching.launch(layer as Layer.Layer<A, E>)

/**
 * What {@link launch} takes: a program that lacks nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Complete<R> = [R] extends [never]
  ? unknown
  : { readonly "provide what is missing: a transport for a server, as NodeServer.layerConfig(Tag), or a service": R }

/**
 * A layer that exists once in a program, however many workers and copies it has:
 * in the program itself.
 *
 * **When to use**
 *
 * For what can be there only once, or should be: a server that is none of this
 * library's (HTTP for metrics, say), a scheduled task, a lock. Each worker and
 * each copy of a program builds all of its layers, but not these.
 *
 * **Details**
 *
 * Under `PREFORK` the program itself serves nothing, and builds no layer, but for
 * the sake of these: then it builds all of them once, with servers that listen
 * nowhere, before it starts its copies. They end after the last copy, and SIGHUP
 * does not restart them.
 *
 * **Gotchas**
 *
 * It provides nothing, since workers and copies would lack that. What `layer` needs
 * is better provided inside it, or it is built everywhere all the same.
 *
 * Call it where the module is loaded: `launch` has to know of it.
 *
 * **Example** (Serving metrics beside workers)
 *
 * ```ts no-run
 * import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { createServer } from "node:http"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const health = HttpRouter.serve(HttpRouter.add("GET", "/health", HttpServerResponse.text("ok"))).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 9090 }))
 * )
 *
 * Layer.merge(
 *   Echo.serve((request) => Effect.succeed(Response.make(request.body))),
 *   NodeServer.onlyParent(health)
 * ).pipe(Layer.provide(NodeServer.layerConfig(Echo)), NodeServer.launch)
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const onlyParent = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<never, E, R> => once.onlyParent(layer)

/**
 * Runs an effect when SIGHUP asks the program to read its files anew, for as long as
 * the layer lives: as certificates in files are read anew then.
 *
 * **When to use**
 *
 * To open a log again that was moved away, or to read a file of settings.
 *
 * **Gotchas**
 *
 * Under `PREFORK` SIGHUP replaces the copies instead, so that everything is read
 * anew. Workers hear of no signal: what they hold open they look after themselves.
 *
 * **Example** (Opening a log again)
 *
 * ```ts
 * import { NodeServer } from "@socketserver/node"
 * import { Effect } from "effect"
 *
 * const reopened = NodeServer.onReload(Effect.logInfo("opened the log again"))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const onReload = <R>(reload: Effect.Effect<void, never, R>): Layer.Layer<never, never, R> =>
  Layer.effectDiscard(reloads.during(reload)) as Layer.Layer<never, never, R>

/**
 * The options of a server by URL: those that all transports share, and those of
 * each transport, which hold if the URL names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeServerOptions extends Transport.ServerOptions {
  /** What holds for `tcp://`. */
  readonly tcp?: Omit<TcpServer.TcpListenOptions, "host" | "port"> | undefined
  /** What holds for `tls://`; certificates may also stand in the URL. */
  readonly tls?: Partial<Omit<TlsServer.TlsListenOptions, "host" | "port">> | undefined
  /** What holds for `udp://`. */
  readonly udp?: Omit<UdpServer.UdpListenOptions, "host" | "port"> | undefined
  /** What holds for `fd://`. */
  readonly fd?: Omit<FdServer.FdListenOptions, "fd"> | undefined
  /** What holds for `unix:`. */
  readonly unix?: Omit<UnixServer.UnixListenOptions, "path"> | undefined
  /** What holds for `unixgram:`. */
  readonly unixgram?: Omit<UnixDatagramServer.UnixDatagramListenOptions, "path"> | undefined
}

/**
 * One endpoint or several, as text (separated by commas) or as values.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoints = string | Endpoint.Endpoint | readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>]

/**
 * A server that listens on an endpoint, or on several: their requests come in
 * one stream, under one budget and one policy.
 *
 * **Details**
 *
 * An option of the URL (`tcp://127.0.0.1:9000?backlog=100`) wins over the one of
 * the same name in `options`.
 *
 * **Example** (Listening on a URL)
 *
 * ```ts
 * import { Protocol, Server } from "@socketserver/core"
 * import { NodeServer } from "@socketserver/node"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoTransport = NodeServer.layer(Echo, "tcp://127.0.0.1:9000,unix:///run/echo.sock?mode=660", {
 *   maxConnections: 100
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  endpoints: Endpoints,
  options: NodeServerOptions = {}
): Layer.Layer<Self, ServerError> => {
  // A worker listens nowhere, and has no use for a transport's module.
  if (role !== undefined) return Transport.layer(tag, options, () => Effect.never)
  return Layer.unwrap(
    Effect.gen(function* () {
      // So has a supervisor of copies.
      if (isInert()) return Transport.layer(tag, options, () => Effect.never)
      const all = yield* Effect.fromResult(numbered(yield* allOf(endpoints)))
      const [first, ...others] = yield* Effect.forEach(all, (endpoint) => listenerOf(endpoint, options))
      const encrypts = all.some(({ _tag }) => _tag === "Tls" || (_tag === "Fd" && options.fd?.tls !== undefined))
      const limits = bounded(options, encrypts ? connectionBytes.tls : connectionBytes.plain)
      return Transport.layer(tag, limits, [first as Transport.Listen, ...others])
    })
  )
}

const allOf = (
  endpoints: Endpoints
): Effect.Effect<readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>], ServerError> =>
  typeof endpoints === "string"
    ? Effect.fromResult(Endpoint.parseAll(endpoints))
    : Effect.succeed("_tag" in endpoints ? [endpoints] : endpoints)

/**
 * The options of {@link layerConfig}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerConfigOptions extends NodeServerOptions {
  /**
   * Put before the variables, for a program of several servers: `"ECHO"` reads
   * `ECHO_LISTEN` and `ECHO_POLICY`. Default: none.
   */
  readonly prefix?: string | undefined
  /** Where to listen if `LISTEN` is not set: endpoints, separated by commas. Default: that is an error. */
  readonly listen?: string | undefined
}

/**
 * A server placed by configuration: `LISTEN` says where, as one endpoint URL or several, separated by commas, and
 * `POLICY` how its requests are run, in the form of `NodePolicy.parse`.
 *
 * **Details**
 *
 * Where `LISTEN` is not set and the program was started by socket activation
 * (`LISTEN_FDS`, for this very process), all sockets that were handed to it are
 * served. With a `prefix`, which of them is not said: name one, `ECHO_LISTEN=fd://NAME`.
 *
 * The limits and deadlines have variables of the names of their options:
 * `MAX_CONNECTIONS`, `MAX_CONNECTIONS_PER_PEER`, `MAX_PEER_WAIT`, `MAX_OPENING`, `MAX_REQUESTS_PER_PEER`, `MAX_PIPELINED`, `MAX_BUFFERED`, `MAX_MEMORY`, `MAX_REPLY`, `FIRST_BYTE_TIMEOUT`, `FRAME_TIMEOUT`,
 * `WRITE_TIMEOUT`, `IDLE_TIMEOUT`, `REQUEST_TIMEOUT`, `LOGIN_TIMEOUT`,
 * `MAX_LIFETIME`, `PLACE_TIMEOUT`, `MAX_SENDERS`, `SENDER_TIMEOUT`, `DRAIN_TIMEOUT`, `DRAIN_DELAY`.
 *
 * **Gotchas**
 *
 * A value that cannot be used is an error when the layer is built, before
 * anything is bound; it shows the value and what is accepted. A variable that is
 * set but empty counts as not set.
 *
 * A policy that the program gives to `serve` is the one that counts: `POLICY` has
 * no effect then, and a warning says so.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: LayerConfigOptions = {}
): Layer.Layer<Self, ServerError | Config.ConfigError> => {
  // What a worker could read of it was meant for its parent, such as sockets that were handed to that.
  if (role !== undefined) return layer(tag, Endpoint.memory(tag.key), options)
  const { config, names, told } = settings(options)
  const misspelt = Layer.effectDiscard(Effect.forkScoped(tellMisspelt([...programNames, ...names])))
  const placed = Layer.unwrap(
    Effect.map(Effect.andThen(ofProgram, config), (set) => {
      const transport = Layer.catchTag(
        layer(tag, set.listen.endpoints, { ...options, ...set.limits }),
        "ServerError",
        (error) => Layer.effect(tag, Effect.fail(told(set, error)))
      )
      return set.policy === undefined ? transport : Layer.merge(transport, Layer.succeed(tag.policy, set.policy))
    })
  )
  return Layer.merge(placed, misspelt)
}

/**
 * The options of {@link metrics}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MetricsOptions {
  /** Where it listens if `METRICS_LISTEN` is not set: endpoints, separated by commas, or `off`. Default: `tcp://127.0.0.1:9464`. */
  readonly listen?: string | undefined
}

/**
 * Says over HTTP how the servers of a program do, on a port of its own: `GET
 * /metrics` for Prometheus, `GET /ready` and `GET /health` for whoever sends peers to
 * it, or restarts it.
 *
 * **Details**
 *
 * `/metrics` are all metrics of the program: those of the module `Metrics`, of
 * workers, and the program's own. `/ready` is 200 where each server is ready, and
 * 503 before it can be answered, from when a stop is announced (`drainDelay`), and while nobody
 * new is let in. `/health` is 200 for as long as the event loop turns. It answers
 * until all servers have stopped.
 *
 * Under `PREFORK` each copy listens there, too, and whoever is asked answers for all:
 * counts and gauges are added up, those of copies that have ended included; a copy that does not
 * answer within a second counts with what it has said last. Of one that crashes, what it
 * has counted in its last second or so is lost. In a worker it is not there.
 *
 * At most 64 connections ask at a time, and a request has at most 8 KiB. It is not
 * encrypted unless its endpoint is (`tls://`), and knows no password: bind it where
 * only those can ask who may know. `?allow=` bounds that.
 *
 * **Example** (Metrics beside a server)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))
 *
 * // METRICS_LISTEN=tcp://127.0.0.1:9090: curl http://127.0.0.1:9090/metrics
 * Layer.merge(EchoLive, NodeServer.metrics()).pipe(Layer.provide(NodeServer.layerConfig(Echo)), NodeServer.launch)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const metrics = (options: MetricsOptions = {}): Layer.Layer<never, ServerError | Config.ConfigError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      // A worker's server counts, and a supervisor's copies answer.
      if (isInert()) return Layer.empty
      yield* Effect.forkScoped(tellMisspelt([metricsVariable]))
      const parse = (text: string) => (text === "off" ? Result.succeed(undefined) : streams(text))
      const { endpoints, variable } = yield* Config.mapEffect(
        Config.withDefault(Config.String(metricsVariable), ""),
        (text) => {
          const variable = text === "" ? undefined : metricsVariable
          return Effect.mapBoth(Effect.fromResult(parse(text || (options.listen ?? defaultMetrics))), {
            onSuccess: (endpoints) => ({ endpoints, variable }),
            onFailure: (error) => invalid(`${variable ?? "NodeServer.metrics"}: ${error.message}`, error)
          })
        }
      )
      if (endpoints === undefined) return Layer.empty
      const { layer } = yield* Effect.promise(() => import("./internal/metrics/serve.ts"))
      const said = (where: ReadonlyArray<string>) =>
        isSilent() ? Effect.void : Effect.logInfo(`metrics, readiness and health are told on ${where.join(" and ")}`)
      return Layer.catchTag(layer(endpoints, said), "ServerError", (error) =>
        Layer.effectDiscard(Effect.fail(located(error, { variable })))
      )
    })
  )

const metricsVariable = "METRICS_LISTEN"

/** The port that exporters for Prometheus have by convention. */
const defaultMetrics = "tcp://127.0.0.1:9464"

/** Endpoints of connections. */
const streams = (
  text: string
): Result.Result<readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>], { readonly message: string }> =>
  Result.flatMap(endpoints(text, {}), (all) => {
    const datagrams = all.find(({ _tag }) => _tag === "Udp" || _tag === "Unixgram")
    return datagrams === undefined
      ? Result.succeed(all)
      : Result.fail({ message: `${datagrams} takes no connections; HTTP needs some` })
  })

/** What is set for the whole program is the business of who runs it, which may not read it of the environment alone. */
const ofProgram: Effect.Effect<void, Config.ConfigError> = Effect.gen(function* () {
  const set = yield* ofProvider((name, read) => variable(name, name, read))
  yield* (yield* OnProgramSettings)(set)
})
