/**
 * Servers by URL or by configuration, for programs that listen; and `launch`,
 * which runs them.
 *
 * A transport that no URL names is not loaded.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import * as Runtime from "effect/Runtime"
import { activated, numbered } from "./internal/activation.ts"
import { listenerOf } from "./internal/listeners.ts"
import * as query from "./internal/query.ts"
import { lineOf } from "./internal/startError.ts"
import { copy } from "./internal/prefork/copy.ts"
import { role } from "./internal/worker/child/role.ts"
import type * as FdServer from "./FdServer.ts"
import * as NodePolicy from "./NodePolicy.ts"
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
 * `NodeRuntime.runMain`, and three differences: a stop that was asked for is
 * success (`runMain` alone exits with 130), a start that fails prints its
 * message in one line and exits with 1, and logs go to stderr, so that stdout
 * is the program's own. A second signal ends the drain at once, with 130 or 143.
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
export const launch = <A, E>(layer: Layer.Layer<A, E>): void => {
  const copies = role === undefined && copy === undefined ? prefork(process.env["PREFORK"]) : undefined
  if (copies !== undefined) {
    return void import("./internal/prefork/supervisor.ts").then(({ Supervisor }) => new Supervisor(copies).run())
  }
  const died = Deferred.makeUnsafe<never, ServerError>()
  const built = Effect.sync(() => copy?.ready())
  const program = Effect.scoped(Effect.andThen(Layer.build(layer), Effect.andThen(built, Effect.never))).pipe(
    Effect.raceFirst(Deferred.await(died)),
    Effect.provideService(Server.OnListenerDied, (error) => Effect.asVoid(Deferred.fail(died, error))),
    Effect.tapCause(report),
    Effect.provideService(Logger.LogToStderr, true)
  )
  if (role !== undefined) return void import("./internal/worker/child/run.ts").then(({ run }) => run(program))
  let stopped = false
  const stop = (_: NodeJS.Signals, signal: number) => {
    // Who asks twice does not want to wait for the drain.
    if (stopped) process.exit(128 + signal)
    stopped = true
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  program.pipe(
    NodeRuntime.runMain({
      disableErrorReporting: true,
      // Being asked to stop, and having stopped, is success.
      teardown: (exit, onExit) =>
        stopped && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          ? onExit(0)
          : Runtime.defaultTeardown(exit, onExit)
    })
  )
}

/** How many copies of itself a program shall run, if it says so. */
const prefork = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "") return undefined
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  process.stderr.write(`PREFORK: ${JSON.stringify(text)} is not a positive integer\n`)
  process.exit(1)
}

// An expected error says what is wrong in its message; a defect needs its stack.
const report = (cause: Cause.Cause<unknown>) => {
  const expected = cause.reasons.filter(Cause.isFailReason)
  if (expected.length > 0) return Effect.forEach(expected, ({ error }) => Console.error(lineOf(error)))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(cause)
}

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
      const all = yield* Effect.fromResult(numbered(yield* allOf(endpoints)))
      const [first, ...others] = yield* Effect.forEach(all, (endpoint) => listenerOf(endpoint, options))
      return Transport.layer(tag, options, [first as Transport.Listen, ...others])
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
 * `DRAIN_TIMEOUT`, `IDLE_TIMEOUT`, `MAX_CONNECTIONS` and `MAX_PIPELINED`
 * override the options of the same names.
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
  return Layer.unwrap(
    Effect.map(settings(options), (set) => {
      const transport = layer(tag, set.listen, {
        ...options,
        maxConnections: set.maxConnections ?? options.maxConnections,
        maxPipelined: set.maxPipelined ?? options.maxPipelined,
        idleTimeout: set.idleTimeout ?? options.idleTimeout,
        drainTimeout: set.drainTimeout ?? options.drainTimeout,
        startTimeout: set.startTimeout ?? options.startTimeout
      })
      return set.policy === undefined ? transport : Layer.merge(transport, Layer.succeed(tag.policy, set.policy))
    })
  )
}

const settings = (options: LayerConfigOptions) => {
  // As the variable is called in the environment, for messages.
  const called = (name: string) => (options.prefix === undefined ? name : `${options.prefix}_${name}`)

  const parsed = <A>(
    name: string,
    parse: (text: string) => Result.Result<A, { readonly message: string }>
  ): Config.Config<A | undefined> =>
    Config.mapEffect(Config.withDefault(Config.String(name), undefined), (text) =>
      text === undefined
        ? Effect.succeed(undefined)
        : Effect.mapError(Effect.fromResult(parse(text)), (error) =>
            invalid(`${called(name)}: ${error.message}`, error)
          )
    )

  const listen = Config.mapEffect(parsed("LISTEN", endpoints), (set) => {
    if (set !== undefined) return Effect.succeed(set)
    const [first, ...others] = options.prefix === undefined ? activated().map(({ fd }) => Endpoint.fd(fd)) : []
    if (first !== undefined) return Effect.succeed([first, ...others] as const)
    if (options.listen === undefined) {
      return Effect.fail(invalid(`${called("LISTEN")} is not set. Accepted: ${Endpoint.forms.join(", ")}`))
    }
    return Effect.mapError(Effect.fromResult(endpoints(options.listen)), (error) => invalid(error.message, error))
  })

  const all = Config.all({
    listen,
    policy: parsed("POLICY", NodePolicy.parse),
    drainTimeout: parsed("DRAIN_TIMEOUT", duration({ zero: true })),
    startTimeout: parsed("START_TIMEOUT", duration({})),
    idleTimeout: parsed("IDLE_TIMEOUT", duration({ off: true })),
    maxConnections: parsed("MAX_CONNECTIONS", positive),
    maxPipelined: parsed("MAX_PIPELINED", positive)
  })
  return options.prefix === undefined ? all : Config.nested(all, options.prefix)
}

/** Endpoints whose options are there, too. */
const endpoints = (
  text: string
): Result.Result<readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>], ServerError> =>
  Result.flatMap(Endpoint.parseAll(text), (endpoints) => {
    for (const endpoint of endpoints) {
      const options = query.ofServer(endpoint)
      if (Result.isFailure(options)) return Result.fail(options.failure)
    }
    return Result.succeed(endpoints)
  })

const duration =
  (forms: Settings.DurationForms) =>
  (text: string): Result.Result<Duration.Duration, { readonly message: string }> =>
    Result.mapError(Settings.duration(text, forms), (problem) => ({ message: `it ${problem}` }))

const positive = (text: string): Result.Result<number, { readonly message: string }> =>
  /^[1-9]\d*$/.test(text)
    ? Result.succeed(Number(text))
    : Result.fail({ message: `"${text}" is not a positive integer` })

const invalid = (message: string, cause?: unknown): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message, cause }))
