/**
 * Log messages in GELF, Graylog's format: for servers that collect them.
 *
 * {@link protocol} reads what comes: whole messages, compressed ones, and chunks of
 * those that are larger than a datagram. An {@link assembler} makes messages of all
 * three, within bounds, for a handler.
 *
 * Nobody is answered.
 *
 * @see https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
 * @since 0.1.0
 */
import type * as Handler from "@socketserver/core/Handler"
import * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Assembly, type Bounds } from "./internal/gelf/assembly.ts"
import { type Bounds as Inflation, unpack } from "./internal/gelf/inflate.ts"
import type * as model from "./internal/gelf/model.ts"
import { mostChunks } from "./internal/gelf/model.ts"
import { read, write } from "./internal/gelf/parts.ts"
import * as shapes from "./internal/gelf/shape.ts"
import { datagramsWhole, noAnswer } from "./internal/payloads.ts"

/**
 * One message.
 *
 * **Details**
 *
 * What is `null` is left out. A field that is neither text, number nor boolean is the
 * text of its JSON. A level that is none is `undefined`, as is a time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message extends model.Message {}

/**
 * A message in gzip or zlib. It is inflated by the {@link Assembler}, when its turn has
 * come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compressed extends model.Compressed {}

/**
 * A chunk of a message that is larger than a datagram.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chunk extends model.Chunk {}

/**
 * What is in a datagram, or in a frame of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Message | Compressed | Chunk

/**
 * The options of {@link protocol}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The largest message over a stream, in bytes with the NUL that ends it. Default: 1 MiB. A larger one ends as `FrameTooLarge`, and its connection closes. */
  readonly maxFrameBytes?: number | undefined
  /** How deep arrays and objects may lie in a message. Default: 32. A message that is deeper is `Malformed`, before it is parsed. */
  readonly maxDepth?: number | undefined
  /** How many values a message may have: its fields, and what lies in them. Default: 4096. One with more is `Malformed`, before it is parsed. */
  readonly maxValues?: number | undefined
}

const mebibyte = 1_048_576

/**
 * GELF over any transport: over streams a message up to each NUL, and over datagrams
 * whatever senders send there.
 *
 * **Details**
 *
 * A message needs a `host` and a `short_message`. Over a stream one that is none ends
 * its connection, as `Malformed`.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = (options: Options = {}): Protocol.Protocol<Part, never> => {
  const { maxFrameBytes = mebibyte } = options
  const framing = Protocol.delimited("\0", { maxFrameBytes })
  const shape = shapeOf(options)
  const parts = Protocol.transform(datagramsWhole(framing), {
    request: { decode: (bytes) => read(bytes, shape), encode: (part) => write(part, shape) },
    response: noAnswer
  })
  // Of chunks and compressed messages the bytes are all that is kept; a message is JSON.
  const { weight } = Protocol.json(framing).server
  return { ...parts, name: "gelf", problem: parts.problem ?? problemOf(shape), server: { ...parts.server, weight } }
}

const shapeOf = ({ maxDepth, maxValues }: Options): shapes.Shape => ({
  maxDepth: maxDepth ?? shapes.defaults.maxDepth,
  maxValues: maxValues ?? shapes.defaults.maxValues
})

const problemOf = (shape: shapes.Shape): string | undefined => {
  const wrong = Object.entries(shape).find(([, value]) => !isPositive(value))
  return wrong === undefined ? undefined : `${wrong[0]} must be a positive integer, not ${wrong[1]}`
}

/**
 * The options of {@link assembler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AssemblerOptions {
  /** The largest message that was put together or inflated, in bytes. Default: 1 MiB. A larger one ends as `FrameTooLarge`; inflation stops there. */
  readonly maxMessageBytes?: number | undefined
  /** How many times as large a message may become when it is inflated. Default: 100. Beyond that it is `Malformed`, unless it is 64 KiB at most; inflation stops there. */
  readonly maxRatio?: number | undefined
  /** How deep arrays and objects may lie in a message. Default: 32. A message that is deeper is `Malformed`, before it is parsed. */
  readonly maxDepth?: number | undefined
  /** How many values a message may have: its fields, and what lies in them. Default: 4096. One with more is `Malformed`, before it is parsed. */
  readonly maxValues?: number | undefined
  /** How many messages may be waited for at a time. Default: 1024. Beyond it the one that began first is given up. */
  readonly maxOpen?: number | undefined
  /** How many of them may be of one peer, whatever its ports; local senders of Unix datagrams are one. Default: half of `maxOpen`. Beyond it the one of that peer is given up that began first. */
  readonly maxOpenPerPeer?: number | undefined
  /** How many bytes their chunks may have together, with 1 KiB for each message and 128 bytes for each chunk. Default: 8 MiB, and at least two messages. Beyond it those are given up that began first. */
  readonly maxBytes?: number | undefined
  /** How long the chunks of a message may take, from the first one on. Default: 5 seconds, as GELF has it. Then the message is given up, and what is held for it let go of. */
  readonly timeout?: Settings.Time | undefined
}

