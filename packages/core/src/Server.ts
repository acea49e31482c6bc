/**
 * A server is a service that produces typed requests: every program begins here.
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
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Client from "./Client.ts"
import type * as Connection from "./Connection.ts"
import type * as Control from "./Control.ts"
import type * as Endpoint from "./Endpoint.ts"
import type * as Handler from "./Handler.ts"
import { engineOf, listeningOf } from "./internal/face.ts"
import { clients } from "./internal/lazily.ts"
import * as programs from "./internal/ending.ts"
import * as running from "./internal/running.ts"
import * as serving from "./internal/serving.ts"
import type * as Outcome from "./Outcome.ts"
import type * as Policy from "./Policy.ts"
import * as Protocol from "./Protocol.ts"
import type * as Refusal from "./Refusal.ts"
import * as Remote from "./Remote.ts"
import type * as Request from "./Request.ts"
import type * as Response from "./Response.ts"
import type { ServerError } from "./ServerError.ts"
import type * as Session from "./Session.ts"
import type * as Settings from "./Settings.ts"
import type * as Wire from "./Wire.ts"

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
  readonly protocol: Protocol.Protocol<In, Out, never, unknown>
  /**
   * The requests, one by one, with the way back. Take from it, or merge it with
   * other servers'; what is not pulled is not taken. It ends when the server has
   * stopped, and fails if its listener dies.
   */
  readonly requests: Stream.Stream<Request.Incoming<In, Out>, ServerError>
  /** The connections that are open now, to look at, to push to and to close. */
  readonly connections: Effect.Effect<ReadonlyArray<Connection.Ref<Out>>>
  /** How many requests and connections have ended in each way. */
  readonly counts: Effect.Effect<Outcome.Counts>
  /** How much was turned away for each reason: what `counts` has as `Refused`, told apart. */
  readonly refusals: Effect.Effect<Refusal.Counts>
  /** How many requests have begun: a policy has called their handlers, or given them to a worker. */
  readonly begun: Effect.Effect<number>
  /** How often each deadline has ended something, and why else connections were closed. */
  readonly timeouts: Effect.Effect<Outcome.Timeouts>
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
  /** Whether new peers should be sent here, for health checks: somebody takes its requests, accepting is not suspended, and no stop has begun or been announced (`drainDelay`). */
  readonly isReady: Effect.Effect<boolean>
  /** Whether a stop is near or has begun, or another copy has taken its place: peers that keep their connections are better told to come anew. */
  readonly isLeaving: Effect.Effect<boolean>
  /** Its limits, accepting and connections, to be changed while it runs. */
  readonly control: Control.Control
}

/**
 * What a transport needs to know of a declared server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tag<in out Self, in out In, in out Out> extends Context.Key<Self, Server<In, Out>> {
  readonly protocol: Protocol.Protocol<In, Out, never, unknown>
  /** What its requests are ordered by under the policy `keyed`: the `key` of its declaration. */
  readonly keyOf: ((request: Request.Request<In, Out>) => unknown) | undefined
  /** This server's own policy. Unset, it is that of `Policy.Policy`. */
  readonly policy: Context.Reference<Policy.Policy | undefined>
}

/**
 * What `onUndecodable` is told of input that is none of the protocol's messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Undecodable {
  /** What the framing has found and the codec cannot read: text of lines, else bytes; the whole of a datagram. So an answer can have the id of what it answers. `undefined` where no payload was found, as in one that is too large. */
  readonly payload: Protocol.Payload | undefined
  /** Where it has come on. */
  readonly connection: Connection.Info
}

