/**
 * For handlers that know their connection: a greeting, a login, state from request
 * to request.
 *
 * A `Session` sets each connection up when its peer connects, and yields the
 * handler of its requests. Over datagrams it is the sender that is set up, with its
 * first datagram. It is an object and no function, so that a middleware
 * for handlers cannot wrap it by accident and silence its greeting; those of
 * `Middleware` take both.
 *
 * When a connection's requests are a dialogue rather than requests,
 * `Protocol.connection` is simpler.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Connection from "./Connection.ts"
import type * as Handler from "./Handler.ts"
import * as Outcome from "./Outcome.ts"

const TypeId = "~@socketserver/core/Session"

/**
 * Sets up connections, each with a handler of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session<in In, in out Out, out R = never> {
  readonly [TypeId]: typeof TypeId
  /** Runs when the peer connects, before its first request, in a scope that closes when the connection has ended and its last handler with it. Over datagrams it runs for a sender's first, and the scope closes when the sender was silent for `senderTimeout`, or made room for another (`maxSenders`). */
  readonly setup: (
    connection: Connection.Ref<Out>
  ) => Effect.Effect<Handler.Handler<In, Out, R>, Outcome.Refused, R | Scope.Scope>
}

/**
 * Makes a session of its setup.
 *
 * **Details**
 *
 * `setup` may greet with `connection.push`, and turn the peer away with
 * {@link refuse}: the connection closes and counts as `Refused`. If it dies the
 * connection closes, too.
 *
 * Unless a policy is chosen, the requests of a connection are handled in their
 * order, connections side by side. `maxConnections` bounds how many.
 *
 * **Example** (Greeting, and counting the requests of a connection)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server, Session } from "@socketserver/core"
 * import { Effect, Layer, Ref } from "effect"
 *
 * class Counter extends Server.Service<Counter>()("Counter", { protocol: Protocol.lines() }) {}
 *
 * const CounterLive = Counter.serve(
 *   Session.make((connection) =>
 *     Effect.gen(function* () {
 *       yield* Effect.ignore(connection.push("ready"))
 *       const count = yield* Ref.make(0)
 *       return (request) =>
 *         Effect.map(Ref.updateAndGet(count, (n) => n + 1), (n) => Response.make(`${n}: ${request.body}`))
 *     })
 *   )
 * )
 *
 * const said = Effect.gen(function* () {
 *   const client = yield* Counter.client
 *   return [yield* client.take, yield* client.send("a"), yield* client.send("b")]
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(CounterLive, MemoryServer.layer(Counter))))
 *
 * await Effect.runPromise(said) // => ["ready", "1: a", "2: b"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <In, Out, R = never, R2 = Scope.Scope>(
  setup: (connection: Connection.Ref<Out>) => Effect.Effect<Handler.Handler<In, Out, R>, Outcome.Refused, R2>
): Session<In, Out, R | Exclude<R2, Scope.Scope>> => ({
  [TypeId]: TypeId,
  // What of R2 is a scope is given to each connection; the rest is the session's.
  setup: setup as never
})

/**
 * Turns the peer away whose connection is set up. Push what it shall hear before.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = (reason: string): Effect.Effect<never, Outcome.Refused> => Effect.fail(Outcome.refused(reason))

/**
 * Wraps the handler that each connection gets: how a middleware goes over a
 * session.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapHandler: {
  <In, Out, R, In2, R2>(
    f: (handler: Handler.Handler<In, Out, R>) => Handler.Handler<In2, Out, R2>
  ): (self: Session<In, Out, R>) => Session<In2, Out, R | R2>
  <In, Out, R, In2, R2>(
    self: Session<In, Out, R>,
    f: (handler: Handler.Handler<In, Out, R>) => Handler.Handler<In2, Out, R2>
  ): Session<In2, Out, R | R2>
} = dual(
  2,
  <In, Out, R, In2, R2>(
    self: Session<In, Out, R>,
    f: (handler: Handler.Handler<In, Out, R>) => Handler.Handler<In2, Out, R2>
  ): Session<In2, Out, R | R2> => make((connection: Connection.Ref<Out>) => Effect.map(self.setup(connection), f))
)

/**
 * Whether something is a session.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSession = (u: unknown): u is Session<never, never, unknown> => hasProperty(u, TypeId)
