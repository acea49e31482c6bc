/**
 * From the bytes of a connection to its requests, and back.
 *
 * A `Protocol` is a value: a framing that cuts a byte stream into messages, and
 * a codec that gives them types. Every protocol here works in both directions,
 * so a typed client comes for free.
 *
 * It is not a conversation: greeting, login and other state belong to the
 * handler (`Handler.perConnection`), or to the handler of a
 * {@link connection} protocol.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type * as Connection from "./Connection.ts"
import { concat, indexOf, readLength, writeLength } from "./internal/bytes.ts"
import * as decoders from "./internal/decoders.ts"
import * as Outcome from "./Outcome.ts"

const TypeId = "~@socketserver/core/Protocol"

/**
 * How requests of type `In` are read, and responses of type `Out` written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol<in out In, in out Out> {
  readonly [TypeId]: { readonly _In: (_: In) => In; readonly _Out: (_: Out) => Out }
  /** For logs and errors: `"lines"`. */
  readonly name: string
  /** Whether each message is a request, or the whole connection is one. */
  readonly kind: "messages" | "connection"
  /** Whether replies leave in the order of their requests. */
  readonly ordered: boolean
  /** The server's side. */
  readonly server: Codec<unknown, never>
}

/**
 * A protocol that can also be spoken from the other end, which is what a client
 * needs. A client sends `Send` and receives `Receive`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Duplex<in out In, in out Out, in out Send = In, in out Receive = Out> extends Protocol<In, Out> {
  readonly server: Codec<Send, Receive>
  readonly client: Codec<Receive, Send>
}

/**
 * One end of a protocol: what it reads and what it writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec<Read, Write> {
  /** A new decoder for each connection. */
  decoder(): Decoder<Read>
  /** The bytes of a message; a string stands for its UTF-8. */
  encode(message: Write): string | Uint8Array | Unencodable
  /** The same over datagrams: each is one message, and framing does not apply. */
  readonly datagram: DatagramCodec<Read, Write>
}

/**
 * One end of a protocol over datagrams.
 *
 * @category models
 * @since 0.1.0
 */
export interface DatagramCodec<Read, Write> {
  decode(datagram: Uint8Array): Result.Result<Read, DecodeError>
  encode(message: Write): string | Uint8Array | Unencodable
}

/**
 * The incremental decoder of one connection.
 *
 * **Details**
 *
 * `push` takes what has arrived and appends every message that it completes.
 * Whatever the chunks are, the messages are the same. The first error ends the
 * connection's input; messages before it stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<Message> {
  push(chunk: Uint8Array, messages: Array<Message>): DecodeError | undefined
  /** The peer has half-closed. */
  end(messages: Array<Message>): DecodeError | undefined
  /** Where message `index` of the last call starts, in bytes from the start of the input. */
  offsetOf(index: number): number
}

/**
 * Why input cannot be decoded.
 *
 * @category errors
 * @since 0.1.0
 */
export type DecodeError = Outcome.FrameTooLarge | Outcome.Malformed

/**
 * A message that its protocol cannot express, with the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unencodable {
  readonly problem: string
  constructor(problem: string) {
    this.problem = problem
  }
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
 * Every chunk that is received is a request, as `recv` has it.
 *
 * **Gotchas**
 *
 * A stream has no message boundaries: what a peer sends at once may arrive in
 * pieces, and what it sends in pieces may arrive at once. Use a framing for
 * anything but an echo or a sink.
 *
 * @category protocols
 * @since 0.1.0
 */