/**
 * The options of `serve` and `run`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions<In, Out = never> {
  /** Default: the server's configured policy, or that of `Policy.Policy`. Where none is chosen at all: `fiber`; for a `Session` and a `Protocol.connection`, in order within a connection, connections side by side. Where it takes the place of a configured one, a warning at the start says so. */
  readonly policy?: Policy.Policy | undefined
  /** What is said to a peer whose input cannot be decoded, before its connection closes: `-ERR Protocol error`. One message, or `Response.empty`; a stream is not sent. A whole-connection handler says it itself. Two servers that answer each other's datagrams so do it for ever: look at `connection.kind`. Default: nothing. */
  readonly onUndecodable?: ((fault: Protocol.DecodeError, about: Undecodable) => Response.Response<Out>) | undefined
  /** What is said to a peer that a limit turns away, before it is closed: `ERR too many connections`. One message, or `Response.empty`. The limits are `maxConnections`, `maxConnectionsPerPeer`, `maxMemory`, descriptors, those of a rate (`RateLimit.verify`), and `control.suspend`; of a whole connection `placeTimeout`, too; `refused.kind` says which. Over TLS nothing can be said before the handshake, so that who is turned away before it hears nothing, as does who sends a datagram. At most 32 peers at a time are told, a second each. Default: nothing. */
  readonly onTurnedAway?:
    | ((refused: Outcome.Refused, connection: Connection.Info) => Response.Response<MessageOf<In, Out>>)
    | undefined
  /** What its handlers keep in memory from request to request, in words: `"counts"`. Under a policy of workers, and in several copies of a program, each would have its own; then the start fails with a `PolicyError` that says so. Default: nothing. */
  readonly shares?: string | undefined
  /** What is answered to a request whose worker ended first: `ERR try again`. Its outcome stays `WorkerCrashed`. Default: nothing, and the connection closes. */
  readonly onWorkerCrashed?:
    | ((crash: Outcome.WorkerCrashed, request: Request.Request<In>) => Response.Response<Out>)
    | undefined
}

/**
 * What a server sends: for a whole connection (`Protocol.connection`), what its handler writes.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageOf<In, Out> = [In] extends [Connection.Connection<infer _In, infer Sent>] ? Sent : Out

/**
 * The options of `serve` and `run` with a `Session`, whose state a process for
 * each request has no place for: such a policy does not compile.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOptions<In, Out = never> extends ServeOptions<In, Out> {
  /** As in {@link ServeOptions}. */
  readonly policy?:
    | (Policy.Policy & {
        /** What the compiler says of such a policy. */
        readonly keepsConnections?: "a Session keeps state for each connection, which a process for each request has no place for: take WorkerPolicy.pool(), or a Handler"
      })
    | undefined
}

/**
 * The options of `handleRequest`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandleRequestOptions {
  /** How long to wait for a request. 0 takes one that is there. Default: for ever. */
  readonly timeout?: Settings.Time | undefined
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
  in out Out,
  in Send = never,
  out Receive = unknown
> extends Context.ServiceClass<Self, Id, Server<In, Out>> {
  readonly protocol: Protocol.Protocol<In, Out, Send, Receive>
  readonly keyOf: ((request: Request.Request<In, Out>) => unknown) | undefined
  readonly policy: Context.Reference<Policy.Policy | undefined>

  /**
   * Serves every request with a handler, or with those of a session, as a layer.
   *
   * **Gotchas**
   *
   * A handler that can fail does not compile: see `Handler.recover`. A server is
   * served once: a second time fails with `AlreadyServed`.
   *
   * If the listener dies later, what was received is answered, and the layer ends
   * with the {@link ServerError}: `NodeServer.launch` stops the whole program with
   * it. Elsewhere it is logged, and the fiber that built the layer is interrupted,
   * whose scope then ends with it; where that fiber has ended already, as of
   * several merged layers, it is an unhandled rejection.
   */
  serve<R = never>(
    work: Handler.Handler<In, Out, R> | Session.Session<In, Out, R>,
    options?: SessionOptions<In, Out>
  ): Layer.Layer<never, ServerError | Policy.PolicyError, Self | R>
  serve<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: ServeOptions<In, Out>
  ): Layer.Layer<never, ServerError | Policy.PolicyError, Self | R>
  // The compiler tells of the last one: as the first, whose words say what does not go together.
  serve<R = never>(
    work: Handler.Handler<In, Out, R> | Session.Session<In, Out, R>,
    options?: SessionOptions<In, Out>
  ): Layer.Layer<never, ServerError | Policy.PolicyError, Self | R>

  /** Serves every request. Only ends by failing: `ServerClosed` after a `shutdown`. */
  run<R = never>(
    work: Handler.Handler<In, Out, R> | Session.Session<In, Out, R>,
    options?: SessionOptions<In, Out>
  ): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R>
  run<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: ServeOptions<In, Out>
  ): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R>
  // The compiler tells of the last one: as the first, whose words say what does not go together.
  run<R = never>(
    work: Handler.Handler<In, Out, R> | Session.Session<In, Out, R>,
    options?: SessionOptions<In, Out>
  ): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R>

  /** Handles one request and returns its outcome, or none if none came in time. */
  handleRequest<R = never>(
    handler: Handler.Handler<In, Out, R>,
    options?: HandleRequestOptions
  ): Effect.Effect<Option.Option<Outcome.Outcome>, ServerError, Self | R>

  /** Prints `listening on <endpoint>` once a request can be answered: the server is bound, somebody takes its requests, and a program that is launched is whole. A line for each listener. */
  readonly announce: Layer.Layer<never, never, Self>

  /**
   * Logs at `Info` everything that did not end as `Completed`: refused connections,
   * malformed input, peers that leave. Without it these lines are at `Debug`, and
   * defects at `Error` all the same.
   *
   * **Details**
   *
   * Of each kind 10 lines a second are logged, 50 at once; how many more there were
   * is a line of its own.
   */
  readonly logOutcomes: Layer.Layer<never, never, Self>

  /** A typed client of this very server, wherever it listens (first). One of a protocol that only a server can speak has nothing that it could send. */
  readonly client: Effect.Effect<Client.Client<Send, Receive>, Connection.ConnectFailed, Self | Scope.Scope>

  /** A connection to this server (its first listener) in raw bytes, to test what a typed client cannot say. */
  readonly rawClient: Effect.Effect<
    Connection.Connection<Uint8Array, Uint8Array>,
    Connection.ConnectFailed,
    Self | Scope.Scope
  >
}

