/**
 * Log messages of other programs (syslog, RFC 5424 and RFC 3164): for servers that
 * collect them.
 *
 * {@link protocol} reads them over UDP, TCP, TLS and Unix sockets of either kind. Over
 * a stream a message is framed as its sender likes (RFC 6587): after its length, or up
 * to a newline or a NUL. That is told apart by itself, message by message.
 *
 * It is not a relay, a queue or a store: what becomes of a message is the handler's.
 * Nobody is answered, so a handler returns `Response.empty`.
 *
 * @since 0.1.0
 */
import * as Protocol from "@socketserver/core/Protocol"
import { datagramsWhole, noAnswer } from "./internal/payloads.ts"
import { Frames } from "./internal/syslog/frames.ts"
import type * as model from "./internal/syslog/model.ts"
import * as names from "./internal/syslog/model.ts"
import { read } from "./internal/syslog/read.ts"
import { counted, write } from "./internal/syslog/write.ts"

/**
 * One message: who says it, how grave it is, and what it says.
 *
 * **Details**
 *
 * What its sender leaves out is `undefined`: a `-` in RFC 5424, and whatever cannot be
 * found in RFC 3164, which is free text after a priority. What has a priority and does
 * not fit RFC 5424, as a message that was cut on the way, is one of RFC 3164.
 *
 * `timestamp` stands there as it was sent; {@link millisOf} reads it. `host` is what
 * the sender claims: who has sent it is `request.peer`.
 *
 * Bytes that are not UTF-8 are read as Latin-1. A byte order mark before the text, and
 * newlines and NULs at the end of a message, are no part of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message extends model.Message {}

/**
 * An element of structured data: `[id name="value" …]`, without the escapes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Element extends model.Element {}

/**
 * How grave a message is: `"emerg"` is the gravest, `"debug"` the least.
 *
 * @category models
 * @since 0.1.0
 */
export type Severity = model.Severity

/**
 * What kind of program says it: `"mail"`, `"local0"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Facility = model.Facility

/**
 * The severities by their numbers, from 0.
 *
 * @category constants
 * @since 0.1.0
 */
export const severities: ReadonlyArray<Severity> = names.severities

/**
 * The facilities by their numbers, from 0.
 *
 * @category constants
 * @since 0.1.0
 */
export const facilities: ReadonlyArray<Facility> = names.facilities

/**
 * The options of {@link protocol}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The largest message in bytes, with its length or what ends it. Default: 65536, which is more than a datagram has. A larger one ends as `FrameTooLarge`, and its connection closes. */
  readonly maxFrameBytes?: number | undefined
}

/**
 * Syslog over any transport: a message for each datagram, and over connections one
 * after the other.
 *
 * **Details**
 *
 * A message may have several lines, except over a stream where a newline ends it. A
 * sender that ends its messages with NUL (Python's `SysLogHandler`) is known by the
 * first one; until then, and in the first one, a newline ends a line. Lines without a
 * priority that follow a message are messages of `user.notice`.
 *
 * Structured data has at most 512 elements and parameters, and a token before it 255
 * characters; what has more is read as RFC 3164, so as text. The time that decoding
 * takes is linear in what comes.
 *
 * A client writes messages with their length before them over a stream. One that would
 * arrive as another message is refused: `EncodeFailed`.
 *
 * **Gotchas**
 *
 * What has no priority is no message: `Malformed`. Over a connection that is the end of
 * it, as everywhere.
 *
 * What strangers send may hold whatever a terminal obeys: escape it where it is shown.
 *
 * **Example** (Collecting messages)
 *
 * ```ts
 * import { MemoryServer, Response, Server } from "@socketserver/core"
 * import { Syslog } from "@socketserver/protocols"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Log extends Server.Service<Log>()("Log", { protocol: Syslog.protocol() }) {}
 *
 * const seen: Array<string> = []
 * const LogLive = Log.serve(({ body: { app, severity, text } }) =>
 *   Effect.sync(() => {
 *     seen.push(`${severity} ${app}: ${text}`)
 *     return Response.empty
 *   })
 * )
 *
 * const program = Effect.gen(function* () {
 *   const sender = yield* Log.rawClient
 *   yield* sender.write(new TextEncoder().encode("<19>Nov 24 20:55:57 vm postfix[18222]: by the line\n"))
 *   yield* sender.write(new TextEncoder().encode("35 <13>1 - - su - - - \ufeffby its length"))
 *   yield* sender.end
 *   yield* Stream.runDrain(sender.stream)
 *   return seen
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(LogLive, MemoryServer.layer(Log))))
 *
 * await Effect.runPromise(program) // => ["err postfix: by the line", "notice su: by its length"]
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = (options: Options = {}): Protocol.Protocol<Message, never> => {
  const { maxFrameBytes = Protocol.defaultMaxFrameBytes } = options
  // Its maximum and its name; streams are read by a decoder of their own.
  const framing = Protocol.framing({
    name: "syslog",
    maxFrameBytes,
    decode: () => Protocol.malformed("it is decoded elsewhere"),
    encode: counted
  })
  const bytes = datagramsWhole(framing, () => new Frames(framing.client.maxFrameBytes))
  return Protocol.transform(bytes, { request: { decode: read, encode: write }, response: noAnswer })
}

/**
 * When a message was said, in milliseconds since 1970; `undefined` where it does not
 * say, or says what is no time.
 *
 * **Details**
 *
 * RFC 3164 has neither a year nor a zone: it is taken as the local time of this
 * machine, in the year that brings it nearest to `receivedAt` (`request.receivedAt`).
 *
 * **Example** (Reading both forms)
 *
 * ```ts
 * import { Syslog } from "@socketserver/protocols"
 *
 * Syslog.millisOf({ timestamp: "1970-01-01T01:00:00.5+01:00" }, 0) // => 500
 * Syslog.millisOf({ timestamp: undefined }, 0) // => undefined
 *
 * const december = new Date(1999, 11, 31, 23, 59).getTime()
 * Syslog.millisOf({ timestamp: "Jan  1 00:00:01" }, december) // => new Date(2000, 0, 1, 0, 0, 1).getTime()
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const millisOf = ({ timestamp }: Pick<Message, "timestamp">, receivedAt: number): number | undefined => {
  if (timestamp === undefined) return undefined
  const exact = Date.parse(timestamp)
  if (timestamp[4] === "-") return Number.isNaN(exact) ? undefined : exact
  const year = new Date(receivedAt).getFullYear()
  const times = [year - 1, year, year + 1]
    .map((year) => Date.parse(`${timestamp.slice(0, 6)} ${year} ${timestamp.slice(7)}`))
    .filter((time) => !Number.isNaN(time))
    .sort((a, b) => Math.abs(a - receivedAt) - Math.abs(b - receivedAt))
  return times[0]
}