export const bytes = (): Duplex<Uint8Array, Uint8Array> =>
  symmetric("bytes", {
    decoder: decoders.chunks,
    encode: (message) => message,
    datagram: { decode: Result.succeed, encode: (message) => message }
  })

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
export const lines = (options?: LinesOptions): Duplex<string, string> => {
  const maxFrameBytes = maximum(options)
  const terminator = options?.terminator ?? "\n"
  const unterminated = options?.unterminated ?? "emit"
  const ending = (end: string) => (line: string) =>
    line.includes("\n") || line.endsWith("\r")
      ? new Unencodable(`a line cannot contain a newline or end with a carriage return: ${excerpt(line)}`)
      : line + end
  return symmetric("lines", {
    decoder: () => decoders.lines({ maxFrameBytes, unterminated }),
    encode: ending(terminator),
    datagram: { decode: (datagram) => decoders.line(datagram, maxFrameBytes), encode: ending("") }
  })
}

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
export const delimited = (delimiter: string | Uint8Array, options?: FramingOptions): Duplex<Uint8Array, Uint8Array> => {
  const mark = typeof delimiter === "string" ? utf8.encode(delimiter) : delimiter
  if (mark.length === 0) throw new RangeError("Protocol.delimited: the delimiter is empty")
  const maxFrameBytes = maximum(options)
  const framed = (message: Uint8Array): Uint8Array | Unencodable => {
    // Also where the end of the message and the start of the delimiter make a delimiter.
    const framed = concat(message, mark)
    const at = indexOf(framed, mark, 0)
    return at === message.length ? framed : new Unencodable(`a message cannot contain the delimiter (byte ${at})`)
  }
  const stream = make<Uint8Array>({
    name: "delimited",
    maxFrameBytes,
    decode: (input, seen) => {
      const at = indexOf(input, mark, Math.max(0, seen - mark.length + 1))
      return at === -1 ? more() : frame(input.subarray(0, at), at + mark.length)
    },
    encode: framed
  })
  return overDatagrams(stream, {
    decode: (datagram) => {
      const at = indexOf(datagram, mark, 0)
      if (at !== -1 && at !== datagram.length - mark.length) {
        return Result.fail(Outcome.malformed(0, `the datagram has a delimiter inside (byte ${at})`))
      }
      // As over a connection, the delimiter counts.
      return (at === -1 ? datagram.length + mark.length : datagram.length) > maxFrameBytes
        ? Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
        : Result.succeed(at === -1 ? datagram : datagram.subarray(0, at))
    },
    encode: (message) => {
      const checked = framed(message)
      return checked instanceof Unencodable ? checked : message
    }
  })
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
export const lengthPrefixed = (options?: LengthPrefixedOptions): Duplex<Uint8Array, Uint8Array> => {
  const width = options?.lengthBytes ?? 4
  const little = options?.endian === "little"
  const before = options?.lengthOffset ?? 0
  const adjustment = options?.lengthAdjustment ?? 0
  const header = before + width
  const largest = 2 ** (width * 8) - 1
  const maxFrameBytes = maximum(options)
  const stream = make<Uint8Array>({
    name: "lengthPrefixed",
    maxFrameBytes,
    decode: (input) => {
      if (input.length < header) return more(header)
      const length = readLength(input, before, width, little)
      const size = header + length + adjustment
      if (size < header) return malformed(`the length field says ${length}, which leaves ${length + adjustment} bytes`)
      if (input.length < size) return more(size)
      const body = input.subarray(header, size)
      return frame(before === 0 ? body : concat(input.subarray(0, before), body), size)
    },
    encode: (message) => {
      if (message.length < before)
        return new Unencodable(`a message starts with ${before} bytes of header, this has ${message.length}`)
      const length = message.length - before - adjustment
      if (length < 0 || length > largest)
        return new Unencodable(`${length} does not fit a length field of ${width} bytes`)
      const out = new Uint8Array(header + message.length - before)
      out.set(message.subarray(0, before))
      writeLength(out, before, width, little, length)
      out.set(message.subarray(before), header)
      return out
    }
  })
  if (before > 0) return stream
  return overDatagrams(stream, {
    // As over a connection, the header counts.
    decode: (datagram) =>
      header + datagram.length > maxFrameBytes
        ? Result.fail(Outcome.frameTooLarge(maxFrameBytes, 0))
        : Result.succeed(datagram),
    encode: (message) => message
  })
}

/**
 * Byte strings of one size.
 *
 * @category protocols
 * @since 0.1.0
 */
export const fixed = (sizeBytes: number): Duplex<Uint8Array, Uint8Array> => {
  if (!Number.isInteger(sizeBytes) || sizeBytes < 1)
    throw new RangeError(`Protocol.fixed: the size must be a positive integer, not ${sizeBytes}`)
  return make<Uint8Array>({
    name: "fixed",
    maxFrameBytes: sizeBytes,
    decode: (input) => (input.length < sizeBytes ? more(sizeBytes) : frame(input.subarray(0, sizeBytes), sizeBytes)),
    encode: (message) =>
      message.length === sizeBytes
        ? message
        : new Unencodable(`a message has ${sizeBytes} bytes, not ${message.length}`)
  })
}

/**
 * A JSON value a line (newline-delimited JSON).
 *
 * **When to use**
 *
 * With {@link schema}, which gives the values their types.
 *
 * @category protocols
 * @since 0.1.0
 */
export const ndjson = (options?: LinesOptions): Duplex<unknown, unknown> => {
  const json = { decode: parseJson, encode: formatJson }
  return named("ndjson", transform(lines(options), { request: json, response: json }))
}

/**
 * What one step of a custom decoder found at the front of the input.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<Message> =
  | { readonly _tag: "Frame"; readonly value: Message; readonly size: number }
  | { readonly _tag: "More"; readonly needed: number | undefined }
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
 * A step that needs more input: `neededBytes` counted from the start of the
 * frame where that is known, which also lets a frame that is too large be
 * refused before it is buffered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const more = (neededBytes?: number): Step<never> => ({ _tag: "More", needed: neededBytes })

/**
 * A step that found something the protocol does not allow. The connection
 * closes, once earlier replies have left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const malformed = (reason: string): Step<never> => ({ _tag: "Malformed", reason })

/**
 * How one kind of message is found in bytes, and turned into them.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageFormat<Message> {
  /**
   * Looks at the front of the input, which starts at a frame. `seenBytes` of it
   * an earlier call has seen and asked for more; what it found there may still
   * count, so search from a little before.
   */
  readonly decode: (input: Uint8Array, seenBytes: number) => Step<Message>
  readonly encode: (message: Message) => string | Uint8Array | Unencodable
}

