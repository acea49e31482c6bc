/**
 * A server is a service that produces typed requests.
 *
 * Declare it once, with its protocol; implement it with a handler; place it with
 * a transport layer and a policy.
 *
 * **Example** (A whole server, tested in memory)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* Echo.client
 *   return yield* client.send("Hello, world")
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * await Effect.runPromise(program) // => "Hello, world"
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Client from "./Client.ts"
import type * as Connection from "./Connection.ts"
import type * as Endpoint from "./Endpoint.ts"
import type * as Handler from "./Handler.ts"
import { fromWire } from "./internal/client.ts"
import { connectHook } from "./internal/hooks.ts"
import type { Incoming } from "./internal/incoming.ts"
import { crashAnswered } from "./internal/crashes.ts"
import * as policies from "./internal/policies.ts"
import { engineOf, listeningOf } from "./internal/server.ts"
import * as Outcome from "./Outcome.ts"
import type * as Policy from "./Policy.ts"
import * as Protocol from "./Protocol.ts"
import * as Remote from "./Remote.ts"
import type * as Request from "./Request.ts"
import type * as Response from "./Response.ts"
import { PolicyFailed, type ServerError } from "./ServerError.ts"
import * as Worker from "./Worker.ts"

/**
 * A server that listens: what a transport layer provides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Server<in out In, in out Out> {
  /** Where it listens, with the bound port. */
  readonly address: Endpoint.Endpoint
  /** All of them, where it has several listeners, in the order in which they were given. */
  readonly addresses: readonly [Endpoint.Endpoint, ...Array<Endpoint.Endpoint>]
  readonly protocol: Protocol.Protocol<In, Out>
  /**
   * The requests, one by one, with the way back. Take from it, or merge it with
   * other servers'; what is not pulled is not taken. It ends when the server has
   * stopped, and fails if its listener dies.
   */
  readonly requests: Stream.Stream<Request.Incoming<In, Out>, ServerError>
  /** The connections that are open now. */
  readonly connections: Effect.Effect<ReadonlyArray<Connection.Info>>
  /** How many requests and connections have ended in each way. */
  readonly counts: Effect.Effect<Outcome.Counts>
  /** Every outcome from now on. A subscriber that falls 4096 behind loses the oldest; `counts` loses none. */
  readonly outcomes: Stream.Stream<Outcome.Event>
  /**
   * Stops: accepting ends at once, idle connections close, what was received is
   * answered, and after the drain timeout the rest is interrupted. Closing the
   * transport's scope does the same. From inside a handler it does not wait for
   * that handler.
   */
  readonly shutdown: Effect.Effect<Outcome.Report>
  /** Completes when a stop begins: for handlers that would go on for ever, as in `Stream.interruptWhen(server.stopping)`. */
  readonly stopping: Effect.Effect<void>
}

/**
 * What a transport needs to know of a declared server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tag<in out Self, in out In, in out Out> extends Context.Key<Self, Server<In, Out>> {
  readonly protocol: Protocol.Protocol<In, Out>
  /** What its requests are ordered by under the policy `keyed`: the `key` of its declaration. */
  readonly keyOf: ((request: Request.Request<In, Out>) => unknown) | undefined
  /** This server's own policy. Unset, it is that of `Policy.Policy`. */
  readonly policy: Context.Reference<Policy.Policy | undefined>
}

/**
 * The options of `serve` and `run`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions<In, Out = never> extends ServeHooks<In, Out> {
  /** Default: the server's configured policy, or that of `Policy.Policy`. */
  readonly policy?: Policy.Policy | undefined
}

/**
 * The options of `serve` and `run` of a server whose protocol only the server
 * can speak: its requests cannot cross to a worker, so that a policy of workers
 * does not compile.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocalServeOptions<In, Out = never> extends ServeHooks<In, Out> {
  /** Default: the server's configured policy, or that of `Policy.Policy`. */
  readonly policy?: (Policy.Policy & { readonly crosses?: never }) | undefined
}

/**
 * What a server says where its handler cannot.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeHooks<In, Out = never> {
  /** What is said to a peer whose input cannot be decoded, before its connection closes: `-ERR Protocol error`. One message, or `Response.empty`; a stream is not sent. A whole-connection handler says it itself. Two servers that answer each other's datagrams so do it for ever: look at `connection.listener`. Default: nothing. */
  readonly onUndecodable?:
    | ((fault: Protocol.DecodeError, connection: Connection.Info) => Response.Response<Out>)
    | undefined
  /** What is answered to a request whose worker ended first: `ERR try again`. Its outcome stays `WorkerCrashed`. Default: nothing, and the connection closes. */
  readonly onWorkerCrashed?:
    | ((crash: Outcome.WorkerCrashed, request: Request.Request<In>) => Response.Response<Out>)
    | undefined
}

