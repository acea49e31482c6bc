import * as Result from "effect/Result"
import * as decoders from "../internal/decoders.ts"
import * as framings from "../internal/framings.ts"
import { build, framed, maximum, problemOf } from "../internal/protocols.ts"
import * as sides from "../internal/sides.ts"
import type { Unencodable } from "../internal/unencodable.ts"
import type { Side } from "../Codec.ts"
import type { Framed, Payload, Protocol } from "../Protocol.ts"
import type { FramingOptions } from "./framings.ts"

/** The part of `Protocol` for formats of a program's own: what finds a message in bytes. */

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
      maxFrameBytes,
      decoder: () => decoders.stepping({ maxFrameBytes, step: decode }),
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
    framings.stepping({ decode: options.decode, encode: options.encode, maxFrameBytes: maximum(options) }),
    "bytes",
    problemOf(options)
  )