/**
 * A protocol of your own: how its messages are found in bytes.
 *
 * **Details**
 *
 * `decode` looks at the input from the start of a frame on and answers with
 * {@link frame}, {@link more} or {@link malformed}; buffering, chunking and the
 * maximum are taken care of. Requests and responses share one format here; give
 * `response` a format of its own where they differ.
 *
 * A datagram is one frame, with nothing before and nothing after it.
 *
 * **Example** (Reading netstrings)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * // https://cr.yp.to/proto/netstrings.txt: "5:hello,"
 * const netstring = Protocol.make<string>({
 *   name: "netstring",
 *   decode: (input) => {
 *     const colon = input.indexOf(58)
 *     const digits = new TextDecoder().decode(input.subarray(0, colon === -1 ? 10 : colon))
 *     if (!/^[0-9]{1,9}$/.test(digits)) return Protocol.malformed("the length is not a number")
 *     if (colon === -1) return Protocol.more()
 *     const end = colon + 1 + Number(digits)
 *     if (input.length <= end) return Protocol.more(end + 1)
 *     if (input[end] !== 44) return Protocol.malformed("no comma at the end")
 *     return Protocol.frame(new TextDecoder().decode(input.subarray(colon + 1, end)), end + 1)
 *   },
 *   encode: (text) => `${new TextEncoder().encode(text).length}:${text},`
 * })
 *
 * netstring.client.encode("hello") // => "5:hello,"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <Message>(options: FramingOptions & MessageFormat<Message> & { readonly name: string }): Duplex<Message, Message>
  <In, Out>(
    options: FramingOptions & {
      readonly name: string
      readonly request: MessageFormat<In>
      readonly response: MessageFormat<Out>
    }
  ): Duplex<In, Out>
} = <In, Out>(
  options: FramingOptions & {
    readonly name: string
    readonly request?: MessageFormat<In>
    readonly response?: MessageFormat<Out>
  } & Partial<MessageFormat<In & Out>>
): Duplex<In, Out> => {
  const maxFrameBytes = maximum(options)
  const request = options.request ?? (options as unknown as MessageFormat<In>)
  const response = options.response ?? (options as unknown as MessageFormat<Out>)
  const decoder =
    <Message>(format: MessageFormat<Message>) =>
    () =>
      decoders.stepping<Message>({
        maxFrameBytes,
        step: format.decode,
        end: (rest, offset) =>
          Outcome.malformed(offset, `the input ended inside a frame (after ${rest.length} bytes of it)`)
      })
  const codec = <Read, Write>(read: MessageFormat<Read>, write: MessageFormat<Write>): Codec<Read, Write> => ({
    decoder: decoder(read),
    encode: write.encode,
    datagram: { decode: (datagram) => decoders.whole(datagram, read.decode, maxFrameBytes), encode: write.encode }
  })
  return build({
    name: options.name,
    kind: "messages",
    ordered: true,
    server: codec(request, response),
    client: codec(response, request)
  })
}

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
  self: Duplex<In, Out>,
  options: { readonly request: Conversion<In, In2>; readonly response: Conversion<Out, Out2> }
): Duplex<In2, Out2> => {
  const server = self.server as Codec<In, Out>
  return build({
    name: self.name,
    kind: self.kind,
    ordered: self.ordered,
    server: converted(server, options.request, options.response),
    client: converted(self.client, options.response, options.request)
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
  self: Duplex<In, Out>,
  options: {
    readonly request: Schema.Codec<In2, EncodedIn>
    readonly response: Schema.Codec<Out2, EncodedOut>
  }
): Duplex<In2, Out2> =>
  transform(self, { request: conversion<In, In2>(options.request), response: conversion<Out, Out2>(options.response) })

/**
 * Lets replies leave as they are ready. For protocols whose messages say which
 * request they answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const unordered = <P extends { readonly ordered: boolean }>(self: P): P => ({ ...self, ordered: false })

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
 * `stream`. `Handler.conversation` writes one.
 *
 * A datagram is a connection too: its `stream` has one message, and each write
 * is a datagram to its sender.
 *
 * @category protocols
 * @since 0.1.0
 */