/**
 * What messages are waited for, and how many were given up.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** Messages some of whose chunks have come. */
  readonly open: number
  /** What is held for them, as `maxBytes` counts it. */
  readonly bytes: number
  /** Given up since their chunks have not come in time. */
  readonly expired: number
  /** Given up to make room for others. */
  readonly evicted: number
  /** Given up since two chunks of the same number differ, or the numbers of all chunks do. */
  readonly contradictory: number
  /** Given up since they are larger than `maxMessageBytes`. */
  readonly tooLarge: number
}

/**
 * Makes messages of what comes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Assembler {
  /** A handler that runs an effect for each message, when it is whole. */
  readonly handler: <R = never>(
    collect: (message: Message, request: Request.Request<Part>) => Effect.Effect<void, never, R>
  ) => Handler.Handler<Part, never, R>
  readonly counts: Effect.Effect<Counts>
}

/**
 * Puts chunks together, and inflates what is compressed.
 *
 * **Details**
 *
 * Chunks come in any order. They belong together by their id and by their sender, its
 * port included. One that comes twice counts once. One that contradicts another gives
 * the message up. A request with a chunk is `Completed` when the chunk is kept; the last
 * one when its message is handled.
 *
 * What an inflated message takes counts in the server's `maxMemory` while it is handled.
 *
 * What a message may cost is bounded beside its size: how much it may inflate, how deep
 * it is, and how many values it has. What is over a bound is refused before it is parsed.
 *
 * **Gotchas**
 *
 * It is state: in several workers or copies each would see some of the chunks. So serve
 * its handler with `shares: "chunks"`.
 *
 * A message of 1 MiB takes 5 to 20 milliseconds in which nothing else runs.
 *
 * **Example** (Collecting messages)
 *
 * ```ts
 * import { MemoryServer, Server } from "@socketserver/core"
 * import { Gelf } from "@socketserver/protocols"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Log extends Server.Service<Log>()("Log", { protocol: Gelf.protocol() }) {}
 *
 * const seen: Array<string> = []
 * const LogLive = Layer.unwrap(
 *   Effect.map(Gelf.assembler(), (assembler) =>
 *     Log.serve(
 *       assembler.handler(({ fields, host, shortMessage }) =>
 *         Effect.sync(() => void seen.push(`${host}: ${shortMessage} (${fields["_user"]})`))
 *       ),
 *       { shares: "chunks" }
 *     )
 *   )
 * )
 *
 * const program = Effect.gen(function* () {
 *   const sender = yield* Log.rawClient
 *   yield* sender.write(new TextEncoder().encode('{"host":"vm","short_message":"hello","_user":"ada"}\0'))
 *   yield* sender.end
 *   yield* Stream.runDrain(sender.stream)
 *   return seen
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(LogLive, MemoryServer.layer(Log))))
 *
 * await Effect.runPromise(program) // => ["vm: hello (ada)"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const assembler = (options: AssemblerOptions = {}): Effect.Effect<Assembler, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const bounds = yield* boundsOf(options)
    const assembly = new Assembly(bounds)
    const begun = yield* Latch.make()
    yield* Effect.forkScoped(expiring(assembly, begun))
    const { weight } = Protocol.json(Protocol.delimited("\0")).server
    return {
      handler: (collect) => (request) =>
        Effect.clockWith((clock) => {
          const { body, connection, peer } = request
          if (body._tag === "Message") return Effect.as(collect(body, request), Response.empty)
          let { bytes } = body
          if (body._tag === "Chunk") {
            const whole = assembly.add(peer.name, Remote.peerKey(peer), body, millisOf(clock))
            if (whole === undefined) {
              Latch.openUnsafe(begun)
              return Effect.succeed(Response.empty)
            }
            if (whole === "too large") return ends(Outcome.frameTooLarge(bounds.maxMessageBytes, 0))
            if (whole === "contradictory") return ends(Outcome.malformed(0, "it contradicts another chunk"))
            bytes = whole
          }
          const unpacked = unpack(bytes, bounds)
          if (Result.isFailure(unpacked)) return ends(unpacked.failure)
          const { bytes: text, message } = unpacked.success
          const held = text.length + weight(text.length, text)
          Remote.hold(connection, held)
          return Effect.ensuring(
            Effect.as(collect(message, request), Response.empty),
            Effect.sync(() => Remote.hold(connection, -held))
          )
        }),
      counts: Effect.sync(() => ({ open: assembly.size, bytes: assembly.bytes, ...assembly.givenUp }))
    } satisfies Assembler
  })

const millisOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

/** Gives up messages when their time is over. While none is waited for, it waits itself, and there is no timer. */
const expiring = (assembly: Assembly, begun: Latch.Latch): Effect.Effect<never> => {
  const look: Effect.Effect<void> = Effect.clockWith((clock) => {
    const left = assembly.expire(millisOf(clock))
    if (left !== Infinity) return Effect.andThen(Effect.sleep(Math.max(1, left)), look)
    Latch.closeUnsafe(begun)
    return Effect.void
  })
  return Effect.forever(Effect.andThen(begun.await, look))
}

