/**
 * What a test of a server waits for: that handlers have begun, and that nothing is
 * in work any more. In virtual time and in real time alike, and without a sleep.
 *
 * **Example** (Advancing the clock when the handler waits for it)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Waiting } from "@socketserver/testkit"
 * import { Effect, Fiber, Layer } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * class Slow extends Server.Service<Slow>()("Slow", { protocol: Protocol.lines() }) {}
 *
 * const SlowLive = Slow.serve(({ body }) => Effect.as(Effect.sleep("1 hour"), Response.make(body)))
 *
 * const test = Effect.gen(function* () {
 *   const client = yield* Slow.client
 *   const answer = yield* Effect.forkChild(client.send("hello"))
 *   yield* Waiting.begun(Slow)
 *   yield* TestClock.adjust("1 hour")
 *   return yield* Fiber.join(answer)
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(SlowLive, MemoryServer.layer(Slow))))
 *
 * await Effect.runPromise(Effect.provide(test, TestClock.layer())) // => "hello"
 * ```
 *
 * @since 0.1.0
 */
import type * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"

/**
 * Waits until so many requests of a server have begun since its start, one by default.
 *
 * **Details**
 *
 * A request begins when its policy calls its handler, or gives it to a worker. What
 * the handler does before it first waits has been done by then. A whole connection
 * (`Protocol.connection`) is one request.
 *
 * @category testing
 * @since 0.1.0
 */
export const begun = <Self, In, Out>(tag: Server.Tag<Self, In, Out>, requests = 1): Effect.Effect<void, never, Self> =>
  Effect.flatMap(tag, (server) => until(Effect.map(server.begun, (begun) => begun >= requests)))

/**
 * Waits until no request of a server is in work: each that it has received has its
 * outcome. What a client has sent and the server has not read yet does not count:
 * wait for {@link begun} first.
 *
 * @category testing
 * @since 0.1.0
 */
export const idle = <Self, In, Out>(tag: Server.Tag<Self, In, Out>): Effect.Effect<void, never, Self> =>
  Effect.flatMap(tag, (server) =>
    until(Effect.map(server.connections, (all) => all.every(({ inFlight }) => inFlight === 0)))
  )

const until = (is: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(is, (done) => (done ? Effect.void : Effect.andThen(Effect.yieldNow, until(is))))