export const connection: {
  (): Duplex<Connection.Connection<Uint8Array, Uint8Array>, never, Uint8Array, Uint8Array>
  <In, Out>(of: Duplex<In, Out>): Duplex<Connection.Connection<In, Out>, never, In, Out>
} = <In, Out>(of: Duplex<In, Out> = bytes() as never): Duplex<Connection.Connection<In, Out>, never, In, Out> =>
  build({ name: `connection(${of.name})`, kind: "connection", ordered: true, server: of.server, client: of.client })

const utf8 = new TextEncoder()

// The types of a protocol are phantom, so it is built without them and gets them from the signature of its constructor.
const build = <In, Out, Send, Receive>(
  options: Pick<Protocol<In, Out>, "name" | "kind" | "ordered"> & { readonly server: unknown; readonly client: unknown }
): Duplex<In, Out, Send, Receive> => ({ [TypeId]: variance, ...options }) as never

const variance = { _In: (_: never) => _, _Out: (_: never) => _ }

const symmetric = <Message>(name: string, codec: Codec<Message, Message>): Duplex<Message, Message> =>
  build({ name, kind: "messages", ordered: true, server: codec, client: codec })

/** A symmetric protocol that has a form of its own over datagrams. */
const overDatagrams = <Message>(
  self: Duplex<Message, Message>,
  datagram: DatagramCodec<Message, Message>
): Duplex<Message, Message> => ({
  ...self,
  server: { ...self.server, datagram },
  client: { ...self.client, datagram }
})

const named = <In, Out>(name: string, self: Duplex<In, Out>): Duplex<In, Out> => ({ ...self, name })

const maximum = (options: FramingOptions | undefined): number => {
  const max = options?.maxFrameBytes ?? defaultMaxFrameBytes
  if (!Number.isSafeInteger(max) || max < 1)
    throw new RangeError(`Protocol: maxFrameBytes must be a positive integer, not ${max}`)
  return max
}

const converted = <A, B, A2, B2>(
  self: Codec<A, B>,
  read: Conversion<A, A2>,
  write: Conversion<B, B2>
): Codec<A2, B2> => {
  const encoding =
    (encode: (message: B) => string | Uint8Array | Unencodable) =>
    (message: B2): string | Uint8Array | Unencodable => {
      const result = write.encode(message)
      return Result.isSuccess(result) ? encode(result.success) : new Unencodable(result.failure)
    }
  return {
    decoder: () =>
      decoders.transformed(self.decoder(), (message) => {
        const result = read.decode(message)
        return Result.isSuccess(result) ? { value: result.success } : { problem: result.failure }
      }),
    encode: encoding((message) => self.encode(message)),
    datagram: {
      decode: (datagram) =>
        Result.flatMap(self.datagram.decode(datagram), (message) =>
          Result.mapError(read.decode(message), (problem) => Outcome.malformed(0, problem))
        ),
      encode: encoding((message) => self.datagram.encode(message))
    }
  }
}

const excerpt = (line: string): string => JSON.stringify(line.length > 40 ? `${line.slice(0, 40)}…` : line)

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

const parseJson = (line: string): Result.Result<unknown, string> =>
  Result.try({
    try: () => JSON.parse(line) as unknown,
    catch: (error) => `the line is not JSON: ${(error as Error).message}`
  })

const formatJson = (value: unknown): Result.Result<string, string> =>
  Result.flatMap(
    Result.try({
      try: () => JSON.stringify(value) as string | undefined,
      catch: (error) => (error as Error).message
    }),
    (text) => (text === undefined ? Result.fail(`${typeof value} is not a JSON value`) : Result.succeed(text))
  )
