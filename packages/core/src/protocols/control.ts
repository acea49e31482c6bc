import type { Protocol } from "../Protocol.ts"

/** The part of `Protocol` for messages that are no requests: pings, acknowledgements, interrupts. */

/**
 * Which messages of a protocol are control messages, and what becomes of each; see
 * {@link control}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ControlBy<in Message, out Out> {
  /** The id of the request that one concerns, as `Protocol.correlated` knows requests by; `undefined` for none. */
  readonly to?: ((message: Message) => unknown) | undefined
  /** What is answered to one that concerns no request in flight; `undefined` for nothing. */
  readonly answer?: ((message: Message) => Out | undefined) | undefined
  /** How many are read in a second on one connection. Default: 10,000. Beyond that it is read no further for some milliseconds. */
  readonly perSecond?: number | undefined
  /** The largest, in bytes of its payload. Default: 4,096. A larger one ends the connection's input: `FrameTooLarge`. */
  readonly maxBytes?: number | undefined
}

/**
 * The control messages of a protocol, resolved to their defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Control {
  readonly is: (message: never) => boolean
  readonly to: ((message: never) => unknown) | undefined
  readonly answer: ((message: never) => unknown) | undefined
  readonly perSecond: number
  readonly maxBytes: number
}

/**
 * Makes control messages of some messages: pings, acknowledgements, interrupts. They
 * are no requests, so that no handler is called for them.
 *
 * **When to use**
 *
 * For protocols whose clients send something *about* a connection or a request, and
 * count on it while requests are in flight: one that is pinged and does not answer is
 * taken for dead.
 *
 * **Details**
 *
 * `is` says which they are. What has no request to go to is answered with what
 * `answer` makes of it: at once where the protocol is {@link correlated}, otherwise
 * in its place, behind the replies to what came before. What concerns a request that
 * is in flight (`to`) goes to that request, whose handler finds it in
 * `Request.controls`, wherever it runs; `answer` is not asked then.
 *
 * They wait for no policy and take no place in the pipeline (`maxPipelined`). A full
 * one stops the reading of a connection without them; with them reading goes on, and
 * requests that come meanwhile wait. A stop reads on for them too, until all that was
 * received is answered.
 *
 * **Gotchas**
 *
 * They are bounded for each connection: at most `perSecond` of them (10,000), of at
 * most `maxBytes` (4,096). A request keeps the 16 latest that its handler has not
 * taken. All that waits, these and the requests that came while the pipeline was full,
 * takes at most `maxBuffered`: beyond that the connection is read no further, control
 * messages included, until something has been answered. So it holds up to twice
 * `maxBuffered`.
 *
 * A function that throws says no, or nothing.
 *
 * **Example** (Answering pings while handlers are busy)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer, Stream } from "effect"
 *
 * const protocol = Protocol.control(Protocol.lines(), {
 *   is: (line) => line === "PING",
 *   answer: () => "PONG"
 * })
 * class Echo extends Server.Service<Echo>()("Echo", { protocol }) {}
 *
 * const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
 * const answers = Effect.gen(function* () {
 *   const client = yield* Echo.client
 *   return yield* client.exchange(Stream.make("one", "PING", "two")).pipe(Stream.runCollect)
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * await Effect.runPromise(answers) // => ["one", "PONG", "two"]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const control: {
  <In, Out, Send, Receive, Message extends In>(
    self: Protocol<In, Out, Send, Receive>,
    by: { readonly is: (message: In) => message is Message } & ControlBy<Message, NoInfer<Out>>
  ): Protocol<Exclude<In, Message>, Out, Send, Receive>
  <In, Out, Send, Receive>(
    self: Protocol<In, Out, Send, Receive>,
    by: { readonly is: (message: In) => boolean } & ControlBy<NoInfer<In>, NoInfer<Out>>
  ): Protocol<In, Out, Send, Receive>
} = (<In, Out>(
  self: Protocol<In, Out>,
  by: { readonly is: (message: In) => boolean } & ControlBy<In, Out>
): Protocol<In, Out> => {
  const { answer, is, maxBytes = 4_096, perSecond = 10_000, to } = by
  return {
    ...self,
    problem: self.problem ?? problemOf(self, to !== undefined, perSecond, maxBytes),
    control: { is, to, answer, perSecond, maxBytes }
  }
}) as never

const problemOf = (
  { correlation, kind, name }: Pick<Protocol<unknown, unknown>, "correlation" | "kind" | "name">,
  hasTo: boolean,
  perSecond: number,
  maxBytes: number
): string | undefined => {
  if (kind === "connection") return `in ${name} each message goes to its one handler: there is nothing to control`
  if (hasTo && correlation === undefined) {
    return "control messages go to a request by its id: give the protocol Protocol.correlated first"
  }
  if (!(perSecond >= 1 && perSecond <= 1e9)) return `perSecond must be a number from 1 on, not ${perSecond}`
  return Number.isSafeInteger(maxBytes) && maxBytes >= 1
    ? undefined
    : `maxBytes must be a positive integer, not ${maxBytes}`
}
