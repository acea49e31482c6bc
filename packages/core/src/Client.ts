/**
 * The other end of a declared server, with its types.
 *
 * `Echo.client` connects to a server in the same program, in memory or not.
 * `NodeClient.connect(Echo, "tcp://…")` connects to one anywhere.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Connection from "./Connection.ts"
import { fromWire } from "./internal/client.ts"
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
   * Sends a request and waits for the next message. Sends from several fibers
   * take turns.
   *
   * **Gotchas**
   *
   * The next message is taken for the answer, also if it is one that the server
   * pushed: a client that receives pushes reads everything from `stream`.
   * If it is interrupted after sending, the connection is reset, which also
   * cancels the request: a late answer would be taken for that of the next. The
   * connection's end before an answer fails with reason `Closed`.
   *
   * A datagram may be lost, and its answer too: bound the wait with
   * `Effect.timeout`, and send again. An interrupted send resets nothing there,
   * so a late answer is taken for that of the next, unless messages say which
   * request they answer.
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
 * Makes a typed client of a connected wire, for as long as the scope is open.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <In, Out, Send, Receive>(
  wire: Wire.Wire,
  protocol: Protocol.Duplex<In, Out, Send, Receive>
): Effect.Effect<Client<Send, Receive>, never, Scope.Scope> => fromWire(wire, protocol.client)
