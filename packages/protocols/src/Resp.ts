/**
 * Redis' protocol, for servers that Redis' clients speak to, and for clients of
 * them: RESP2, RESP3 and inline commands.
 *
 * A request is a {@link Command}: byte strings, the first of which is its name. A
 * response is a {@link Reply}. The protocol keeps no state: which of the two
 * versions a connection speaks is its `Session`'s to know (`HELLO` says it), and
 * {@link downgrade} makes of a reply what RESP2 has for it.
 *
 * The bytes are all that there is of Redis here. A server of its commands is
 * `examples/redis`.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 * @since 0.1.0
 */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import { textOf } from "./internal/resp/bytes.ts"
import { Command, ofWords, type Word } from "./internal/resp/command.ts"
import { CommandScanner } from "./internal/resp/commandScanner.ts"
import * as downgrading from "./internal/resp/downgrading.ts"
import * as encoding from "./internal/resp/encoding.ts"
import { Frames, whole } from "./internal/resp/frames.ts"
import { ReplyScanner } from "./internal/resp/replyScanner.ts"
import * as weights from "./internal/resp/weight.ts"

export { Command }
export type { Word }

/**
 * What bounds commands and replies. What is over a bound is `Malformed`, or
 * `FrameTooLarge`, and its connection closes; {@link onUndecodable} tells the peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The largest command, in bytes on the wire. Default: 2 MiB. One that is larger is `FrameTooLarge`, as soon as that shows. */
  readonly maxFrameBytes?: number | undefined
  /** The largest bulk string, in bytes: of a command, and of a reply that a client reads. Default: 1 MiB (Redis: 512 MB). A longer one is `invalid bulk length`, before it has come. */
  readonly maxBulkBytes?: number | undefined
  /** How many words a command may have, and how many elements a reply in all. Default: 1048576. More are `invalid multibulk length`, before they have come. */
  readonly maxElements?: number | undefined
  /** The longest line, in bytes: an inline command, a simple string or an error. Default: 64 KiB, as Redis. A longer one is `too big inline request`. */
  readonly maxInlineBytes?: number | undefined
  /** How deep arrays, maps and sets of a reply may lie in each other. Default: 32. A client refuses what is deeper, a server does not write it. A command has one level. */
  readonly maxDepth?: number | undefined
  /** The largest reply, in bytes: what a server writes at once, and what a client reads. Default: 8 MiB. At a server a larger one ends its request as `Failed`; the server's own `maxReply` holds, too. */
  readonly maxReplyBytes?: number | undefined
}

/**
 * What is answered to a command, or pushed. With `Uint8Array`, what a client reads.
 *
 * **Details**
 *
 * A string that goes out stands for its UTF-8. Of the last six RESP2 knows nothing:
 * see {@link downgrade}.
 *
 * | reply | is | on the wire |
 * |---|---|---|
 * | `SimpleString`, `Error` | a line | `+OK`, `-ERR …` |
 * | `Integer` | of 64 bits; a `bigint` where a number would not be exact | `:7` |
 * | `BulkString` | any bytes | `$3` |
 * | `Array` | of replies | `*2` |
 * | `Null` | RESP3's, or that of RESP2 for a bulk string or an array | `_`, `$-1`, `*-1` |
 * | `Several` | replies in a row, where one request is answered with more than one, as `SUBSCRIBE a b` | |
 * | `Map`, `Attributed` | pairs; pairs beside a reply | `%2`, `\|1` |
 * | `Set`, `Push` | replies without an order; what nobody asked for | `~2`, `>3` |
 * | `Double`, `Boolean`, `BigNumber` | | `,1.5`, `#t`, `(12` |
 * | `VerbatimString` | text with its format (`txt`, `mkd`) | `=7` |
 * | `BulkError` | an error of any bytes | `!5` |
 *
 * @category models
 * @since 0.1.0
 */
export type Reply<Bytes extends string | Uint8Array = string | Uint8Array> =
  | { readonly _tag: "SimpleString" | "Error" | "BulkError"; readonly value: string }
  | { readonly _tag: "Integer"; readonly value: number | bigint }
  | { readonly _tag: "BulkString"; readonly value: Bytes }
  | { readonly _tag: "Null"; readonly form: "null" | "bulk" | "array" }
  | { readonly _tag: "Array" | "Set" | "Push" | "Several"; readonly value: ReadonlyArray<Reply<Bytes>> }
  | { readonly _tag: "Map"; readonly value: Pairs<Bytes> }
  | { readonly _tag: "Attributed"; readonly attributes: Pairs<Bytes>; readonly value: Reply<Bytes> }
  | { readonly _tag: "Double"; readonly value: number }
  | { readonly _tag: "Boolean"; readonly value: boolean }
  | { readonly _tag: "BigNumber"; readonly value: bigint }
  | { readonly _tag: "VerbatimString"; readonly format: string; readonly value: Bytes }

