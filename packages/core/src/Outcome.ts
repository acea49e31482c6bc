/**
 * How a request ended: for programs that count, log or test it.
 *
 * Every request ends in exactly one outcome, and so does every connection that
 * is refused or breaks its protocol before a request exists. Logs and counts are
 * drawn from this one ledger.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Connection from "./Connection.ts"
import type * as Refusal from "./Refusal.ts"
import type * as Request from "./Request.ts"
import { textOf } from "./internal/outcomeText.ts"
import * as printing from "./internal/printable.ts"

/**
 * The way a request ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | Completed
  | Failed
  | TimedOut
  | Cancelled
  | Refused
  | FrameTooLarge
  | Malformed
  | Undelivered
  | Drained
  | WorkerCrashed

/**
 * The tags of all outcomes.
 *
 * @category models
 * @since 0.1.0
 */
export type Tag = Outcome["_tag"]

/**
 * What a server has done since its start.
 *
 * @category models
 * @since 0.1.0
 */
export interface Totals {
  /** Connections that were let in, without those that had to make room for others: these were refused. Datagrams are none. */
  readonly connections: number
  readonly counts: Counts
}

/**
 * The response was handed to the connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Completed {
  readonly _tag: "Completed"
}

/**
 * The handler died, or its response could not be encoded. The connection closes
 * once earlier replies have left, and where replies have ids those of all that are
 * in flight; a datagram is not answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failed {
  readonly _tag: "Failed"
  readonly cause: Cause.Cause<unknown>
}

/**
 * Something took longer than was allowed: a handler, by `Middleware.timeout`; a
 * request, by the option `requestTimeout` of its server; or a peer, by another of
 * the deadlines, which ends its connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimedOut {
  readonly _tag: "TimedOut"
  /** The time that was allowed, in milliseconds. */
  readonly millis: number
  readonly deadline: Deadline
}

/**
 * What was to happen in time. They are called as the options of a server.
 *
 * **Details**
 *
 * - `request`: a request is answered
 * - `firstByte`: a peer sends its first byte
 * - `frame`: a frame that has begun is whole
 * - `idle`: a peer sends anything
 * - `write`: a peer reads any of what waits for it
 *
 * @category models
 * @since 0.1.0
 */
export type Deadline = "request" | "firstByte" | "frame" | "idle" | "write"

/**
 * How often each deadline has ended something, and how often a connection was
 * closed for its age (`lifetime`) or to make room for another (`evicted`).
 *
 * @category models
 * @since 0.1.0
 */
export type Timeouts = { readonly [K in Deadline | "lifetime" | "evicted"]: number }

/**
 * The request ended without an answer because its connection did.
 *
 * **Details**
 *
 * - `PeerGone`: the peer has left
 * - `ConnectionClosed`: the handler or the server has closed it
 * - `NotReading`: the server has reset it, since the peer did not read a reply that kept a place from others
 * - `OutOfMemory`: the server has reset it, since it held more than `maxMemory` for its peers
 *
 * @category models
 * @since 0.1.0
 */
export interface Cancelled {
  readonly _tag: "Cancelled"
  readonly reason: "PeerGone" | "ConnectionClosed" | "NotReading" | "OutOfMemory"
}

/**
 * The request or the connection was turned away before work was done for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refused {
  readonly _tag: "Refused"
  readonly kind: Refusal.Kind
  readonly reason: string
}

/**
 * A frame exceeded the protocol's maximum. The connection closes once earlier replies have left.
 *
 * @category models
 * @since 0.1.0
 */
export interface FrameTooLarge {
  readonly _tag: "FrameTooLarge"
  /** The largest frame allowed, in bytes. */
  readonly limitBytes: number
  /** Where the frame starts, in bytes from the start of the connection's input. */
  readonly offset: number
}

/**
 * The input is not what the protocol expects. The connection closes once earlier replies have left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Malformed {
  readonly _tag: "Malformed"
  /** Where the faulty frame starts, in bytes from the start of the connection's input. */
  readonly offset: number
  readonly reason: string
}

/**
 * A response to a datagram could not be sent. Over a connection there is no
 * such end: what cannot be sent there ends the connection (`Cancelled`).
 *
 * **Details**
 *
 * - `NoReturnAddress`: the sender has no address, as a Unix datagram client that is bound to no path, or a forged one of UDP with port 0
 * - `TooLarge`: the response is larger than a datagram of this transport may be
 * - `PeerGone`: nobody has the sender's address any more
 * - `PeerFull`: the sender does not read, and its queue has stayed full for as long as is waited
 * - `Unreachable`: the system knows no way to the sender
 * - `Limited`: `maxAmplification` or `maxRepliesPerNetwork` has kept it back
 * - `Other`: any other error of the platform; `cause` has it
 *
 * @category models
 * @since 0.1.0
 */