/**
 * The options of `handleRequest`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandleRequestOptions {
  /** How long to wait for a request. Default: for ever. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * A declared server: the key of its service, with everything that hangs off it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<
  in out Self,
  in out Id extends string,
  in out In,
  in out Out
> extends Context.ServiceClass<Self, Id, Server<In, Out>> {
  readonly protocol: Protocol.Protocol<In, Out>
  readonly keyOf: ((request: Request.Request<In, Out>) => unknown) | undefined
  readonly policy: Context.Reference<Policy.Policy | undefined>

  /**
   * Serves every request with `handler`, as a layer.
   *
   * **Gotchas**
   *
   * A handler that can fail does not compile: see `Handler.recover`. If the
   * listener dies later, `NodeServer.launch` stops the whole program and ends with
   * the {@link ServerError}. Under a plain `Layer.launch` the error is logged, and
   * the fiber that built the layer is interrupted; where that has ended already
   * (`Layer.mergeAll` builds in fibers of its own), what was received is answered,
   * and then the error is thrown, as an `error` event that nobody handles is.
   */
  serve<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: LocalServeOptions<In, Out>
  ): Layer.Layer<never, Policy.PolicyError, Self | R>

  /** Serves every request with `handler`. Only ends by failing: `ServerClosed` after a `shutdown`. */
  run<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: LocalServeOptions<In, Out>
  ): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R>

  /** Handles one request and returns its outcome, or none if none came in time. */
  handleRequest<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: HandleRequestOptions
  ): Effect.Effect<Option.Option<Outcome.Outcome>, ServerError, Self | R>

  /** Prints `listening on <endpoint>` once the server is bound, a line for each listener. */
  readonly announce: Layer.Layer<never, never, Self>

  /**
   * Logs everything that did not end as `Completed`: refused connections,
   * malformed input, peers that leave. Defects are logged without it.
   *
   * **When to use**
   *
   * While you write a client, or where peers are trusted: a hostile one can fill
   * the log with it, so that `Debug` level is all that there is otherwise.
   */
  readonly logOutcomes: Layer.Layer<never, never, Self>

  /** A connection to this server (its first listener) in raw bytes, to test what a typed client cannot say. */
  readonly connect: Effect.Effect<
    Connection.Connection<Uint8Array, Uint8Array>,
    Connection.ConnectFailed,
    Self | Scope.Scope
  >
}

/**
 * A declared server whose protocol can be spoken from the other end too.
 *
 * @category models
 * @since 0.1.0
 */
export interface DuplexServiceClass<
  in out Self,
  in out Id extends string,
  in out In,
  in out Out,
  in out Send,
  in out Receive
> extends ServiceClass<Self, Id, In, Out> {
  readonly protocol: Protocol.Duplex<In, Out, Send, Receive>
  /** As {@link ServiceClass.serve}, under any policy. */
  serve<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: ServeOptions<In, Out>
  ): Layer.Layer<never, Policy.PolicyError, Self | R>
  /** As {@link ServiceClass.run}, under any policy. */
  run<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: ServeOptions<In, Out>
  ): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R>
  /** A typed client of this very server, wherever it listens (first). */
  readonly client: Effect.Effect<Client.Client<Send, Receive>, Connection.ConnectFailed, Self | Scope.Scope>
}