/**
 * Pairs of replies, as a map has them. Their order is kept, and keys may be anything.
 *
 * @category models
 * @since 0.1.0
 */
export type Pairs<Bytes extends string | Uint8Array = string | Uint8Array> = ReadonlyArray<
  readonly [key: Reply<Bytes>, value: Reply<Bytes>]
>

/**
 * Redis' protocol.
 *
 * **Details**
 *
 * A command is an array of bulk strings, or a line, as somebody types it. Both are the
 * same {@link Command}. Empty lines and arrays are passed over, as Redis does. What is
 * malformed has Redis' own words for a reason: `Protocol error: invalid bulk length`.
 *
 * **Gotchas**
 *
 * It is stricter than Redis where that costs no client anything: the line end after a
 * bulk string is looked at, and so is the newline after each length.
 *
 * A client takes the next reply for the answer to its `send`, also a pushed one. Where
 * pushes come, `write` commands and `take` replies.
 *
 * **Example** (Answering Redis' clients)
 *
 * ```ts
 * import { MemoryServer, Response, Server } from "@socketserver/core"
 * import { Resp } from "@socketserver/protocols"
 * import { Effect, Layer } from "effect"
 *
 * class Redis extends Server.Service<Redis>()("Redis", { protocol: Resp.protocol() }) {}
 *
 * const RedisLive = Redis.serve(
 *   ({ body }) =>
 *     Effect.succeed(
 *       Response.make(body.name === "PING" ? Resp.simple("PONG") : Resp.error(`ERR unknown command '${body.text(0)}'`))
 *     ),
 *   { onUndecodable: Resp.onUndecodable }
 * )
 *
 * const program = Effect.gen(function* () {
 *   const client = yield* Redis.client
 *   return [yield* client.send(Resp.command("PING")), yield* client.send(Resp.command("GET", "a"))]
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(RedisLive, MemoryServer.layer(Redis))))
 *
 * await Effect.runPromise(program) // => [Resp.simple("PONG"), Resp.error("ERR unknown command 'GET'")]
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = (options: Options = {}): Protocol.Protocol<Command, Reply, Command, Reply<Uint8Array>> => {
  const limits = { ...defaults, ...definedOf(options) }
  const { maxDepth, maxFrameBytes, maxReplyBytes } = limits
  const commands = () => new CommandScanner(limits)
  const replies = () => new ReplyScanner(limits)
  const request = { decode: whole(commands), encode: (command: Command) => command.frame }
  const response = { decode: whole(replies), encode: encoding.encoder(maxReplyBytes, maxDepth) }
  const format = { name: "resp", request, response }
  // Typed by hand: a client reads less than a server may write, bytes and no strings.
  const of = (maxFrameBytes: number) =>
    Protocol.make({ ...format, maxFrameBytes } as never) as unknown as ReturnType<typeof protocol>
  const made = of(maxFrameBytes)
  return {
    ...made,
    problem: problemOf(limits),
    server: {
      ...made.server,
      weight: weights.ofCommands,
      decoder: () => new Frames(commands(), maxFrameBytes)
    },
    client: {
      ...of(maxReplyBytes).client,
      weight: weights.ofReplies,
      decoder: () => new Frames(replies(), maxReplyBytes)
    }
  }
}

const kib = 1_024

const defaults = {
  maxFrameBytes: 2 * kib * kib,
  maxBulkBytes: kib * kib,
  maxElements: kib * kib,
  maxInlineBytes: 64 * kib,
  maxDepth: 32,
  maxReplyBytes: 8 * kib * kib
}

const definedOf = (options: Options): Partial<typeof defaults> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const problemOf = (limits: Readonly<Record<string, number>>): string | undefined => {
  const wrong = Object.entries(limits).find(([, value]) => !(Number.isSafeInteger(value) && value >= 1))
  return wrong === undefined ? undefined : `${wrong[0]} must be a positive integer, not ${wrong[1]}`
}

/**
 * What a peer is told whose input is none: `-ERR Protocol error: …`, as Redis says it.
 * Then its connection closes. For the options of `serve`.
 *
 * **Details**
 *
 * Of input that ends within a command there is nothing to say.
 *
 * @category running
 * @since 0.1.0
 */
