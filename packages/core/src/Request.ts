/**
 * One thing that a peer asks for: what every handler takes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Connection from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import type * as Handler from "./Handler.ts"
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
