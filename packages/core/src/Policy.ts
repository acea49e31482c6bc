/**
 * How requests overlap, and where their handler runs: for servers that want another
 * policy than `fiber`.
 *
 * A `Policy` is a value. Its `drain` never looks into a message, so one policy
 * serves TCP lines, UDP packets and test doubles, and swapping it changes no
 * handler. Replies of one connection leave in the order of its requests under
 * all of them.
 *
 * | policy | at a time | order of work | wrong when |
 * |---|---|---|---|
 * | `sequential` | 1 | as received | a handler waits for anything |
 * | `fiber` (default) | up to 1024 | as begun, all at once | requests of a peer build on each other |
 * | `connection` | up to 1024 | in order within a connection | one connection carries most of the load |
 * | `keyed` | up to 1024 | in order within a key, which the server declares | keys are few and slow |
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Connection from "./Connection.ts"
import type * as Handler from "./Handler.ts"
import * as policies from "./internal/policies.ts"
import * as combinators from "./internal/policyCombinators.ts"
import * as policyText from "./internal/policyText.ts"
import type * as Outcome from "./Outcome.ts"
import type * as Protocol from "./Protocol.ts"
import type * as Request from "./Request.ts"
import { PolicyError } from "./ServerError.ts"
import type * as Settings from "./Settings.ts"
import type * as Worker from "./Worker.ts"

export { PolicyError }

/**
 * A way of running handlers.
 *
 * **Details**
 *
 * `drain` takes the requests as they come and calls `begin` for each when its
 * turn has come. `begin` starts the handler now and returns its fiber, which is
 * already done when the handler answered at once. When and how often `begin` is
 * called is all that a policy decides; the reply, its order, cancellation and
 * the outcome are the server's.
 *
 * `place` says where a handler runs. In process it returns the handler itself. It
 * fails if the policy cannot run that handler, or was made with an option that
 * cannot be used: then nothing is served.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /** As it is written in configuration: `"fiber:64"`. */
  readonly name: string
  /** The variable that has chosen it, as it is called in the environment, for messages. Default: the program has. */
  readonly variable?: string | undefined
  /** How its workers are named (`Worker.name`). */
  readonly worker: Worker.Worker["kind"]
  /**
   * Whether the requests of a peer that is gone are interrupted, or finish for
   * their effects. Over TCP a peer that hangs up regularly is only gone when
   * something is written to it: until then it could still be reading.
   */
  readonly onPeerGone: "cancel" | "finish"
  /** How long what it runs elsewhere may take to end once the deadline of a stop has passed, in milliseconds: the program waits so much longer. Default: 0. */
  readonly graceMillis?: number | undefined
  readonly drain: <A extends Request.Request<unknown>, E>(
    requests: Stream.Stream<A, E>,
    begin: (request: A) => Fiber.Fiber<unknown>,
    server: Drained<A>
  ) => Effect.Effect<void, E>
  readonly place: <I, O, R>(
    served: Served<I, O, R>,
    server: Placement<I, O>
  ) => Effect.Effect<Served<I, O, R>, PolicyError, Scope.Scope>
}

/**
 * A policy under which the requests of a connection find nothing of each other,
 * as with a process for each: a `Session` does not compile with it, and does not
 * start where only configuration knows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stateless extends Policy {
  readonly keepsConnections: false
}

/**
 * What is served: the handler of requests, and how a connection is set up before
 * its first, where that is a `Session`'s.
 *
 * @category models
 * @since 0.1.0
 */
export interface Served<in In, in out Out, out R = never> {
  readonly handler: Handler.Handler<In, Out, R>
  readonly onConnect: ((connection: Connection.Ref<Out>) => Effect.Effect<unknown, Outcome.Refused, R>) | undefined
  /** Whether there is room for one more request, where what stands in for the handler has a queue of its own. */
  readonly room?: Room | undefined
}

