/**
 * From the bytes of a connection to its requests, and back.
 *
 * A `Protocol` is a value: a framing, which tells the payloads of a byte stream
 * apart, and a codec, which gives them types. Any codec goes over any framing.
 *
 * The payload is the unit. A datagram is one, without framing, and so is what
 * goes to a worker and what comes back: nothing is encoded again on the way.
 *
 * | a framing | its payloads | a codec | its messages |
 * |---|---|---|---|
 * | {@link lines} | lines | {@link text} | strings |
 * | {@link delimited} | between delimiters | {@link bytes} | bytes |
 * | {@link lengthPrefixed} | after their length | {@link json} | JSON values |
 * | {@link fixed} | of one size | {@link schema} | of any type |
 * | {@link netstring} | netstrings | {@link transform} | converted by hand |
 * | {@link framing} | found by a function of yours | | |
 *
 * {@link make} is for messages whose end shows only while they are read.
 *
 * A protocol is not a conversation: greeting, login and other state belong to a
 * `Session`, or to the handler of a {@link connection} protocol.
 *
 * @since 0.1.0
 */
import { dual } from "effect/Function"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type * as Connection from "./Connection.ts"
import * as decoders from "./internal/decoders.ts"
import * as framings from "./internal/framings.ts"
import * as jsonText from "./internal/json.ts"
import * as sides from "./internal/sides.ts"
import { Unencodable } from "./internal/unencodable.ts"
import type * as Outcome from "./Outcome.ts"

export { Unencodable }

const TypeId = "~@socketserver/core/Protocol"

/**
 * How requests of type `In` are read, and responses of type `Out` written. A
 * client sends `Send` and receives `Receive`.
 *
 * **Details**
 *
 * A protocol that only a server can speak has `never` for both: its client can
 * be connected, and nothing can be sent with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol<in out In, in out Out, in Send = In, out Receive = Out> {
  readonly [TypeId]: { readonly _In: (_: In) => In; readonly _Out: (_: Out) => Out }
  /** For logs and errors: `"lines"`. */
  readonly name: string
  /** Whether each message is a request, or the whole connection is one. */
  readonly kind: "messages" | "connection"
  /** How replies are matched with requests where they do not leave in their order; see {@link correlated}. */
  readonly correlation: Correlation | undefined
  /** What is wrong with its options. A server that is declared with it fails at its start, with this. */
  readonly problem: string | undefined
  /** The server's side. */
  readonly server: Side<unknown, never>
  /** The client's side. */
  readonly client: Side<Receive, Send>
}

/**
 * A payload: what a framing carries, and a codec reads. A string stands for its
 * UTF-8.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = string | Uint8Array

/**
 * One end of a protocol: what it reads and what it writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Side<out Read, in Write> {
  /** Whether a message is its payload, as for text and bytes. */
  readonly plain: boolean
  /** A new decoder for each connection. */
  readonly decoder: () => Decoder<Read>
  /** A message as it goes over a connection. */
  readonly encode: (message: Write) => Payload | Unencodable
  /** A payload that was encoded elsewhere, as it goes over a connection. */
  readonly frame: (payload: Payload) => Payload | Unencodable
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
 * `push` takes what has arrived and appends every message that it completes, and
 * its payload where those are asked for. Whatever the chunks are, the messages
 * are the same. The first error ends the connection's input; messages before it
 * stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<in out Message> {
  readonly push: (
    chunk: Uint8Array,
    messages: Array<Message>,
    payloads?: Array<Payload> | undefined
  ) => DecodeError | undefined
  /** The peer has half-closed. */
  readonly end: (messages: Array<Message>, payloads?: Array<Payload> | undefined) => DecodeError | undefined
  /** Where message `index` of the last call starts, in bytes from the start of the input. */
  readonly offsetOf: (index: number) => number
}

/**
 * Why input cannot be decoded.
 *
 * @category errors
 * @since 0.1.0
 */
export type DecodeError = Outcome.FrameTooLarge | Outcome.Malformed

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

/**
 * A protocol of plain payloads, over which another codec can go.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framed<in out Message> extends Protocol<Message, Message> {
  readonly framing: Framing
}

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
export const defaultMaxFrameBytes = 65_536

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
  /** What ends a line that is written. Default: `"\n"`. Both forms are always read. */
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
 * UTF-8 text over a framing.
 *
 * **Gotchas**
 *
 * Bytes that are not UTF-8 are `Malformed`, and so is text that UTF-8 cannot
 * express (a lone surrogate) when it is written: its request ends as `Failed`.
 *
 * @category protocols
 * @since 0.1.0
 */
