/**
 * What lies between a server in memory and its peers, as values: links that are
 * slow, cut bytes anywhere, hold few of them, or lose datagrams; and peers that
 * stop reading, half-close or reset.
 *
 * `MemoryServer` is this network with perfect links. Under the live clock and
 * under a test's the links take their time from that clock; in a `Simulation`
 * everything takes it from one queue, and the same seed does the same again.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Connection from "./Connection.ts"
import * as durations from "./internal/duration.ts"
import * as links from "./internal/links.ts"
import * as MemoryServer from "./MemoryServer.ts"
import type * as Server from "./Server.ts"
import type * as Settings from "./Settings.ts"
import type * as Wire from "./Wire.ts"

/**
 * What a link does to what is sent over it: plain numbers, times in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link extends links.Link {}

/**
 * What {@link link} makes a link of. What is left out is perfect.
 *
 * @category models
 * @since 0.1.0
 */
export interface LinkOptions {
  /** How long everything travels. Default: no time. */
  readonly latency?: Settings.Time | undefined
  /** How much longer at most, by chance. Bytes are never overtaken, datagrams may be. Default: no time. */
  readonly jitter?: Settings.Time | undefined
  /** The smallest and the largest piece that travels alone, in bytes. Default: as written. */
  readonly chunk?: readonly [min: number, max: number] | undefined
  /** What the receiver's system holds that its program has not read, in bytes. More waits at the sender. Default: 64 KiB. */
  readonly window?: number | undefined
  /** How much may wait at the sender before its program is told to wait, in bytes. Default: 0. */
  readonly highWater?: number | undefined
  /** Bytes a second. Default: all at once. */
  readonly rate?: number | undefined
  /** Whether pieces that wait to be read are read as one. Default: false. */
  readonly joins?: boolean | undefined
  /** Whether closing while the peer still sends may cost the peer what was written before, as with TCP. Default: true. */
  readonly resetsOnClose?: boolean | undefined
  /** A quirk: after a reset with something unsent, a wire only says that the input has ended. Node's TLS does so. Default: false. */
  readonly forgets?: boolean | undefined
  /** How probably a datagram is lost. Default: 0. */
  readonly loss?: number | undefined
  /** How probably a datagram arrives twice. Default: 0. */
  readonly twice?: number | undefined
  /** How probably a datagram arrives after later ones. Default: 0. */
  readonly late?: number | undefined
  /** How probably a datagram arrives cut short. Default: 0. */
  readonly cut?: number | undefined
}

/**
 * A link without delay, which takes 64 KiB that nobody reads: `MemoryServer`'s.
 *
 * @category constructors
 * @since 0.1.0
 */
export const perfect: Link = links.perfect

/**
 * Makes a link. A time that is none, as one below 0, throws an `InvalidOption`.
 *
 * **Example** (A slow network that cuts lines in pieces)
 *
 * ```ts
 * import { MemoryServer, Network, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 * const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
 *
 * const mobile = Network.link({ latency: "40 millis", jitter: "30 millis", chunk: [1, 3] })
 *
 * const answer = Effect.flatMap(Echo.client, (client) => client.send("in pieces")).pipe(
 *   Effect.scoped,
 *   Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo, { link: mobile })))
 * )
 *
 * await Effect.runPromise(answer) // => "in pieces"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const link = (options: LinkOptions): Link => ({
  latency: durations.orThrow("latency", options.latency ?? 0, { zero: true }),
  jitter: durations.orThrow("jitter", options.jitter ?? 0, { zero: true }),
  chunk: options.chunk ?? perfect.chunk,
  window: options.window ?? perfect.window,
  highWater: options.highWater ?? perfect.highWater,
  rate: options.rate ?? perfect.rate,
  joins: options.joins ?? perfect.joins,
  resetsOnClose: options.resetsOnClose ?? true,
  forgets: options.forgets ?? false,
  loss: options.loss ?? 0,
  twice: options.twice ?? 0,
  late: options.late ?? 0,
  cut: options.cut ?? 0
})

/**
 * A peer that does what it is told, and nothing else: it reads, until it is told
 * not to, and does not close its end when the server has closed its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  /** Sends bytes, or text in UTF-8. Never waits. */
  readonly write: (data: string | Uint8Array) => Effect.Effect<void>
  /** Reads no more: what comes stays in the window of the link, and then at the server. */
  readonly stopReading: Effect.Effect<void>
  /** Reads again. */
  readonly resume: Effect.Effect<void>
  /** Sends no more, and still reads. */
  readonly halfClose: Effect.Effect<void>
  /** Breaks the connection off. */
  readonly reset: Effect.Effect<void>
  /** What has arrived so far, as text. */
  readonly received: Effect.Effect<string>
  /** Waits until `text` has arrived; fails with what has, if the connection ends before. */
  readonly receives: (text: string) => Effect.Effect<string, Ended>
  /** Waits until the connection has ended, in this direction at least. */
  readonly end: Effect.Effect<Ended>
  /** The wire below, for what the above cannot say. */
  readonly wire: Wire.Wire
}

