/**
 * Why something was turned away before work was done for it: what `Outcome.Refused` and `server.refusals` tell apart.
 *
 * @since 0.1.0
 */

/**
 * How much was turned away for each reason; together, what `Outcome.Counts` has as `Refused`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** The server had as many connections as it may have, or as many datagrams without an answer. */
  readonly MaxConnections: number
  /** The peer had as many as it may have. */
  readonly MaxConnectionsPerPeer: number
  /** Its handshake, or what else comes before a connection, had no turn in time (`maxOpening`). */
  readonly MaxOpening: number
  /** The server held nearly as much as it may hold. */
  readonly MaxMemory: number
  /** The system had too little of something for another peer: of descriptors. */
  readonly Scarcity: number
  /** There were too many in a short time: `RateLimit.verify`, `Middleware.rateLimit`. */
  readonly RateLimit: number
  /** A connection that asked for nothing made room for another. */
  readonly MadeRoom: number
  /** No handler was free for a whole connection within `placeTimeout`. */
  readonly PlaceTimeout: number
  /** A session was not set up within `loginTimeout`. */
  readonly LoginTimeout: number
  /** What comes before a connection did not succeed, or not in time: accepting, a PROXY header, a verification, a TLS handshake. */
  readonly Opening: number
  /** Nobody was let in for a while (`server.control`). */
  readonly Suspended: number
  /** The server stopped. */
  readonly Stopping: number
  /** The listener does not let the peer's network in (`allow`), or its user (`peers`). */
  readonly Allow: number
  /** A datagram said that it came from the server itself: an answer would be answered, for ever. */
  readonly OwnAddress: number
  /** `verify` said no, or failed. */
  readonly Verify: number
  /** A datagram was larger than one may be. */
  readonly TooLarge: number
  /** The program decided so: in `Session.refuse`, or a middleware. */
  readonly Program: number
}

/**
 * A reason.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = keyof Counts