/**
 * Where requests wait that have begun, and how many do. Those for which there is
 * no room wait before they begin, which slows down who sends them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Room {
  readonly isFull: () => boolean
  /** Waits until it is not full. */
  readonly free: Effect.Effect<void>
}

/**
 * What a policy knows of the server whose requests it drains.
 *
 * @category models
 * @since 0.1.0
 */
export interface Drained<A> {
  /** What its requests are ordered by, if it was declared with a `key`. It may throw. */
  readonly key: ((request: A) => unknown) | undefined
  /** Where its requests wait once they have begun, if the policy's `place` has said so. */
  readonly room?: Room | undefined
  /**
   * Asks to be told when a reply has to wait for its turn or for its reader, so
   * that its place can go to another. Where others have to wait all the same, the
   * listener returns what says whether anybody does: the reply is then broken off
   * after `placeTimeout` without progress. That is what happens, too, under a
   * policy that does not ask, which keeps each place until its request has ended.
   */
  readonly onParked?: ((listener: (request: A) => (() => boolean) | undefined) => void) | undefined
}

/**
 * The server whose handler is placed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Placement<In, Out> {
  /** The key of its service. */
  readonly service: string
  readonly protocol: Protocol.Protocol<In, Out, never, unknown>
  /** What its requests are ordered by under {@link keyed}, if it was declared with a `key`. */
  readonly key: ((request: Request.Request<In, Out>) => unknown) | undefined
  /** Where it listens. */
  readonly address: string
  /** Stops it, as `server.shutdown` does. */
  readonly shutdown: Effect.Effect<unknown>
  /** Says what the state of a connection that is elsewhere has died of as it was released: it is told as if it were here, in the log and in the stop's report. */
  readonly unreleased: (error: unknown) => void
  /** How long a worker of it may take to start, in milliseconds. */
  readonly startMillis: number
  /** How long a reply that nobody reads may keep a place that others wait for, in milliseconds. */
  readonly placeMillis: number
}

/**
 * The options of {@link fiber}, {@link connection} and {@link keyed}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConcurrencyOptions {
  /** Handlers at a time. Default: 1024. At the limit no request is taken until one ends; those that wait are bounded by the pipelining limit of their connections, and take turns by peer and by connection. A streamed reply that has had to wait for its turn or its reader counts no more. */
  readonly max?: number | undefined
}

/**
 * The forms that {@link parse} accepts, as error messages show them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forms: ReadonlyArray<string> = [
  "sequential",
  "fiber[:max]",
  "connection[:max]",
  "keyed[:max]",
  "and for all of them: ,timeout=DURATION ,onPeerGone=cancel|finish"
]

/**
 * One request after the other, in turn by peer and by connection. A request that
 * waits makes all others wait; a reply that its peer does not read does so for at
 * most `placeTimeout`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sequential: Policy = policies.sequential

/**
 * Each request in a fiber of its own, up to `max` at a time (default 1024).
 *
 * **Gotchas**
 *
 * Requests that one peer sends at once are worked on at once; only their
 * replies are in order. Use {@link connection} where they build on each other.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fiber = (options?: ConcurrencyOptions): Policy => policies.fiber(options)

/**
 * The requests of a connection one after the other, connections side by side.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connection = (options?: ConcurrencyOptions): Policy => policies.connection(options)

/**
 * Requests with the same key one after the other, keys side by side. Those of a connection
 * are in their order; connections with the same key take turns. The key is
 * the server's, declared with its protocol; keys are compared as those of a `Map`.
 *
 * **Gotchas**
 *
 * A server without a `key` does not start under it: `PolicyError`. A key function
 * that throws costs its own request, which ends as `Failed`.
 *
 * **Example** (In order for each account)
 *
 * ```ts
 * import { Policy, Protocol, Server } from "@socketserver/core"
 *
 * class Bank extends Server.Service<Bank>()("Bank", {
 *   protocol: Protocol.lines(),
 *   key: (request) => request.body.split(" ", 1)[0]
 * }) {}
 *
 * Policy.keyed({ max: 64 }).name // => "keyed:64"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const keyed = (options?: ConcurrencyOptions): Policy => policies.keyed(options)

/**
 * Lets the handlers of a peer that is gone finish, for the sake of their
 * effects. Their requests still end as `Cancelled`: nobody hears the answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const finishing = (self: Policy): Policy => combinators.finishing(self)

/**
 * Interrupts every handler that takes longer: `Middleware.timeout` for a whole
 * server, and from configuration. The request ends as `TimedOut`, and its
 * connection closes. A whole-connection protocol is bounded as a whole.
 *
 * **Example** (Bounding each request)
 *
 * ```ts
 * import { Policy } from "@socketserver/core"
 *
 * Policy.timeout(Policy.fiber({ max: 64 }), "5 seconds").name // => "fiber:64,timeout=5s"
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout: {
  (duration: Settings.Time): (self: Policy) => Policy
  (self: Policy, duration: Settings.Time): Policy
} = dual(2, combinators.timeout)

/**
 * The policy of a server that is given no other: `fiber`.
 *
 * @category services
 * @since 0.1.0
 */
