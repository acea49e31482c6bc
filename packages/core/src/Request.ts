/**
 * One thing that a peer asks for: what every handler takes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Connection from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import type * as Handler from "./Handler.ts"
import * as internal from "./internal/incoming.ts"
import type * as Outcome from "./Outcome.ts"
import * as Peer from "./Peer.ts"
import type * as Response from "./Response.ts"

/**
 * A decoded request. `In` is what the protocol decodes, `Out` what may be
 * pushed back on its connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request<out In, in Out = never> {
  /** Counts the requests of a server, from 1. */
  readonly id: number
  readonly body: In
  readonly peer: Peer.Peer
  /** When its last byte was read, in milliseconds since 1970. */
  readonly receivedAt: number
  readonly connection: Connection.Ref<Out>
}

/**
 * A request without a server, to call a handler as the function that it is.
 *
 * **Details**
 *
 * Everything but the body has a default: id 1, a peer named `test`, received at
 * 0, and a connection on which `push` and `close` do nothing.
 *
 * **Example** (Calling a handler)
 *
 * ```ts
 * import { Request, Response } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const upper = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body.toUpperCase()))
 *
 * Effect.runSync(upper(Request.make("hello"))) // => Response.make("HELLO")
 * ```
 *
 * @category testing
 * @since 0.1.0
 */
export const make = <In, Out = never>(
  body: In,
  options?: { readonly [K in Exclude<keyof Request<In, Out>, "body">]?: Request<In, Out>[K] | undefined }
): Request<In, Out> => {
  const peer = options?.peer ?? Peer.make({ transport: "test", name: "test" })
  const receivedAt = options?.receivedAt ?? 0
  return {
    id: options?.id ?? 1,
    body,
    peer,
    receivedAt,
    connection: options?.connection ?? {
      id: 1,
      kind: "stream",
      peer,
      listener: Endpoint.memory("test"),
      openedAt: receivedAt,
      bytesRead: 0,
      bytesWritten: 0,
      inFlight: 1,
      endedBy: undefined,
      push: () => Effect.void,
      close: Effect.void
    }
  }
}

/**
 * What the peer sends about the request whose handler runs: the control messages of
 * a protocol that has some, and that concern it; see `Protocol.control`.
 *
 * **Details**
 *
 * They come in their order, also where the handler runs in a worker. The stream ends
 * when none can come any more: the peer has half-closed, or the request has no id. It
 * is empty where the protocol has no control messages, and outside of a handler.
 *
 * **Gotchas**
 *
 * Of those that nobody takes the 16 latest are kept. Each is taken once: two that read
 * the stream share them.
 *
 * **Example** (A handler that can be told to stop)
 *
 * ```ts
 * import { MemoryServer, Protocol, Request, Response, Server } from "@socketserver/core"
 * import { Effect, Layer, Schema, Stream } from "effect"
 *
 * const Ask = Schema.Struct({ id: Schema.Int, is: Schema.Literal("ask") })
 * const Cancel = Schema.Struct({ id: Schema.Int, is: Schema.Literal("cancel") })
 * const messages = Protocol.schema(Protocol.ndjson(), {
 *   request: Schema.Union([Ask, Cancel]),
 *   response: Schema.Struct({ id: Schema.Int, text: Schema.String })
 * })
 * const protocol = Protocol.control(Protocol.correlated(messages, { id: (message) => message.id }), {
 *   is: (message) => message.is === "cancel",
 *   to: (message) => message.id
 * })
 * class Slow extends Server.Service<Slow>()("Slow", { protocol }) {}
 *
 * const SlowLive = Slow.serve(({ body: { id } }) => {
 *   const told = Stream.runHead(Request.controls()).pipe(Effect.as("as you like"))
 *   return Effect.map(Effect.raceFirst(Effect.never, told), (text) => Response.make({ id, text }))
 * })
 * const answer = Effect.gen(function* () {
 *   const client = yield* Slow.client
 *   yield* client.write({ id: 1, is: "ask" })
 *   yield* client.write({ id: 1, is: "cancel" })
 *   return yield* client.take
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(SlowLive, MemoryServer.layer(Slow))))
 *
 * await Effect.runPromise(answer) // => { id: 1, text: "as you like" }
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const controls = <Control = unknown>(): Stream.Stream<Control> =>
  Stream.unwrap(
    Effect.map(internal.CurrentRequest, (request) => {
      const found = request instanceof internal.Incoming ? request.controlled : undefined
      return (found?.stream ?? Stream.empty) as Stream.Stream<Control>
    })
  )

/**
 * Waits for what the peer says about the request whose handler runs, as for the
 * acknowledgement of what it was sent, without keeping others waiting: where handlers
 * overlap its place is another's from now on. Where others wait for a place that is
 * for one at a time, or for the worker, for six times the `placeTimeout` in all, the
 * connection is reset. Outside of a handler it is `wait` itself.
 *
 * @category running
 * @since 0.1.0
 */
export const awaitPeer = <A, E, R>(
  wait: Effect.Effect<A, E, R>,
  options?: { readonly bytes?: number | undefined }
): Effect.Effect<A, E, R> =>
  Effect.flatMap(internal.CurrentRequest, (request) =>
    request instanceof internal.Incoming ? request.on.awaitPeer(request, wait, options?.bytes) : wait
  )

/**
 * A request together with the way back. Policies and direct consumers of
 * `server.requests` see it; a handler sees only the {@link Request}.
 *
 * **Details**
 *
 * An `Incoming` ends in exactly one outcome: the first of `respond`, `handle`,
 * the peer's leaving and the server's stop. What comes after is ignored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Incoming<out In, in Out> extends Request<In, Out> {
  /** Answers the request. The reply leaves in its turn. */
  respond(response: Response.Response<Out>): Effect.Effect<Outcome.Outcome>
  /** Runs a handler for the request and answers with what it returns, until the request has its outcome. */
  handle<R>(handler: Handler.Handler<In, Out, R>): Effect.Effect<Outcome.Outcome, never, R>
  /** Waits until the request has its outcome. */
  readonly outcome: Effect.Effect<Outcome.Outcome>
}