/**
 * How a connection has ended for a {@link Peer}, and what had arrived by then.
 *
 * @category models
 * @since 0.1.0
 */
export class Ended extends Data.TaggedError("Ended")<{
  /** Whether the server has half-closed or closed regularly, or it was reset. */
  readonly how: "closed" | "reset"
  readonly received: string
}> {
  override get message(): string {
    return `The connection was ${this.how} after ${JSON.stringify(this.received)}`
  }
}

/**
 * Connects a peer to a server in memory, over a link of its own.
 *
 * **Example** (A peer that does not read)
 *
 * ```ts
 * import { MemoryServer, Network, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 * const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
 *
 * const program = Effect.gen(function* () {
 *   const peer = yield* Network.connect(Echo, { link: Network.link({ window: 4 }) })
 *   yield* peer.stopReading
 *   yield* peer.write("a long line\nand another\n")
 *   yield* peer.halfClose
 *   yield* peer.resume
 *   return (yield* peer.end).received
 * })
 *
 * await Effect.runPromise(
 *   program.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 * ) // => "a long line\nand another\n"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const connect = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: MemoryServer.Client = {}
): Effect.Effect<Peer, Connection.ConnectFailed, Self | Scope.Scope> =>
  Effect.gen(function* () {
    const { address } = yield* tag
    const wire = yield* MemoryServer.wire(String(address).slice("memory:".length), options)
    return peerOf(wire)
  })

const peerOf = (wire: Wire.Wire): Peer => {
  const decoder = new TextDecoder()
  const waiting = new Set<() => void>()
  let text = ""
  let how: Ended["how"] | undefined
  const look = () => {
    for (const check of waiting) check()
  }
  const ends = (as: Ended["how"]) => {
    how ??= as
    look()
  }
  wire.start({
    onData: (chunk) => {
      text += decoder.decode(chunk, { stream: true })
      look()
    },
    onEnd: () => ends("closed"),
    onDrain: () => {},
    onFinish: () => {},
    onClose: (error) => ends(error === undefined ? "closed" : "reset")
  })
  const until = <A, E = never>(found: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> =>
    Effect.callback<A, E>((resume) => {
      const check = () => {
        const exit = found()
        if (exit === undefined) return
        waiting.delete(check)
        resume(exit)
      }
      waiting.add(check)
      check()
      return Effect.sync(() => waiting.delete(check))
    })
  const ended = () => (how === undefined ? undefined : new Ended({ how, received: text }))
  return {
    write: (data) => Effect.sync(() => void wire.write(data)),
    stopReading: Effect.sync(() => wire.pause()),
    resume: Effect.sync(() => wire.resume()),
    halfClose: Effect.sync(() => wire.end()),
    reset: Effect.sync(() => wire.reset()),
    received: Effect.sync(() => text),
    receives: (wanted) =>
      until<string, Ended>(() => {
        if (text.includes(wanted)) return Effect.succeed(text)
        const over = ended()
        return over === undefined ? undefined : Effect.fail(over)
      }),
    end: until(() => {
      const over = ended()
      return over === undefined ? undefined : Effect.succeed(over)
    }),
    wire
  }
}
