/**
 * What every handler answers.
 *
 * A `Response` is a value: nothing has been written when it is made. The server
 * encodes it with its protocol and sends it in its turn.
 *
 * @since 0.1.0
 */
import { dual } from "effect/Function"
import * as Stream from "effect/Stream"
import type * as Outcome from "./Outcome.ts"

/**
 * The answer to one request: one message, none, or many.
 *
 * @category models
 * @since 0.1.0
 */
export type Response<Out> = Reply<Out> | Empty | Streamed<Out>

interface Fields {
  /** Whether the connection closes after this response has left. */
  readonly close: boolean
  /** What the ledger records instead of `Completed`. */
  readonly outcome: Outcome.Outcome | undefined
}

/**
 * One message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply<out Out> extends Fields {
  readonly _tag: "Reply"
  readonly value: Out
}

/**
 * No message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Empty extends Fields {
  readonly _tag: "Empty"
}

/**
 * Many messages, as they come, without ever running ahead of the peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Streamed<out Out> extends Fields {
  readonly _tag: "Streamed"
  readonly value: Stream.Stream<Out>
}

/**
 * Answers with one message.
 *
 * **Details**
 *
 * A message of bytes may be sent as it is, without a copy: from when it was given
 * on its bytes must not change. The same holds for elements of a stream, and for
 * what is pushed.
 *
 * **Example** (Echoing a request)
 *
 * ```ts
 * import { Response, type Request } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const echo = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Out>(value: Out): Response<Out> => new Impl("Reply", value, false, undefined) as never

/**
 * Answers with nothing: the peer gets no message, and the connection goes on.
 *
 * **Gotchas**
 *
 * A peer that expects an answer to each request, in their order, takes the next
 * one for this.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: Response<never> = new (class {
  readonly _tag = "Empty"
  readonly value = undefined
  readonly close = false
  readonly outcome = undefined
})()

/**
 * Answers with every element of a stream, each a message of its own.
 *
 * **Details**
 *
 * The stream starts when the replies before it have left, and it waits while
 * the peer does not read. A stream that dies ends the request as `Failed`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stream = <Out>(stream: Stream.Stream<Out>): Response<Out> =>
  new Impl("Streamed", stream, false, undefined) as never

/**
 * Closes the connection once this response has left. Later requests of the
 * same connection end as `Cancelled` (under a correlated protocol, all others).
 *
 * **Example** (Saying goodbye)
 *
 * ```ts
 * import { Response } from "@socketserver/core"
 *
 * Response.andClose(Response.make("221 Bye")).close // => true
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const andClose = <Out>(self: Response<Out>): Response<Out> => with_(self, true, self.outcome)

/**
 * Records another outcome than `Completed` for the request, as the timeout and
 * verify middlewares do.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withOutcome = <Out>(self: Response<Out>, outcome: Outcome.Outcome): Response<Out> =>
  with_(self, self.close, outcome)

/**
 * Changes the message of a response, or every message of a stream.
 *
 * @category combinators
 * @since 0.1.0
 */
export const map: {
  <A, B>(f: (message: A) => B): (self: Response<A>) => Response<B>
  <A, B>(self: Response<A>, f: (message: A) => B): Response<B>
} = dual(2, <A, B>(self: Response<A>, f: (message: A) => B): Response<B> => {
  switch (self._tag) {
    case "Empty":
      return self
    case "Reply":
      return new Impl("Reply", f(self.value), self.close, self.outcome) as never
    case "Streamed":
      return new Impl("Streamed", Stream.map(self.value, f), self.close, self.outcome) as never
  }
})

// One shape for all responses keeps the hot path monomorphic.
class Impl {
  readonly _tag: Response<unknown>["_tag"]
  readonly value: unknown
  readonly close: boolean
  readonly outcome: Outcome.Outcome | undefined
  constructor(tag: Response<unknown>["_tag"], value: unknown, close: boolean, outcome: Outcome.Outcome | undefined) {
    this._tag = tag
    this.value = value
    this.close = close
    this.outcome = outcome
  }
}

const with_ = <Out>(self: Response<Out>, close: boolean, outcome: Outcome.Outcome | undefined): Response<Out> =>
  new Impl(self._tag, self._tag === "Empty" ? undefined : self.value, close, outcome) as never
