/**
 * For authors of policies and transports: the two ends of a protocol, as they read
 * and write bytes.
 *
 * `protocol.server` and `protocol.client` are one each. What a program needs of
 * them stands in `Protocol`, whose constructors make them.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type { DecodeError, Payload, Unencodable } from "./Protocol.ts"

/**
 * One end of a protocol: what it reads and what it writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Side<out Read, in Write> {
  /** Whether a message is its payload, as for text and bytes. */
  readonly plain: boolean
  /**
   * What messages take in memory beside the bytes that they came in, which are so
   * many: at most, or that of the one whose `payload` it is, where its text tells.
   */
  readonly weight: (bytes: number, payload?: Payload) => number
  /** The largest frame that it reads, in bytes. */
  readonly maxFrameBytes: number
  /** A new decoder for each connection. */
  readonly decoder: () => Decoder<Read>
  /** A message as it goes over a connection. */
  readonly encode: (message: Write) => Payload | Unencodable
  /** A payload that was encoded elsewhere, as it goes over a connection. */
  readonly frame: (payload: Payload) => Payload | Unencodable
  /** The same in pieces, the payload being one of them: for large ones, that nothing is copied. */
  readonly pieces?: ((payload: Uint8Array) => ReadonlyArray<Uint8Array> | Unencodable) | undefined
  /** What a message is that it writes, where it is one of these: for what is said of another. */
  readonly takes?: "text" | "bytes" | undefined
  /** A message alone, as it goes to a worker and back. */
  readonly payload: MessageCodec<Payload, Read, Write>
  /** Over datagrams: each is one payload, and framing does not apply. */
  readonly datagram: DatagramCodec<Read, Write>
}

/**
 * From one piece of data to one message, and back.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageCodec<in Data, out Read, in Write> {
  readonly decode: (data: Data) => Result.Result<Read, DecodeError>
  readonly encode: (message: Write) => Payload | Unencodable
}

/**
 * One end of a protocol over datagrams.
 *
 * @category models
 * @since 0.1.0
 */
export interface DatagramCodec<out Read, in Write> extends MessageCodec<Uint8Array, Read, Write> {
  /** The payload of a datagram. */
  readonly unframe: (datagram: Uint8Array) => Result.Result<Uint8Array, DecodeError>
  /** The datagram of a payload that was encoded elsewhere. */
  readonly frame: (payload: Payload) => Payload | Unencodable
}

/**
 * The incremental decoder of one connection.
 *
 * **Details**
 *
 * `push` takes what has arrived and appends the messages that it completes, and
 * their payloads where those are asked for, but at most `max` (default: all). What
 * is left stays undecoded: it is bytes, which cost less than messages; `more`
 * goes on with it. Whatever the chunks and the maxima are, the messages are the
 * same. The first error ends the connection's input; messages before it stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<out Message> {
  push(
    chunk: Uint8Array,
    messages: Array<Message>,
    payloads?: Array<Payload> | undefined,
    max?: number | undefined
  ): DecodeError | undefined
  more(
    messages: Array<Message>,
    payloads?: Array<Payload> | undefined,
    max?: number | undefined
  ): DecodeError | undefined
  /** Whether a maximum has left something undecoded that may have whole messages. */
  readonly isBehind: boolean
  /** Whether its messages are chunks as they happen to come, which say nothing of where anything ends. Default: they are frames. */
  readonly isUnframed?: boolean
  /** How many bytes it holds that no message has been made of. */
  readonly restBytes: number
  /** The peer has half-closed. Called when it is not behind. */
  end(messages: Array<Message>, payloads?: Array<Payload> | undefined): DecodeError | undefined
  /** Where message `index` of the last call starts, in bytes from the start of the input. */
  offsetOf(index: number): number
  /**
   * Asked before a value is made of each payload, by a decoder that makes values of
   * payloads. Whoever decodes may set it. After a no it decodes nothing more, and
   * neither it nor what it holds is of use to anybody.
   */
  maker?: Maker | undefined
}

/**
 * Says whether what a payload takes in memory as a value may be held.
 *
 * @category models
 * @since 0.1.0
 */
export interface Maker {
  /** Asked of each payload in turn, before a value is made of it. */
  readonly mayMake: (payload: Payload) => boolean
}

/**
 * A framing alone: the ends of a protocol over it that carries bytes, and of one
 * that carries text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framing {
  readonly bytes: Side<Uint8Array, Uint8Array>
  readonly text: Side<string, string>
}