export const text = (of: Framed<string> | Framed<Uint8Array>): Framed<string> =>
  framed(`text(${of.name})`, of.framing, "text", of.problem)

/**
 * A JSON value for each payload of a framing.
 *
 * **When to use**
 *
 * With {@link schema}, which gives the values their types.
 *
 * **Gotchas**
 *
 * What JSON would leave out or change is not written: `NaN`, a `Date`, a `Map`,
 * a function. Such a response ends its request as `Failed`. A property that is
 * `undefined` is the same as none, and -0 is 0.
 *
 * **Example** (JSON after its length)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * const messages = Protocol.json(Protocol.lengthPrefixed({ lengthBytes: 2 }))
 *
 * messages.client.encode({ a: 1 }) // => Uint8Array.of(0, 7, ...new TextEncoder().encode('{"a":1}'))
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const json = (of: Framed<string> | Framed<Uint8Array>): Protocol<unknown, unknown> => {
  const side = sides.mapped(of.framing.text, jsonText.parse, jsonText.format)
  return build({ name: `json(${of.name})`, problem: of.problem, server: side, client: side })
}

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

/**
 * A framing of your own: how its payloads are found in bytes. Any codec goes
 * over it.
 *
 * **Details**
 *
 * As {@link make}, with bytes for messages.
 *
 * **Example** (Frames between a start and an end byte)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * const [start, end] = [2, 3]
 * const framing = Protocol.framing({
 *   name: "stx-etx",
 *   decode: (input, seenBytes) => {
 *     if (input[0] !== start) return Protocol.malformed("a frame starts with STX")
 *     const at = input.indexOf(end, seenBytes)
 *     return at === -1 ? Protocol.more() : Protocol.frame(input.subarray(1, at), at + 1)
 *   },
 *   encode: (payload) =>
 *     payload.includes(end) ? new Protocol.Unencodable("it contains ETX") : Uint8Array.of(start, ...payload, end)
 * })
 *
 * Protocol.json(framing).client.encode(7) // => Uint8Array.of(2, 55, 3)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const framing = <State = unknown>(
  options: FramingOptions & FramingFormat<State> & { readonly name: string }
): Framed<Uint8Array> =>
  framed(
    options.name,
    framings.stepping({ decode: options.decode as never, encode: options.encode, maxFrameBytes: maximum(options) }),
    "bytes",
    problemOf(options)
  )

/**
 * A JSON value a line (newline-delimited JSON): {@link json} over {@link lines}.
 *
 * @category protocols
 * @since 0.1.0
 */
export const ndjson = (options?: LinesOptions): Protocol<unknown, unknown> => ({
  ...json(lines(options)),
  name: "ndjson"
})

/**
 * What one step of a custom decoder found at the front of the input.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<Message, State = never> =
  | { readonly _tag: "Frame"; readonly value: Message; readonly size: number }
  | { readonly _tag: "More"; readonly needed: number | undefined; readonly state?: State | undefined }
  | { readonly _tag: "Malformed"; readonly reason: string }

/**
 * A step that found a message in the first `sizeBytes` bytes of the input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const frame = <Message>(value: Message, sizeBytes: number): Step<Message> => ({
  _tag: "Frame",
  value,
  size: sizeBytes
})

/**
 * A step that needs more input.
 *
 * **Details**
 *
 * `neededBytes`, counted from the start of the frame, is given where it is known:
 * the step is not asked before so much has arrived, and a frame that is too large
 * is refused before it is buffered.
 *
 * `state` is given back to the next step for this frame, so that it need not look
 * at what it has seen again. Without it, a message of many small parts that
 * arrives byte by byte costs the square of its size.
 *
 * **Gotchas**
 *
 * The input may be elsewhere in memory at the next step: keep positions and
 * values in a state, not views of the input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const more = <State = never>(neededBytes?: number, state?: State): Step<never, State> =>
  state === undefined ? { _tag: "More", needed: neededBytes } : { _tag: "More", needed: neededBytes, state }

/**
 * A step that found something the protocol does not allow. The connection
 * closes, once earlier replies have left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const malformed = (reason: string): Step<never> => ({ _tag: "Malformed", reason })

/**
 * How one kind of message is found in bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoding<out Message, in out State = unknown> {
  /**
   * Looks at the front of the input, which starts at a frame. `seenBytes` of it
   * an earlier call has seen and asked for more; what it found there may still
   * count, so search from a little before. `state` is what that call gave to
   * {@link more}, and `undefined` at the start of a frame.
   */
  readonly decode: (input: Uint8Array, seenBytes: number, state: State | undefined) => Step<Message, State>
}