/**
 * Declares a server: its name, and what its requests and responses are.
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
export const Service: {
  <Self = never>(): [Self] extends [never]
    ? /** What is missing here is the class itself: `class Echo extends Server.Service<Echo>()("Echo", { protocol }) {}`. */
      (id: string, options: object) => "write Server.Service<Self>()(id, options): Self is the class that is declared"
    : <const Id extends string, In, Out, Send, Receive>(
        id: Id,
        options: Declared<In, Out, Send, Receive>
      ) => ServiceClass<Self, Id, In, Out, Send, Receive>
  /** What is missing here is an empty call: `Server.Service<Echo>()("Echo", { protocol })`. */
  <_Self>(id: string, options: object): "write Server.Service<Self>()(id, options): the type comes in a call of its own"
} = (<Self>() =>
  <const Id extends string, In, Out, Send, Receive>(
    id: Id,
    options: Declared<In, Out, Send, Receive>
  ): ServiceClass<Self, Id, In, Out, Send, Receive> => {
    const key = Context.Service<Self, Server<In, Out>>()(id)
    const { key: keyOf, protocol } = options
    const policy = Context.Reference<Policy.Policy | undefined>(`${id}/Policy`, { defaultValue: () => undefined })
    const tag: Tag<Self, In, Out> = Object.assign(key, { protocol, keyOf, policy })
    const wire = Effect.flatMap(key, (server) => listeningOf(server).connect)
    const service: Omit<ServiceClass<Self, Id, In, Out, Send, Receive>, keyof Context.ServiceClass<Self, Id, never>> = {
      protocol,
      keyOf,
      policy,
      serve: <R>(work: serving.Work<In, Out, R>, options?: ServeOptions<In, Out>) => serving.layer(tag, work, options),
      run: <R>(work: serving.Work<In, Out, R>, options?: ServeOptions<In, Out>) => serving.run(tag, work, options),
      handleRequest: (handler, options) => serving.handleRequest(tag, handler, options),
      announce: Layer.effectDiscard(
        Effect.flatMap(Effect.zip(key, running.WhenBuilt), ([server, built]) =>
          Remote.isSilent()
            ? Effect.void
            : Effect.forkScoped(
                Effect.andThen(
                  Effect.andThen(engineOf(server).intake.consumers.taken, built),
                  Effect.forEach(server.addresses, (address) => Console.log(`listening on ${address}`), {
                    discard: true
                  })
                )
              )
        )
      ),
      logOutcomes: Layer.effectDiscard(
        Effect.flatMap(key, (server) => {
          const { ledger } = engineOf(server).context
          return Effect.acquireRelease(
            Effect.sync(() => void (ledger.level = "Info")),
            () => Effect.sync(() => void (ledger.level = "Debug"))
          )
        })
      ),
      client: Effect.flatMap(wire, (wire) => clientOf(wire, protocol)),
      rawClient: Effect.flatMap(wire, (wire) => clientOf(wire, Protocol.bytes()))
    }
    return Object.assign(key, service) as never
  }) as never