export interface Undelivered {
  readonly _tag: "Undelivered"
  readonly reason: "NoReturnAddress" | "TooLarge" | "PeerGone" | "PeerFull" | "Unreachable" | "Limited" | "Other"
  /** The platform's error, where there was one. */
  readonly cause: unknown
}

/**
 * The server stopped, and its deadline passed before the request was answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Drained {
  readonly _tag: "Drained"
}

/**
 * The worker that ran the handler ended before it had answered: it crashed,
 * exited, was killed, ran out of memory, or took longer than its deadline. The
 * connection closes once earlier replies have left, unless `onWorkerCrashed`
 * says something instead.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerCrashed {
  readonly _tag: "WorkerCrashed"
  /** As `Worker.name` has it: `"thread-3"`, `"22600"`. */
  readonly worker: string
  /** The exit code, if it exited. */
  readonly exitCode: number | undefined
  /** The signal that ended it, if one did: `"SIGKILL"`. */
  readonly signal: string | undefined
  /** What is known beyond that: `"out of memory"`. */
  readonly reason: string | undefined
}

/**
 * One entry of the ledger: an outcome, and what it happened to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event {
  readonly outcome: Outcome
  /** Absent for a connection that never became a request. */
  readonly request: Request.Request<unknown> | undefined
  readonly connection: Connection.Info
}

/**
 * How many requests and connections ended in each way.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = { readonly [K in Tag]: number }

/**
 * What a stop did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** How long the stop took, in milliseconds. */
  readonly millis: number
  /** Requests that were answered while stopping. */
  readonly completed: number
  /** Requests that the deadline cut off. */
  readonly interrupted: number
  /** Peers and requests that were turned away while stopping. */
  readonly refused: number
  /** Connections that were open when the stop began. */
  readonly connections: number
  /** All outcomes since the server started. */
  readonly counts: Counts
  /** What a transport, a hook or a file has thrown since the server started, a line each: it has stopped nothing else. Absent where nothing was thrown. */
  readonly problems?: ReadonlyArray<string> | undefined
}

/**
 * The response was handed to the connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const completed: Outcome = { _tag: "Completed" }
/**
 * The handler died with `cause`, or its response could not be encoded.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failed = (cause: Cause.Cause<unknown>): Outcome => ({ _tag: "Failed", cause })
/**
 * What was to happen within `millis` milliseconds did not: by default, an answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const timedOut = (millis: number, deadline: Deadline = "request"): TimedOut => ({
  _tag: "TimedOut",
  millis,
  deadline
})
/**
 * The connection ended before the answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cancelled = (reason: Cancelled["reason"]): Outcome => ({ _tag: "Cancelled", reason })
/**
 * Turned away before work was done, with the reason for the ledger. Its kind is `Program` unless another is given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refused = (reason: string, kind: Refusal.Kind = "Program"): Refused => ({ _tag: "Refused", kind, reason })
/**
 * A frame that starts at byte `offset` of the input exceeds `limitBytes` bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const frameTooLarge = (limitBytes: number, offset: number): FrameTooLarge => ({
  _tag: "FrameTooLarge",
  limitBytes,
  offset
})
/**
 * The frame that starts at byte `offset` of the input is not what the protocol expects.
 *
 * @category constructors
 * @since 0.1.0
 */
export const malformed = (offset: number, reason: string): Malformed => ({ _tag: "Malformed", offset, reason })
/**
 * A response to a datagram that could not be sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const undelivered = (reason: Undelivered["reason"], cause?: unknown): Undelivered => ({
  _tag: "Undelivered",
  reason,
  cause
})
/**
 * Cut off by the deadline of a stop.
 *
 * @category constructors
 * @since 0.1.0
 */
export const drained: Outcome = { _tag: "Drained" }
/**
 * Its worker ended first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const workerCrashed = (crash: Omit<WorkerCrashed, "_tag">): WorkerCrashed => ({
  _tag: "WorkerCrashed",
  ...crash
})

/**
 * One line that says what happened, for logs.
 *
 * **Example** (Describing a frame that is too large)
 *
 * ```ts
 * import { Outcome } from "@socketserver/core"
 *
 * Outcome.describe(Outcome.frameTooLarge(65536, 12))
 * // => "a frame exceeds 65536 bytes (it starts at byte 12 of the input)"
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const describe = (outcome: Outcome): string => textOf(outcome)

/**
 * Text that may hold what strangers have sent, as it may be shown: in one line, with
 * nothing in it that a terminal obeys, or that reorders what is read. What is longer
 * than `most` characters (1024) is cut, and says so.
 *
 * **When to use**
 *
 * For all that a program prints or logs of what it was sent. The library does so with
 * what it logs, and `NodeServer.launch` with what a program logs.
 *
 * **Example** (Showing what a peer has sent)
 *
 * ```ts
 * import { Outcome } from "@socketserver/core"
 *
 * Outcome.printable("\u001b[2Jgone\n") // => "\\x1b[2Jgone\\n"
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const printable = (text: string, most?: number): string => printing.printable(text, most)