/**
 * Declares a server: its name, and what its requests and responses are.
 *
 * **Details**
 *
 * `key` says which requests build on each other, for the policy `keyed`: those
 * with the same key are handled one after the other. Default: none, and the
 * server does not start under `keyed`.
 *
 * **Example** (Declaring a server)
 *
 * ```ts
 * import { Protocol, Server } from "@socketserver/core"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.key // => "Echo"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>(): {
    <const Id extends string, In, Out, Send, Receive>(
      id: Id,
      options: {
        readonly protocol: Protocol.Duplex<In, Out, Send, Receive>
        readonly key?: ((request: Request.Request<In, Out>) => unknown) | undefined
      }
    ): DuplexServiceClass<Self, Id, In, Out, Send, Receive>
    <const Id extends string, In, Out>(
      id: Id,
      options: {
        readonly protocol: Protocol.Protocol<In, Out>
        readonly key?: ((request: Request.Request<In, Out>) => unknown) | undefined
      }
    ): ServiceClass<Self, Id, In, Out>
  } =>
  <const Id extends string, In, Out>(
    id: Id,
    options: {
      readonly protocol: Protocol.Protocol<In, Out>
      readonly key?: ((request: Request.Request<In, Out>) => unknown) | undefined
    }
  ) => {
    const key = Context.Service<Self, Server<In, Out>>()(id)
    const tag: Tag<Self, In, Out> = Object.assign(key, {
      protocol: options.protocol,
      keyOf: options.key,
      policy: Context.Reference<Policy.Policy | undefined>(`${id}/Policy`, { defaultValue: () => undefined })
    })
    const wire = Effect.flatMap(key, (server) => listeningOf(server).connect)
    const service: Omit<ServiceClass<Self, Id, In, Out>, keyof Context.ServiceClass<Self, Id, never>> = {
      protocol: tag.protocol,
      keyOf: tag.keyOf,
      policy: tag.policy,
      serve: (handler, options) => serve(tag, handler, options),
      run: (handler, options) => Effect.scoped(Effect.flatMap(prepare(tag, handler, options), (loop) => loop)),
      handleRequest: (handler, options) => handleRequest(tag, handler, options),
      announce: Layer.effectDiscard(
        Effect.flatMap(key, (server) =>
          Remote.isSilent()
            ? Effect.void
            : Effect.forEach(server.addresses, (address) => Console.log(`listening on ${address}`), { discard: true })
        )
      ),
      logOutcomes: Layer.effectDiscard(
        Effect.flatMap(key, (server) => Effect.forkScoped(Stream.runForEach(server.outcomes, logOutcome)))
      ),
      connect: Effect.flatMap(wire, (wire) => fromWire(wire, Protocol.bytes().client))
    }
    const client = "client" in options.protocol ? (options.protocol as Protocol.Duplex<In, Out>).client : undefined
    return Object.assign(
      key,
      service,
      client && { client: Effect.flatMap(wire, (wire) => fromWire(wire, client)) }
    ) as never
  }

/**
 * What is told when the listener of a served layer dies. A program runner
 * provides it, as `NodeServer.launch` does, to end the whole program with the error.
 *
 * **Details**
 *
 * Where nothing is provided, `serve` ends the fiber that built the layer itself.
 *
 * @category services
 * @since 0.1.0
 */
export const OnListenerDied: Context.Reference<((error: ServerError) => void) | undefined> = Context.Reference<
  ((error: ServerError) => void) | undefined
>("@socketserver/core/Server/OnListenerDied", { defaultValue: () => undefined })

/**
 * The requests of a declared server, for handlers that are written apart from it.
 *
 * **Example** (Naming the type of a handler)
 *
 * ```ts
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const shout: Server.HandlerOf<typeof Echo> = (request) => Effect.succeed(Response.make(request.body.toUpperCase()))
 *
 * const EchoLive = Echo.serve(shout)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type RequestOf<S> = S extends { readonly protocol: Protocol.Protocol<infer In, infer Out> }
  ? Request.Request<In, Out>
  : never

/**
 * The handlers of a declared server, with the services `R` that they need.
 *
 * @category models
 * @since 0.1.0
 */
export type HandlerOf<S, R = never> = S extends { readonly protocol: Protocol.Protocol<infer In, infer Out> }
  ? Handler.Handler<In, Out, R>
  : never