/**
 * How one kind of message is turned into bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoding<in Message> {
  readonly encode: (message: Message) => Payload | Unencodable
}

/**
 * Both.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageFormat<in out Message, in out State = unknown>
  extends Decoding<Message, State>, Encoding<Message> {}

/**
 * How the payloads of a framing are found in bytes, and framed.
 *
 * @category models
 * @since 0.1.0
 */
export interface FramingFormat<in out State = unknown> extends MessageFormat<Uint8Array, State> {}

/**
 * A protocol of your own: how its messages are found in bytes.
 *
 * **When to use**
 *
 * For messages whose end shows only while they are read, as in Redis' protocol.
 * Where payloads can be told apart without reading them, {@link framing} lets any
 * codec go over them.
 *
 * **Details**
 *
 * `decode` looks at the input from the start of a frame on and answers with
 * {@link frame}, {@link more} or {@link malformed}; buffering, chunking and the
 * maximum are taken care of. Requests and responses share one format here; give
 * `request` and `response` where they differ. A server alone needs a request's
 * `decode` and a response's `encode`; a client needs the others, too.
 *
 * The payload is the whole frame. A datagram is one frame, with nothing before
 * and nothing after it.
 *
 * **Example** (Numbers in a row, counted)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * // A count, then as many numbers of one byte.
 * const numbers = Protocol.make<ReadonlyArray<number>>({
 *   name: "numbers",
 *   decode: (input) => {
 *     const size = 1 + (input[0] as number)
 *     return input.length < size ? Protocol.more(size) : Protocol.frame([...input.subarray(1, size)], size)
 *   },
 *   encode: (numbers) => Uint8Array.of(numbers.length, ...numbers)
 * })
 *
 * numbers.client.encode([7, 8]) // => Uint8Array.of(2, 7, 8)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <Message, State = unknown>(
    options: FramingOptions & MessageFormat<Message, State> & { readonly name: string }
  ): Protocol<Message, Message>
  <In, Out, InState = unknown, OutState = unknown>(
    options: FramingOptions & {
      readonly name: string
      readonly request: MessageFormat<In, InState>
      readonly response: MessageFormat<Out, OutState>
    }
  ): Protocol<In, Out>
  <In, Out, State = unknown>(
    options: FramingOptions & {
      readonly name: string
      readonly request: Decoding<In, State>
      readonly response: Encoding<Out>
    }
  ): Protocol<In, Out, never, never>
} = (<In, Out>(
  options: FramingOptions & {
    readonly name: string
    readonly request?: Decoding<In, never> & Partial<Encoding<In>>
    readonly response?: Encoding<Out> & Partial<Decoding<Out, never>>
  } & Partial<Decoding<In & Out, never> & Encoding<In & Out>>
): Protocol<In, Out> => {
  const maxFrameBytes = maximum(options)
  const request = options.request ?? (options as unknown as MessageFormat<In, never>)
  const response = options.response ?? (options as unknown as MessageFormat<Out, never>)
  const side = <Read, Write>({ decode }: Decoding<Read, never>, { encode }: Encoding<Write>): Side<Read, Write> => {
    const whole = (frame: Uint8Array) => decoders.wholeFrame(frame, decode, maxFrameBytes)
    return sides.make<Read, Write>({
      plain: false,
      decoder: () => decoders.stepping<Read>({ maxFrameBytes, step: decode }),
      encode,
      frame: (payload) => payload,
      payload: { decode: (payload) => whole(framings.bytesOf(payload)), encode },
      unframe: Result.succeed,
      frameDatagram: (payload) => payload
    })
  }
  const canBeSent = request.encode !== undefined && response.decode !== undefined
  return build({
    name: options.name,
    problem: problemOf(options),
    server: side(request, response),
    client: canBeSent
      ? side(response as Decoding<Out, never>, request as Encoding<In>)
      : sides.refusing(`${options.name} has no client's side: give its request an encode and its response a decode`)
  })
}) as never

/**
 * A two-way conversion of messages; a `Failure` says what is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export interface Conversion<From, To> {
  readonly decode: (from: From) => Result.Result<To, string>
  readonly encode: (to: To) => Result.Result<From, string>
}

/**
 * Converts the requests and responses of a protocol.
 *
 * @see {@link schema} to convert with a `Schema`
 * @category combinators
 * @since 0.1.0
 */
