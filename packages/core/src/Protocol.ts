/**
 * From the bytes of a connection to its requests, and back: every server is declared
 * with one.
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
import type { Framing, Side } from "./Codec.ts"
import type * as Connection from "./Connection.ts"
import { build, type TypeId } from "./internal/protocols.ts"
import { Unencodable } from "./internal/unencodable.ts"
import type * as Outcome from "./Outcome.ts"
import type { Control } from "./protocols/control.ts"
import { bytes } from "./protocols/framings.ts"

// One namespace of several files: how payloads are told apart, how they get types, and formats of your own.
export * from "./protocols/framings.ts"
export * from "./protocols/codecs.ts"
export * from "./protocols/control.ts"
export * from "./protocols/formats.ts"
export { Unencodable }

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
  /** What a stop does to a whole connection: it ends what its handler reads, or tells it; see {@link connection}. */
  readonly atStop: "endInput" | "told"
  /** How replies are matched with requests where they do not leave in their order; see {@link correlated}. */
  readonly correlation: Correlation | undefined
  /** Which messages are no requests; see {@link control}. */
  readonly control: Control | undefined
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
 * Why input cannot be decoded.
 *
 * @category errors
 * @since 0.1.0
 */
export type DecodeError = Outcome.FrameTooLarge | Outcome.Malformed

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
export const correlated = <In, Out, Send, Receive>(
  self: Protocol<In, Out, Send, Receive>,
  by: CorrelatedBy<NoInfer<In>, NoInfer<Out>>
): Protocol<In, Out, Send, Receive> => ({
  ...self,
  correlation: "id" in by ? { request: by.id, response: by.id } : by
})

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
 * A stop of the server ends the handler's `stream`, so that a dialogue ends where
 * it next reads. One that has more to read before it can end is *told* instead,
 * with `atStop: "told"`.
 *
 * **Example** (Reading on while the server stops)
 *
 * ```ts
 * import { Handler, MemoryServer, Protocol, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Upload extends Server.Service<Upload>()("Upload", {
 *   protocol: Protocol.connection(Protocol.lines(), { atStop: "told" })
 * }) {}
 *
 * const UploadLive = Upload.serve(
 *   Handler.dialogue((connection) =>
 *     Effect.gen(function* () {
 *       // Who has not begun when the server stops is not waited for. Who has is let finish.
 *       const { stopping } = yield* Upload
 *       yield* Effect.raceFirst(connection.take, Effect.andThen(stopping, connection.close))
 *       yield* connection.write("go on")
 *       let lines = 0
 *       while ((yield* connection.take) !== ".") lines++
 *       yield* connection.write(`${lines} lines`)
 *     })
 *   )
 * )
 *
 * const upload = Effect.gen(function* () {
 *   const client = yield* Upload.client
 *   yield* client.send("begin")
 *   const { shutdown } = yield* Upload
 *   yield* Effect.forkChild(shutdown, { startImmediately: true })
 *   yield* Effect.forEach(["one", "two", "."], client.write)
 *   return yield* client.take
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(UploadLive, MemoryServer.layer(Upload))))
 *
 * await Effect.runPromise(upload) // => "2 lines"
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const connection: {
  (): Protocol<Connection.Connection<Uint8Array, Uint8Array>, never, Uint8Array, Uint8Array>
  <In, Out, Send, Receive>(
    of: Protocol<In, Out, Send, Receive>,
    options?: ConnectionOptions
  ): Protocol<Connection.Connection<In, Out>, never, Send, Receive>
} = <In, Out>(
  of: Protocol<In, Out> = bytes() as never,
  options: ConnectionOptions = {}
): Protocol<Connection.Connection<In, Out>, never, In, Out> => ({
  ...build<Connection.Connection<In, Out>, never, In, Out>({
    name: `connection(${of.name})`,
    kind: "connection",
    atStop: options.atStop ?? "endInput",
    problem: of.problem,
    server: of.server,
    client: of.client
  }),
  // For its client: at the server the connection is the one request.
  correlation: of.correlation
})

/**
 * The options of {@link connection}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /**
   * What a stop does. `"endInput"`: nothing more is read, and what the handler
   * reads ends. `"told"`: reading goes on; `server.stopping` completes, the
   * connection's `endedBy` is `"stop"`, and the handler ends it when it is done.
   * One that does not is cut off by the `drainTimeout`, also where its peer is
   * idle. Default: `"endInput"`.
   */
  readonly atStop?: "endInput" | "told" | undefined
}