interface Declared<In, Out, Send, Receive> {
  readonly protocol: Protocol.Protocol<In, Out, Send, Receive>
  readonly key?: ((request: Request.Request<NoInfer<In>, NoInfer<Out>>) => unknown) | undefined
}

/**
 * What is told when the listener of a served layer dies, or its policy turns out to be unusable after that was built.
 * A program runner provides it, as `NodeServer.launch` does, to end the whole program with the error.
 *
 * @category services
 * @since 0.1.0
 */
export const OnListenerDied: Context.Reference<
  ((error: ServerError | Policy.PolicyError) => Effect.Effect<void>) | undefined
> = programs.OnListenerDied

/**
 * A server that listens, as whoever runs its program sees it: its name, how long its stop may take, and what it has done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Running {
  readonly name: string
  /** Where it listens, as text. */
  readonly addresses: string
  /** What its requests are run under, by name; `undefined` as long as nobody serves it. */
  readonly policy: string | undefined
  /** Its limits that are not off, as text. */
  readonly limits: string
  readonly drainMillis: number
  /** How long what its policy runs elsewhere may take to end after that, in milliseconds. */
  readonly graceMillis: number
  readonly delayMillis: number
  /** Completes when its requests can be answered, by whoever serves it; at once, where nobody does. */
  readonly ready: Effect.Effect<void>
  /** It is to stop soon: from now on it is not ready, and it goes on for `delayMillis`, or until a stop begins. One that is not ready does not wait. */
  readonly leave: Effect.Effect<void>
  readonly shutdown: Effect.Effect<Outcome.Report>
  readonly totals: () => Outcome.Totals
  /** Logs a line as the server's own, at `Info`. */
  readonly log: (line: string) => void
}

/**
 * What is told of each server that listens: `NodeServer.launch` provides it, to stop all of them before the program's scope closes. The scope is the server's.
 *
 * @category services
 * @since 0.1.0
 */
export const OnListening: Context.Reference<
  ((server: Running) => Effect.Effect<unknown, never, Scope.Scope>) | undefined
> = running.OnListening

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
export type RequestOf<S> = S extends { readonly protocol: Protocol.Protocol<infer In, infer Out, never, unknown> }
  ? Request.Request<In, Out>
  : never

/**
 * The connection that a declared server's program gets, for what is written apart
 * from it: that of a session's setup and of each request, or the whole one of a
 * `Protocol.connection`.
 *
 * **Example** (Naming the type of a connection)
 *
 * ```ts
 * import { Protocol, Server } from "@socketserver/core"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const greet = (connection: Server.ConnectionOf<typeof Echo>) => connection.push("ready")
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionOf<S> = S extends { readonly protocol: Protocol.Protocol<infer In, infer Out, never, unknown> }
  ? [In] extends [Connection.Connection<infer _In, infer _Out>]
    ? In
    : Connection.Ref<Out>
  : never

/**
 * The handlers of a declared server, with the services `R` that they need.
 *
 * @category models
 * @since 0.1.0
 */
export type HandlerOf<S, R = never> = S extends {
  readonly protocol: Protocol.Protocol<infer In, infer Out, never, unknown>
}
  ? Handler.Handler<In, Out, R>
  : never

/** A server loads what a client takes when there is one. */
const clientOf = <In, Out, Send, Receive>(
  wire: Wire.Wire,
  protocol: Protocol.Protocol<In, Out, Send, Receive>
): Effect.Effect<Client.Client<Send, Receive>, never, Scope.Scope> =>
  Effect.flatMap(clients, ({ fromWire }) => fromWire(wire, protocol))
