/**
 * For authors of transports: what one gives the library for each connection, bytes
 * both ways and the events around them.
 *
 * A `Wire` is a set of callbacks rather than an
 * Effect so that a batch of bytes reaches its handlers, and their replies reach
 * the socket, within one turn of the event loop. Users meet a
 * {@link Connection} instead.
 *
 * @since 0.1.0
 */
import type * as Endpoint from "./Endpoint.ts"
import type * as Outcome from "./Outcome.ts"
import type * as Peer from "./Peer.ts"

/**
 * One open connection, seen from the transport.
 *
 * **Details**
 *
 * Nothing is delivered before `start`, and nothing from inside a call of a
 * method: what `end` or `destroy` brings about is told later. After `onClose`
 * nothing is delivered any more, and every method is a no-op.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wire {
  readonly peer: Peer.Peer
  /** The listener that it came to; for a client, the one that it connected to. */
  readonly listener: Endpoint.Endpoint
  /** What a write and an `onData` are: any piece of a stream of bytes, a datagram, or a payload that another program has unframed. Framing applies to a stream alone. */
  readonly carries: "stream" | "datagrams" | "payloads"
  /** The largest datagram that it can send, in bytes, where it knows. */
  readonly maxMessageBytes?: number | undefined
  /** Bytes received and sent so far. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Of what was written, what the system has not taken yet. It falls while the peer reads. */
  readonly bytesUnsent: number
  /** Of what was written, what the system has taken, in any measure that grows with it. Default: `bytesWritten` without `bytesUnsent`. */
  readonly bytesTaken?: number | undefined
  /** Whether closing while the peer still sends may cost the peer what was written before, as with TCP. */
  readonly resetsOnClose: boolean
  /** Says that the handler of its request waits for what the peer says about that, or goes on: where another program has the place. */
  readonly awaits?: ((waiting: boolean) => void) | undefined
  /** Begins to deliver events. */
  readonly start: (receiver: Receiver) => void
  /** Sends, in order. `false` says that the high-water mark is reached: wait for `onDrain`. */
  readonly write: (data: string | Uint8Array) => boolean
  /** Before `start`: stops reading what comes, so that it stays with the system; returns what reads on. Default: it is read, and kept. */
  readonly hold?: (() => () => void) | undefined
  /** Before `start`: whether the peer has sent anything yet. At a stop, a connection that is not let in yet and has not is closed. Default: it has. */
  readonly begun?: boolean | undefined
  /** Stops reading; what the kernel holds stays there, so the peer is slowed down. */
  readonly pause: () => void
  readonly resume: () => void
  /**
   * Looks whether the peer is still there, without reading; where it is gone,
   * `onClose` follows. Called about once a second while nothing is read, for
   * transports whose events are silent then. It must give no false alarm: a peer
   * that has half-closed, or reads nothing, is there, and so is one of a Unix
   * socket that has closed, for as long as what it has sent can be read. Default:
   * events say it all.
   */
  readonly probe?: (() => void) | undefined
  /**
   * Gives away what carries it, a socket of the platform, for whoever reads and
   * writes on it without this wire. `unread` was read and goes first. From then on
   * only `onClose` is told, and the figures still hold: who is closed for not
   * reading is seen by them. A later `end`, `destroy` or `reset` ends the socket, and
   * events are told again. Called once, after `start`, before anything was written.
   * Default: there is none to give.
   */
  readonly detach?: ((unread: ReadonlyArray<Uint8Array>) => object) | undefined
  /** Sends what was written, then half-closes. */
  readonly end: () => void
  /**
   * Closes at once. For connections that are over: what is unsent here is lost,
   * and what the system has taken still reaches a peer that reads. The system
   * keeps that for as long as the peer takes, megabytes of it with TCP: whoever is
   * closed *because* it does not read gets {@link reset}.
   */
  readonly destroy: () => void
  /**
   * Closes at once, lets go of what the system has taken, and lets the peer see
   * that it was not a regular end. For whoever is cut off: by a deadline of its
   * own writing, by the stop's with something unsent, by a limit of memory. Where
   * there is no such thing as a reset, as over a Unix socket, it is `destroy`.
   */
  readonly reset: () => void
}

/**
 * What happens on a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Receiver {
  onData(chunk: Uint8Array): void
  /** A control message that concerns the request that this carries, where another program has read it; `undefined` says that no more come. */
  onControl?(payload: Uint8Array | undefined): void
  /** The peer has half-closed: it sends no more, and may still read. */
  onEnd(): void
  /** What was written has left; writing may go on. */
  onDrain(): void
  /** Everything written before `end`, and the half-close itself, have been handed to the system. */
  onFinish(): void
  /** The peer has done more of something than it may, below what it sends: it is to be reset, and nothing is read until then. Default: the wire resets it. */
  onMisuse?(limit: string, most: number, reason: string): void
  /** The connection is gone, with the platform's error if there was one. Called once. */
  onClose(error: unknown): void
}

/**
 * A datagram as it arrived, with the way back to its sender.
 *
 * @category models
 * @since 0.1.0
 */
export interface Datagram {
  readonly data: Uint8Array
  readonly peer: Peer.Peer
  /** The listener that it came to. */
  readonly listener: Endpoint.Endpoint
  /** Sends a datagram to its sender. `sent` is called once, also before `reply` returns: without an argument when the system has taken it, with the reason when it cannot be sent. */
  readonly reply: (data: Uint8Array, sent: (failure?: Outcome.Undelivered) => void) => void
  /** Whether it was held back, and cannot be any longer, since the server stops: it is taken as far as there is memory, however many there are. */
  readonly isLast?: boolean
}