export const transform = <In, Out, In2, Out2>(
  self: Protocol<In, Out>,
  options: { readonly request: Conversion<In, In2>; readonly response: Conversion<Out, Out2> }
): Protocol<In2, Out2> => {
  const read =
    <From, To>({ decode }: Conversion<From, To>) =>
    (from: From): To | sides.Undecodable => {
      const result = decode(from)
      return Result.isSuccess(result) ? result.success : new sides.Undecodable(result.failure)
    }
  const write =
    <From, To>({ encode }: Conversion<From, To>) =>
    (to: To): From | Unencodable => {
      const result = encode(to)
      return Result.isSuccess(result) ? result.success : new Unencodable(result.failure)
    }
  const { request, response } = options
  return build({
    name: self.name,
    kind: self.kind,
    // Its ids are those of the messages that it had.
    problem: self.correlation === undefined ? self.problem : "give its messages their types first, and correlate those",
    server: sides.mapped(self.server as Side<In, never> as Side<In, Out>, read(request), write(response)),
    client: sides.mapped(self.client, read(response), write(request))
  })
}

/**
 * Gives a protocol's messages the types of two schemas, in both directions.
 *
 * **Details**
 *
 * A request that does not fit ends as `Malformed` with the schema's message and
 * its place in the input. A response that does not fit ends as `Failed`.
 *
 * **Example** (Typing newline-delimited JSON)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 * import { Schema } from "effect"
 *
 * const calculator = Protocol.schema(Protocol.ndjson(), {
 *   request: Schema.Struct({ add: Schema.Array(Schema.Finite) }),
 *   response: Schema.Struct({ sum: Schema.Finite })
 * })
 *
 * calculator.client.encode({ add: [1, 2] }) // => '{"add":[1,2]}\n'
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const schema = <In, Out, In2, EncodedIn extends In, Out2, EncodedOut extends Out>(
  self: Protocol<In, Out>,
  options: {
    readonly request: Schema.Codec<In2, EncodedIn>
    readonly response: Schema.Codec<Out2, EncodedOut>
  }
): Protocol<In2, Out2> =>
  transform(self, { request: conversion<In, In2>(options.request), response: conversion<Out, Out2>(options.response) })

/**
 * Which request a message belongs to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Correlation {
  /** The id that a request asks under. */
  readonly request: (message: never) => unknown
  /** The id of the request that a response answers; `undefined` for a message that answers none. */
  readonly response: (message: never) => unknown
}

/**
 * Lets replies leave as they are ready, for protocols whose messages say which
 * request they answer. A client matches them by that.
 *
 * **Details**
 *
 * `id` reads the id of a message, request or response; give `request` and
 * `response` where those differ. Ids are compared as the keys of a `Map`. A
 * message without one (`undefined`) answers nobody: a client finds it in its
 * `stream`.
 *
 * **Example** (Answers that overtake each other)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const Message = Schema.Struct({ id: Schema.Int, body: Schema.String })
 * const protocol = Protocol.correlated(
 *   Protocol.schema(Protocol.json(Protocol.lengthPrefixed()), { request: Message, response: Message }),
 *   { id: (message) => message.id }
 * )
 * class Shout extends Server.Service<Shout>()("Shout", { protocol }) {}
 *
 * const ShoutLive = Shout.serve(({ body }) =>
 *   Effect.succeed(Response.make({ id: body.id, body: body.body.toUpperCase() }))
 * )
 * const answers = Effect.gen(function* () {
 *   const client = yield* Shout.client
 *   const send = (id: number) => client.send({ id, body: "hello" })
 *   return yield* Effect.all([send(1), send(2)], { concurrency: "unbounded" })
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(ShoutLive, MemoryServer.layer(Shout))))
 *
 * await Effect.runPromise(answers) // => [{ id: 1, body: "HELLO" }, { id: 2, body: "HELLO" }]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const correlated: {
  <In, Out>(
    by: CorrelatedBy<In, Out>
  ): <Send, Receive>(self: Protocol<In, Out, Send, Receive>) => Protocol<In, Out, Send, Receive>
  <In, Out, Send, Receive>(
    self: Protocol<In, Out, Send, Receive>,
    by: CorrelatedBy<In, Out>
  ): Protocol<In, Out, Send, Receive>
} = dual(
  2,
  <In, Out, Send, Receive>(
    self: Protocol<In, Out, Send, Receive>,
    by: CorrelatedBy<In, Out>
  ): Protocol<In, Out, Send, Receive> => ({
    ...self,
    correlation: "id" in by ? { request: by.id, response: by.id } : by
  })
)

/**
 * How the messages of a protocol say which request they belong to.
 *
 * @category models
 * @since 0.1.0
 */