/** Nobody is told. */
const ends = (outcome: Outcome.Outcome) => Effect.succeed(Response.withOutcome(Response.empty, outcome))

const boundsOf = (options: AssemblerOptions): Effect.Effect<Bounds & Inflation, ServerError> =>
  Effect.mapError(
    Effect.fromResult(
      Result.gen(function* () {
        const maxMessageBytes = yield* positive("maxMessageBytes", options.maxMessageBytes ?? mebibyte)
        const maxRatio = yield* positive("maxRatio", options.maxRatio ?? 100)
        const shape = shapeOf(options)
        const maxDepth = yield* positive("maxDepth", shape.maxDepth)
        const maxValues = yield* positive("maxValues", shape.maxValues)
        const maxOpen = yield* positive("maxOpen", options.maxOpen ?? 1_024)
        const half = Math.max(1, Math.floor(maxOpen / 2))
        const maxOpenPerPeer = yield* positive("maxOpenPerPeer", options.maxOpenPerPeer ?? half)
        const maxBytes = yield* positive("maxBytes", options.maxBytes ?? 8 * mebibyte)
        const millis = yield* Settings.millis("timeout", options.timeout ?? "5s")
        return {
          maxMessageBytes,
          maxRatio,
          maxDepth,
          maxValues,
          maxOpen,
          maxOpenPerPeer,
          maxBytes: Math.max(maxBytes, 2 * maxMessageBytes),
          millis
        }
      })
    ),
    (reason) => new ServerError({ reason })
  )

const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value > 0

const positive = (option: string, value: number): Result.Result<number, InvalidOption> =>
  isPositive(value)
    ? Result.succeed(value)
    : Result.fail(new InvalidOption({ option, problem: `it must be a positive integer, not ${value}` }))

/**
 * Cuts a message, plain or compressed, into chunks: for senders. `id` is eight bytes in
 * hexadecimal, and another one for each message.
 *
 * **Gotchas**
 *
 * What would be more than 128 chunks is none at all: an empty list.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunksOf = (bytes: Uint8Array, options: ChunksOptions): ReadonlyArray<Chunk> => {
  const { id, sizeBytes = 1_408 } = options
  const count = Math.max(1, Math.ceil(bytes.length / sizeBytes))
  if (count > mostChunks) return []
  return Array.from({ length: count }, (_, index) => ({
    _tag: "Chunk",
    id,
    index,
    count,
    bytes: bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes)
  }))
}

/**
 * The options of {@link chunksOf}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunksOptions {
  readonly id: string
  /** What a chunk has of the message, in bytes. Default: 1408, which passes everywhere. */
  readonly sizeBytes?: number | undefined
}