export const Policy: Context.Reference<Policy | undefined> = policies.reference

/**
 * Provides a policy to the servers above.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (policy: Policy): Layer.Layer<never> => Layer.succeed(policies.reference, policy)

/**
 * Parses `name[:size][,option=value]`.
 *
 * **Example** (Choosing a policy by name)
 *
 * ```ts
 * import { Policy } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * Result.map(Policy.parse("fiber:64"), (policy) => policy.name) // => Result.succeed("fiber:64")
 *
 * const wrong = Policy.parse("nonsense")
 * Result.isFailure(wrong) && wrong.failure.problem // => 'there is no policy "nonsense"'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Policy, PolicyError> => parseWith(text, forms, () => undefined)

/**
 * Parses as {@link parse} does, with policies of your own. `own` is asked first,
 * for each text: it takes the options that are its own out of `settings`, and
 * returns a policy, a problem, or nothing if it does not know the name. `accepted`
 * are the forms that an error shows, a line each; one such as `pool[:size]` is
 * also a name that somebody may have meant who wrote another.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseWith: (
  text: string,
  accepted: ReadonlyArray<string>,
  own: (name: string, size: number | undefined, settings: Map<string, string>) => Policy | string | undefined
) => Result.Result<Policy, PolicyError> = policyText.parseWith

/**
 * A policy from configuration, in the form of {@link parse}.
 *
 * **Details**
 *
 * Without the variable it is the default, `fiber`. `Config.nested` gives each
 * server of a program its own.
 *
 * **Example** (Reading a server's own variable)
 *
 * ```ts
 * import { Policy } from "@socketserver/core"
 * import { Config, ConfigProvider, Effect } from "effect"
 *
 * const policy = Policy.config("POLICY").pipe(Config.nested("ECHO"))
 * const provider = ConfigProvider.fromEnv({ env: { ECHO_POLICY: "connection:10" } })
 *
 * Effect.runSync(policy.parse(provider)).name // => "connection:10"
 * ```
 *
 * @category config
 * @since 0.1.0
 */
export const config = (name: string): Config.Config<Policy> => configWith(name, parse)

/**
 * A policy from configuration, in a form of your own; see {@link parseWith}.
 *
 * @category config
 * @since 0.1.0
 */
export const configWith = (
  name: string,
  parse: (text: string) => Result.Result<Policy, PolicyError>
): Config.Config<Policy> => {
  // As a schema, its error names the whole path of the variable.
  const Parsable = Schema.String.check(
    Schema.makeFilter((text: string) =>
      Result.match(parse(text), { onFailure: (error) => error.message, onSuccess: () => undefined })
    )
  )
  return Config.schema(Parsable, name).pipe(
    Config.map((text) => Result.getOrThrow(parse(text))),
    Config.withDefault(policies.fiber())
  )
}