export type CorrelatedBy<In, Out> =
  | { readonly id: (message: In | Out) => unknown }
  | { readonly request: (message: In) => unknown; readonly response: (message: Out) => unknown }

/**
 * The whole connection is the request: the handler reads and writes as it
 * likes, and the connection closes when it returns.
 *
 * **When to use**
 *
 * For conversations: greet first, several reads for one answer, messages
 * without a request, state in local variables.
 *
 * **Details**
 *
 * `of` frames both directions; without it the connection carries bytes. The
 * handler is interrupted when the peer is gone; a half-close only ends its
 * `stream`. `Handler.dialogue` writes one. Of {@link correlated} messages its
 * client still matches answers by their ids.
 *
 * A datagram is a connection too: its `stream` has one message, and each write
 * is a datagram to its sender.
 *
 * @category protocols
 * @since 0.1.0
 */
export const connection: {
  (): Protocol<Connection.Connection<Uint8Array, Uint8Array>, never, Uint8Array, Uint8Array>
  <In, Out, Send, Receive>(
    of: Protocol<In, Out, Send, Receive>
  ): Protocol<Connection.Connection<In, Out>, never, Send, Receive>
} = <In, Out>(of: Protocol<In, Out> = bytes() as never): Protocol<Connection.Connection<In, Out>, never, In, Out> => ({
  ...build<Connection.Connection<In, Out>, never, In, Out>({
    name: `connection(${of.name})`,
    kind: "connection",
    problem: of.problem,
    server: of.server,
    client: of.client
  }),
  // For its client: at the server the connection is the one request.
  correlation: of.correlation
})

// The types of a protocol are phantom, so it is built without them and gets them from the signature of its constructor.
const build = <In, Out, Send, Receive>(options: {
  readonly name: string
  readonly kind?: "messages" | "connection"
  readonly problem: string | undefined
  readonly server: unknown
  readonly client: unknown
  readonly framing?: Framing
}): Protocol<In, Out, Send, Receive> =>
  ({ [TypeId]: variance, kind: "messages", correlation: undefined, ...options }) as never

const variance = { _In: (_: never) => _, _Out: (_: never) => _ }

/** A protocol of plain payloads in one of the two forms of a framing. */
const framed = <Message>(
  name: string,
  framing: Framing,
  form: "bytes" | "text",
  problem: string | undefined
): Framed<Message> =>
  build<Message, Message, Message, Message>({
    name,
    problem,
    framing,
    server: framing[form],
    client: framing[form]
  }) as Framed<Message>

const isSize = (bytes: number): boolean => Number.isSafeInteger(bytes) && bytes >= 1

const maximum = (options: FramingOptions | undefined): number => {
  const max = options?.maxFrameBytes ?? defaultMaxFrameBytes
  return isSize(max) ? max : defaultMaxFrameBytes
}

const problemOf = (options: FramingOptions | undefined): string | undefined => {
  const max = options?.maxFrameBytes ?? defaultMaxFrameBytes
  return isSize(max) ? undefined : `maxFrameBytes must be a positive integer, not ${max}`
}

const formatter = SchemaIssue.makeFormatterDefault()

// In one line, for logs.
const formatIssue = (issue: SchemaIssue.Issue): string => formatter(issue).replaceAll(/\s+/g, " ")

const conversion = <From, To>(schema: Schema.Codec<To, From>): Conversion<From, To> => {
  const decode = SchemaParser.decodeUnknownResult(schema)
  const encode = SchemaParser.encodeUnknownResult(schema)
  return {
    decode: (from) => Result.mapError(decode(from), formatIssue),
    encode: (to) => Result.mapError(encode(to), formatIssue) as Result.Result<From, string>
  }
}
