import * as framings from "../internal/framings.ts"
import { defaultMax, framed, isSize, maximum, problemOf } from "../internal/protocols.ts"
import type { Framed } from "../Protocol.ts"

/** The part of `Protocol` that tells the payloads of a byte stream apart. */

/**
 * The largest frame that is held in memory unless a protocol is told otherwise: 64 KiB.
 *
 * **Gotchas**
 *
 * A peer that exceeds it ends with `FrameTooLarge`, and its connection closes.
 * There is no unlimited setting.
 *
 * @category constructors
 * @since 0.1.0
 */
export const defaultMaxFrameBytes = defaultMax

/**
 * The options that all framings share.
 *
 * @category models
 * @since 0.1.0
 */
export interface FramingOptions {
  /** The largest frame in bytes, with its header or delimiter but without a line's end. Default: 65536. A larger one ends as `FrameTooLarge`, before it is buffered where its size is announced. */
  readonly maxFrameBytes?: number | undefined
}

/**
 * The options of {@link lines} and {@link ndjson}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LinesOptions extends FramingOptions {
  /** What ends a line that is written. Default: `"\n"`. Both forms are always read; {@link delimited} reads one. */
  readonly terminator?: "\n" | "\r\n" | undefined
  /** What a last line without a newline is when the peer half-closes: a request (as in Python), or an error. Default: `"emit"`. */
  readonly unterminated?: "emit" | "malformed" | undefined
}

/**
 * The options of {@link lengthPrefixed}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LengthPrefixedOptions extends FramingOptions {
  /** The size of the length field, in bytes. Default: 4. */
  readonly lengthBytes?: 1 | 2 | 4 | 8 | undefined
  /** Default: `"big"`, the network's byte order. */
  readonly endian?: "big" | "little" | undefined
  /** Bytes of header before the length field. They stay part of the message. Default: 0. */
  readonly lengthOffset?: number | undefined
  /** Added to the length field's value to get the bytes that follow the field: −4 if a four-byte length counts itself. Default: 0. */
  readonly lengthAdjustment?: number | undefined
}

/**
 * Bytes: every chunk that is received, or every payload of a framing.
 *
 * **Example** (Lines of any bytes)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * const latin1 = Protocol.bytes(Protocol.lines())
 *
 * latin1.client.encode(Uint8Array.of(0xe9)) // => Uint8Array.of(0xe9, 0x0a)
 * ```
 *
 * **Gotchas**
 *
 * Without a framing a stream has no message boundaries: what a peer sends at once
 * may arrive in pieces, and what it sends in pieces may arrive at once. Use a
 * framing for anything but an echo or a sink. Over datagrams it is exactly one
 * datagram.
 *
 * @category protocols
 * @since 0.1.0
 */
export const bytes = (of?: Framed<string> | Framed<Uint8Array>): Framed<Uint8Array> =>
  of === undefined
    ? framed("bytes", framings.chunks, "bytes", undefined)
    : framed(`bytes(${of.name})`, of.framing, "bytes", of.problem)

/**
 * Lines of UTF-8 text, without their line ends.
 *
 * **Gotchas**
 *
 * A line contains no newline and does not end with a carriage return. Input that
 * would make such a one (`"x\r\r\n"`) is `Malformed`; a response that is one cannot
 * be sent, since it would not arrive as it was, and ends its request as `Failed`.
 * Answer several lines with `Response.stream`.
 *
 * Both `"\n"` and `"\r\n"` end a line that is read. Where a bare LF must not end one,
 * as in SMTP, take `text(delimited("\r\n"))`.
 *
 * A datagram is one line, with or without a line end, and is written without
 * one. A datagram of several lines is `Malformed`.
 *
 * @category protocols
 * @since 0.1.0
 */
export const lines = (options?: LinesOptions): Framed<string> =>
  framed(
    "lines",
    framings.lines({
      maxFrameBytes: maximum(options),
      terminator: options?.terminator ?? "\n",
      unterminated: options?.unterminated ?? "emit"
    }),
    "text",
    problemOf(options)
  )

/**
 * Byte strings between delimiters, without the delimiter.
 *
 * **Gotchas**
 *
 * Bytes after the last delimiter are `Malformed` when the peer half-closes.
 *
 * A datagram is one byte string, with or without a delimiter at its end, and is
 * written without one. A datagram with a delimiter inside is `Malformed`.
 *
 * @category protocols
 * @since 0.1.0
 */
export const delimited = (delimiter: string | Uint8Array, options?: FramingOptions): Framed<Uint8Array> => {
  const mark = framings.bytesOf(delimiter)
  const problem = mark.length === 0 ? "the delimiter is empty; give it one byte at least" : problemOf(options)
  return framed("delimited", framings.delimited(mark, maximum(options)), "bytes", problem)
}

/**
 * Byte strings after a header that says how long they are.
 *
 * **Details**
 *
 * With `lengthOffset` 0 a message is the bytes after the length field. With a
 * header before the field (`lengthOffset` n) a message is those n bytes
 * followed by the bytes after the field.
 *
 * **Gotchas**
 *
 * A length over `maxFrameBytes` ends as `FrameTooLarge` as soon as the header is read.
 *
 * A datagram has no length field, as DNS has it: it is the message. With a
 * header before the field, which is then a part of the message, a datagram is a
 * whole frame.
 *
 * @category protocols
 * @since 0.1.0
 */
export const lengthPrefixed = (options?: LengthPrefixedOptions): Framed<Uint8Array> =>
  framed(
    "lengthPrefixed",
    framings.lengthPrefixed({
      lengthBytes: options?.lengthBytes ?? 4,
      endian: options?.endian ?? "big",
      lengthOffset: options?.lengthOffset ?? 0,
      lengthAdjustment: options?.lengthAdjustment ?? 0,
      maxFrameBytes: maximum(options)
    }),
    "bytes",
    problemOf(options)
  )

/**
 * Byte strings of one size.
 *
 * @category protocols
 * @since 0.1.0
 */
export const fixed = (sizeBytes: number): Framed<Uint8Array> => {
  const valid = isSize(sizeBytes)
  const problem = valid ? undefined : `the size must be a positive integer, not ${sizeBytes}`
  return framed("fixed", framings.fixed(valid ? sizeBytes : 1), "bytes", problem)
}

/**
 * Netstrings: byte strings after their length in digits, with a comma at the end,
 * as in `5:hello,` (https://cr.yp.to/proto/netstrings.txt).
 *
 * **Gotchas**
 *
 * A datagram is the byte string alone.
 *
 * @category protocols
 * @since 0.1.0
 */
export const netstring = (options?: FramingOptions): Framed<Uint8Array> =>
  framed("netstring", framings.netstring(maximum(options)), "bytes", problemOf(options))
