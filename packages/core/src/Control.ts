/**
 * What an operator does to a server while it runs: `server.control`. It reads and
 * changes its limits, lets nobody new in for a while, and closes single connections.
 *
 * **Gotchas**
 *
 * It is one server's, in one process: each copy of a program (`PREFORK`) has its
 * own, and what is changed in a worker does not reach the server whose requests it
 * runs. What bounds a policy, such as `fiber:1024`, is not changed here.
 *
 * **Example** (Lowering a limit, and turning newcomers away)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))
 *
 * const program = Effect.gen(function* () {
 *   const { control } = yield* Echo
 *   const client = yield* Echo.client
 *   yield* control.change({ maxPipelined: 4, drainTimeout: "2 seconds" })
 *   yield* control.suspend
 *   const { drainMillis, maxPipelined } = yield* control.limits
 *   return { drainMillis, maxPipelined, served: yield* client.send("who was here before") }
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * await Effect.runPromise(program) // => { drainMillis: 2000, maxPipelined: 4, served: "who was here before" }
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { ServerError } from "./ServerError.ts"
import type * as Transport from "./Transport.ts"

/**
 * The controls of one server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Control {
  /** The limits that are in force. */
  readonly limits: Effect.Effect<Transport.Limits>
  /**
   * Changes some of them, for all that comes next; what is left out stays as it is.
   * Nothing that was received is lost: what is over a lower limit already is
   * served, and only the next has to wait, or is refused. A stop that has begun
   * keeps its deadline. Fails with `InvalidOption`, and changes nothing then.
   */
  readonly change: (limits: Transport.LimitOptions) => Effect.Effect<Transport.Limits, ServerError>
  /** Lets nobody new in: who connects is closed at once, and counted as `Refused`; datagrams are dropped and counted, or held back where the system can. Connections that are open are served. */
  readonly suspend: Effect.Effect<void>
  /** Lets them in again. */
  readonly resume: Effect.Effect<void>
  readonly isSuspended: Effect.Effect<boolean>
  /** Closes a connection by its id, once what was written has left; its requests that are not answered end as `Cancelled`. Says whether there was one. */
  readonly close: (id: number) => Effect.Effect<boolean>
}