export const onUndecodable = (fault: Protocol.DecodeError): Response.Response<Reply> => {
  if (fault._tag === "FrameTooLarge") return Response.make(error("ERR Protocol error: too big request"))
  return fault.reason.startsWith("Protocol error") ? Response.make(error(`ERR ${fault.reason}`)) : Response.empty
}

/**
 * A command of words: text stands for its UTF-8, a number for its digits.
 *
 * **Example** (What a client sends)
 *
 * ```ts
 * import { Resp } from "@socketserver/protocols"
 *
 * new TextDecoder().decode(Resp.command("EXPIRE", "a", 10).frame)
 * // => "*3\r\n$6\r\nEXPIRE\r\n$1\r\na\r\n$2\r\n10\r\n"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const command = (name: string, ...words: ReadonlyArray<Word>): Command => ofWords([name, ...words])

/**
 * A short text that is no data: `+PONG`. It cannot contain a line end.
 *
 * @category constructors
 * @since 0.1.0
 */
export const simple = (value: string): Reply<never> => ({ _tag: "SimpleString", value })

/**
 * `+OK`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ok: Reply<never> = encoding.ok

/**
 * An error. Its first word is its kind, `ERR` where there is no other. A line end in it goes out as a space.
 * It is text, and goes out as UTF-8: bytes that are no text cannot be quoted in it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const error = (value: string): Reply<never> => ({ _tag: "Error", value })

/**
 * An integer of 64 bits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const integer = (value: number | bigint): Reply<never> => ({ _tag: "Integer", value })

/**
 * Text or bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const bulk = (value: string | Uint8Array): Reply => ({ _tag: "BulkString", value })

/**
 * Nothing: RESP3's null, and after a {@link downgrade} that of bulk strings.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nil: Reply<never> = { _tag: "Null", form: "null" }

/**
 * An array.
 *
 * @category constructors
 * @since 0.1.0
 */
export const array = (value: ReadonlyArray<Reply>): Reply => ({
  _tag: "Array",
  value
})

/**
 * A map of pairs in an order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const map = (value: Pairs): Reply => ({ _tag: "Map", value })

/**
 * What nobody asked for, as a message of a channel. Push it with `connection.push`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const push = (value: ReadonlyArray<Reply>): Reply => ({
  _tag: "Push",
  value
})

/**
 * Replies in a row, for a request that is answered with several, or with none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const several = (value: ReadonlyArray<Reply>): Reply => ({
  _tag: "Several",
  value
})

/**
 * Text with its format.
 *
 * @category constructors
 * @since 0.1.0
 */
export const verbatim = (format: string, value: string | Uint8Array): Reply => ({
  _tag: "VerbatimString",
  format,
  value
})

/**
 * A reply as RESP2 has it, for connections that have not asked for RESP3 by `HELLO 3`.
 *
 * **Details**
 *
 * Maps, sets and pushes become arrays, doubles, big numbers and verbatim strings bulk
 * strings, booleans 1 and 0, RESP3's null that of bulk strings. Attributes are left
 * out. What RESP2 has is the same object.
 *
 * **Example** (One handler for both)
 *
 * ```ts
 * import { Resp } from "@socketserver/protocols"
 *
 * const reply = Resp.map([[Resp.bulk("name"), Resp.nil]])
 *
 * Resp.downgrade(reply) // => Resp.array([Resp.bulk("name"), { _tag: "Null", form: "bulk" }])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const downgrade = (reply: Reply): Reply => downgrading.downgrade(reply)

/**
 * A reply as a value of JavaScript: strings as text, arrays, sets and pushes as
 * arrays, maps as pairs, nulls as `null`. An error stays the reply that it is.
 *
 * **When to use**
 *
 * For tests, and for clients of commands whose replies are known. Bytes that are no
 * text are lost.
 *
 * **Example** (Looking at a reply)
 *
 * ```ts
 * import { Resp } from "@socketserver/protocols"
 *
 * Resp.plain(Resp.array([Resp.bulk("a"), Resp.integer(1), Resp.nil])) // => ["a", 1, null]
 * Resp.plain(Resp.error("ERR no")) // => Resp.error("ERR no")
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const plain = (reply: Reply): unknown => {
  switch (reply._tag) {
    case "Error":
    case "BulkError":
      return reply
    case "Null":
      return null
    case "BulkString":
    case "VerbatimString":
      return typeof reply.value === "string" ? reply.value : textOf(reply.value)
    case "Array":
    case "Set":
    case "Push":
    case "Several":
      return reply.value.map(plain)
    case "Map":
      return reply.value.map(([key, value]) => [plain(key), plain(value)])
    case "Attributed":
      return plain(reply.value)
    default:
      return reply.value
  }
}
