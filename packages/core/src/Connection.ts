/**
 * A connection, for handlers that push, close or look at theirs, or have it whole.
 *
 * It has three sides: what can be known of it (`Info`), what a request may do
 * with the one it came on (`Ref`), and the whole duplex that
 * `Protocol.connection` and a client hold (`Connection`).
 *
 * A connection belongs to the library: it never outlives its socket, and a
 * value kept too long fails with {@link ConnectionError} rather than hang.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Stream from "effect/Stream"
import type * as Endpoint from "./Endpoint.ts"
import * as Outcome from "./Outcome.ts"
import type * as Peer from "./Peer.ts"

/**
 * What can be known of a live connection. A datagram is a connection of one
 * request, which lives until that is answered; with a `Session` its sender is the
 * connection of all its datagrams.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  /** Counts the connections of a server, from 1. */
  readonly id: number
  /** Whether it is a stream of bytes, or a datagram: then a reply is one, too, and has to fit into it. Also in memory, where both come to one listener. */
  readonly kind: "stream" | "datagram"
  readonly peer: Peer.Peer
  /** The listener that it came to; for a client, the one that it connected to. */
  readonly listener: Endpoint.Endpoint
  /** When it was accepted, in milliseconds since 1970. */
  readonly openedAt: number
  /** Bytes received and sent so far. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Requests that were received and are not answered yet. */
  readonly inFlight: number
  /**
   * What ends it, once something does: its `peer`, which has half-closed or is
   * gone; a `stop` of the server; or its own end (`self`), by a handler or a limit.
   * So a handler that is interrupted, or whose input has ended, knows which it was.
   * Under workers a request's handler learns it when it is interrupted.
   */
  readonly endedBy: EndedBy | undefined
}

/**
 * What ends a connection.
 *
 * @category models
 * @since 0.1.0
 */
export type EndedBy = "peer" | "stop" | "self"

/**
 * The connection a request came on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ref<in Out> extends Info {
  /**
   * Sends a message that no request asked for, between replies. Waits while the
   * peer does not read.
   */
  readonly push: (message: Out) => Effect.Effect<void, ConnectionError>
  /** Closes the connection once what was written has left. */
  readonly close: Effect.Effect<void>
}

/**
 * A whole connection: typed messages both ways.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<out In, in Out> extends Info {
  /** Waits for the next messages. Ends with `Done` when the peer half-closes. */
  readonly pull: Pull.Pull<readonly [In, ...Array<In>], ConnectionError>
  /** The next message alone; ends with `Done` when the peer half-closes. */
  readonly take: Effect.Effect<In, ConnectionError | Cause.Done>
  /** All messages until the peer half-closes. */
  readonly stream: Stream.Stream<In, ConnectionError>
  /**
   * Sends a message. Waits while the peer does not read. Bytes are sent at the
   * end of the event loop's turn: do not reuse their buffer before.
   */
  readonly write: (message: Out) => Effect.Effect<void, ConnectionError>
  /** Half-closes: nothing more will be written, reading goes on. */
  readonly end: Effect.Effect<void>
  /** Reads and writes no more. What was written leaves, and the connection closes: a server's when its handler returns, a client's when its server does. */
  readonly close: Effect.Effect<void>
  /** Breaks the connection off, as a crash would: what has not left is lost, and the peer sees a reset. A handler that does it is interrupted. */
  readonly reset: Effect.Effect<void>
}

/**
 * A connection cannot be used (any more).
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionError extends Data.TaggedError("ConnectionError")<{
  readonly reason: Reason
  readonly peer: Peer.Peer
}> {
  override get message(): string {
    return `Connection with ${this.peer.name}: ${describe(this.reason)}`
  }
}

/**
 * Why a connection cannot be used.
 *
 * @category errors
 * @since 0.1.0
 */
export type Reason = Closed | Reset | EncodeFailed | Outcome.FrameTooLarge | Outcome.Malformed | Outcome.Undelivered

/**
 * It was closed, by either end.
 *
 * @category errors
 * @since 0.1.0
 */
export interface Closed {
  readonly _tag: "Closed"
}

/**
 * The network or the peer broke it off; `cause` is the platform's error.
 *
 * @category errors
 * @since 0.1.0
 */
export interface Reset {
  readonly _tag: "Reset"
  readonly cause: unknown
}

/**
 * The message could not be encoded. The connection is still good.
 *
 * @category errors
 * @since 0.1.0
 */
export interface EncodeFailed {
  readonly _tag: "EncodeFailed"
  readonly problem: string
}

const describe = (reason: Reason): string => {
  switch (reason._tag) {
    case "Closed":
      return "it is closed"
    case "Reset":
      return `it was reset: ${reason.cause instanceof Error ? reason.cause.message : String(reason.cause)}`
    case "EncodeFailed":
      return `the message cannot be encoded: ${reason.problem}`
    default:
      return Outcome.describe(reason)
  }
}

/**
 * A client could not connect.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  /** What it wanted to connect to: `"tcp://127.0.0.1:9000"`. */
  readonly endpoint: string
  readonly kind: "Refused" | "TimedOut" | "HostNotFound" | "Unreachable" | "Handshake" | "Other"
  readonly cause: unknown
  /** What is wrong and how to mend it, where more is known than its kind: an address lacks its zone. Default: what the kind says. */
  readonly problem?: string | undefined
}> {
  override get message(): string {
    if (this.problem !== undefined) return `Cannot connect to ${this.endpoint}: ${this.problem}`
    const said = this.cause instanceof Error ? this.cause.message : String(this.cause)
    const problems = {
      Refused: "nothing listens there",
      TimedOut: "no answer in time",
      HostNotFound: "the host name does not resolve",
      Unreachable: "there is no way to that host",
      Handshake: `the TLS handshake failed: ${said}`,
      Other: said
    }
    return `Cannot connect to ${this.endpoint}: ${problems[this.kind]}`
  }
}

/**
 * A connection could not be turned into an encrypted one. Nothing more is read
 * from it or written to it, and it is broken off.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpgradeFailed extends Data.TaggedError("UpgradeFailed")<{
  readonly peer: Peer.Peer
  /** What went wrong, as its request's outcome (`Refused`) has it. */
  readonly problem: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Connection with ${this.peer.name}: it cannot be upgraded: ${this.problem}`
  }
}
