/**
 * The other end of a declared server, with its types: for programs and tests that
 * talk to one.
 *
 * `Echo.client` connects to a server in the same program, in memory or not.
 * `NodeClient.connect(Echo, "tcp://…")` connects to one anywhere.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Connection from "./Connection.ts"
import { upgrading } from "./internal/typedConnection.ts"
import * as typedClient from "./internal/typedClient.ts"
import type * as Protocol from "./Protocol.ts"
import type * as Wire from "./Wire.ts"

/**
 * A connection that sends requests and receives responses.
 *
 * **Details**
 *
 * It is a {@link Connection.Connection} of its own, so everything that the
 * server sends, pushes included, can be read from `stream`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client<in Send, out Receive> extends Connection.Connection<Receive, Send> {
  /**
   * Sends a request and waits for its answer. Requests of several fibers are on
   * their way at once, up to {@link MaxInFlight}.
   *
   * **Details**
   *
   * Answers come in the order of their requests: each send gets the next message
   * that nobody else has taken. Under a `Protocol.correlated` protocol it gets the
   * message with its id, and messages with no id that is awaited are for `stream`.
   * A connection that breaks fails what is unanswered, and nothing else; its end
   * before an answer fails with reason `Closed`.
   *
   * **Gotchas**
   *
   * Without ids a pushed message is taken for an answer: a client that receives
   * pushes reads everything from `stream`. With them, reading stops while 1,024
   * others wait to be read.
   *
   * The late answer to a send that was interrupted is nobody's. Without ids one
   * that was alone in flight resets the connection, which also cancels the request
   * at the server.
   *
   * A datagram may be lost, and its answer too: bound the wait with
   * `Effect.timeout`, and send again. Without ids a late answer is taken there for
   * that of the next.
   */
  readonly send: (request: Send) => Effect.Effect<Receive, Connection.ConnectionError>

  /**
   * Sends requests as they come and emits what comes back, until both have
   * ended. The connection is half-closed after the last request. Datagrams have
   * no end: take as many as you expect.
   */
  readonly exchange: <E, R>(
    requests: Stream.Stream<Send, E, R>
  ) => Stream.Stream<Receive, Connection.ConnectionError | E, R>
}

/**
 * How many requests a client may have sent that are not answered: 1024.
 *
 * **Gotchas**
 *
 * One more waits until one of them is answered. With a number that is no
 * positive integer nothing is sent: each send fails and says so.
 *
 * @category services
 * @since 0.1.0
 */
export const MaxInFlight: Context.Reference<number> = typedClient.MaxInFlight

/**
 * Makes a typed client of a connected wire, for as long as the scope is open.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <In, Out, Send, Receive>(
  wire: Wire.Wire,
  protocol: Protocol.Protocol<In, Out, Send, Receive>
): Effect.Effect<Client<Send, Receive>, never, Scope.Scope> => typedClient.fromWire(wire, protocol)

/**
 * Changes what carries a client's connection between two of its messages, as
 * `Transport.upgrade` does for a server's: from the call on nothing that is written
 * leaves before `change` has made its wire another.
 *
 * @category combinators
 * @since 0.1.0
 */
export const upgrade = <In, Out, E>(
  connection: Connection.Connection<In, Out>,
  options: {
    readonly change: (wire: Wire.Wire) => Effect.Effect<void, E>
    /** Says what an error of `change` means. */
    readonly problemOf: (error: E) => string
  }
): Effect.Effect<void, Connection.UpgradeFailed> => upgrading(connection, options)