/** Everything that can go wrong at the start, and then the loop that serves. */
const prepare = <Self, In, Out, R>(
  tag: Tag<Self, In, Out>,
  handler: Handler.Handler<In, Out, R>,
  options: ServeOptions<In, Out> | undefined
): Effect.Effect<Effect.Effect<never, ServerError>, Policy.PolicyError, Self | R | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* tag
    const engine = engineOf(server)
    const host = yield* Remote.host
    const mine = host?.service === tag.key
    // Elsewhere in a worker's program nothing is served.
    const policy: Policy.Policy =
      (host === undefined ? undefined : mine ? host.policy : policies.sequential) ??
      options?.policy ??
      (yield* tag.policy) ??
      (yield* policies.reference)
    const placement = {
      service: tag.key,
      protocol: tag.protocol,
      key: tag.keyOf,
      address: String(server.address),
      shutdown: engine.shutdown
    }
    const placed = crashAnswered(yield* policy.place(handler, placement), options?.onWorkerCrashed)
    const worker = mine ? host.worker : inProcess(policy.worker, engine)
    const context = Context.add(yield* Effect.context<R>(), Worker.Worker, worker)
    const run = engine.handlerRunner(context)
    const finishes = policy.onPeerGone === "finish"
    const begin = (request: Incoming<In, Out>) => engine.begin(request, placed as never, run, finishes)
    engine.onUndecodable = options?.onUndecodable
    const hook = connectHook<Out>(placed)
    if (hook !== undefined) {
      yield* Effect.acquireRelease(
        Effect.sync(() => engine.onConnect(hook, run)),
        (release) => Effect.sync(release)
      )
    }
    return Effect.scoped(
      Effect.gen(function* () {
        const draining = yield* Effect.forkScoped(policy.drain(engine.batches, begin, { key: tag.keyOf }))
        // A handler that cannot be interrupted holds the drain, but not the end of the stop.
        // A policy has no end of its own: where it ends, or dies, nobody takes what the server still receives.
        const drained = Effect.onExit(joined(draining), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit) && !Cause.hasDies(exit.cause)) return
            const cause = Exit.isFailure(exit) ? Cause.squash(exit.cause) : new Error("it takes no more requests")
            engine.fail(new PolicyFailed({ policy: policy.name, cause }))
          })
        )
        const ended = Effect.raceFirst(Effect.andThen(Effect.exit(drained), engine.stopped), engine.stopped)
        yield* Effect.onInterrupt(ended, () => engine.shutdown)
        return yield* Effect.fail(engine.closed)
      })
    )
  })

/** The worker of handlers that run where their server does. */
const inProcess = (kind: Policy.Policy["worker"], engine: { readonly begun: number }): Worker.Worker => ({
  kind,
  id: Remote.copyId(),
  get requests() {
    return engine.begun
  }
})

const logOutcome = ({ connection, outcome, request }: Outcome.Event): Effect.Effect<void> =>
  outcome._tag === "Completed" || outcome._tag === "Failed" || outcome._tag === "WorkerCrashed"
    ? Effect.void
    : Effect.logInfo(
        `${request === undefined ? "A connection" : `Request ${request.id}`} from ${connection.peer.name}: ${Outcome.describe(outcome)}`
      )

const joined = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    const stop = fiber.addObserver(resume)
    return Effect.sync(stop)
  })

const serve = <Self, In, Out, R>(
  tag: Tag<Self, In, Out>,
  handler: Handler.Handler<In, Out, R>,
  options: ServeOptions<In, Out> | undefined
): Layer.Layer<never, Policy.PolicyError, Self | R> =>
  Layer.effectDiscard(
    Effect.withFiber((builder) =>
      Effect.gen(function* () {
        const loop = yield* prepare(tag, handler, options)
        let died: Exit.Failure<never, ServerError> | undefined
        // A layer that has been built has no error channel of its own: its scope's end carries the error.
        yield* Effect.addFinalizer(() => (died === undefined ? Effect.void : Effect.orDie(died)))
        const context = yield* Effect.context<never>()
        const server = yield* tag
        const onListenerDied = yield* OnListenerDied
        const fiber = yield* Effect.forkScoped(loop)
        fiber.addObserver((exit) => {
          if (exit._tag === "Success") return
          const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          if (error === undefined || error.reason._tag === "ServerClosed") return
          died = exit
          if (onListenerDied !== undefined) return onListenerDied(error)
          if (builder.pollUnsafe() === undefined) {
            Effect.runForkWith(context)(Effect.logFatal(error.message, exit.cause))
            return builder.interruptUnsafe()
          }
          // Nobody waits any more for what was built: answer what was received, and end as an unhandled `error` event does.
          Effect.runForkWith(context)(server.shutdown).addObserver(() =>
            queueMicrotask(() => {
              throw error
            })
          )
        })
      })
    )
  ) as Layer.Layer<never, Policy.PolicyError, Self | R>

const handleRequest = <Self, In, Out, R>(
  tag: Tag<Self, In, Out>,
  handler: Handler.Handler<In, Out, R>,
  options: HandleRequestOptions | undefined
): Effect.Effect<Option.Option<Outcome.Outcome>, ServerError, Self | R> =>
  Effect.gen(function* () {
    const engine = engineOf(yield* tag)
    const take = Effect.catchTag(engine.mailbox.takeOne, "Done", () => Effect.fail(engine.closed))
    const handleOne = Effect.gen(function* () {
      const taken =
        options?.timeout === undefined ? Option.some(yield* take) : yield* Effect.timeoutOption(take, options.timeout)
      if (Option.isNone(taken)) return Option.none()
      return Option.some(yield* taken.value[0].handle(handler))
    })
    return yield* engine.consumeOne(handleOne)
  })
