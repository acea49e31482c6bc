/**
 * A transport inside the process, for tests and for servers that are only
 * called from the same program.
 *
 * It behaves as TCP does: bytes without boundaries, half-close, reset,
 * back-pressure at a high-water mark of 64 KiB, delivery in a later turn.
 * Nothing is a socket, so a test needs no port and no real time.
 *
 * It is a network with perfect links. `Network` has others, and `Simulation` runs
 * a program over them in a time of its own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Connection from "./Connection.ts"
import * as Endpoint from "./Endpoint.ts"
import { type Link, perfect } from "./internal/links.ts"
import { type Loop, loop } from "./internal/loop.ts"
import { datagramPair } from "./internal/networkDatagrams.ts"
import { pair } from "./internal/networkWire.ts"
import * as registry from "./internal/registry.ts"
import * as Peer from "./Peer.ts"
import type * as Server from "./Server.ts"
import { BindFailed, ServerError } from "./ServerError.ts"
import * as Transport from "./Transport.ts"
import type * as Wire from "./Wire.ts"

/**
 * The options of a server in memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryServerOptions extends Transport.ServerOptions {
  /** The name to connect to, `memory:name`, unique in the process while the server lives. Default: the service's key and a number. */
  readonly name?: string | undefined
  /** What lies between it and clients that choose no other: see `Network.link`. Default: a perfect one. */
  readonly link?: Link | undefined
}

/**
 * How a client comes to a server in memory.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client extends registry.Client {}

/**
 * A server in memory.
 *
 * **Example** (Testing a handler without a socket)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Upper extends Server.Service<Upper>()("Upper", { protocol: Protocol.lines() }) {}
 *
 * const UpperLive = Upper.serve((request) => Effect.succeed(Response.make(request.body.toUpperCase())))
 *
 * const answer = Effect.flatMap(Upper.client, (client) => client.send("hello")).pipe(
 *   Effect.scoped,
 *   Effect.provide(Layer.provideMerge(UpperLive, MemoryServer.layer(Upper)))
 * )
 *
 * await Effect.runPromise(answer) // => "HELLO"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: MemoryServerOptions = {}
): Layer.Layer<Self, ServerError> =>
  Transport.layer(tag, options, (sink) => Effect.flatMap(nameOf(tag, options), (name) => listen(name, options)(sink)))

/**
 * A server in memory whose requests are datagrams.
 *
 * **When to use**
 *
 * To test a handler of a UDP or Unix datagram server without a socket. Nothing
 * is lost here, and nothing overtaken.
 *
 * **Example** (Testing a datagram handler)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Count extends Server.Service<Count>()("Count", { protocol: Protocol.lines() }) {}
 *
 * const CountLive = Count.serve(() => Effect.succeed(Response.stream(Stream.make("one", "two"))))
 *
 * const datagrams = Effect.flatMap(Count.client, (client) =>
 *   Effect.zip(client.send("go"), client.take)
 * ).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(CountLive, MemoryServer.layerDatagrams(Count))))
 *
 * await Effect.runPromise(datagrams) // => ["one", "two"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDatagrams = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: MemoryServerOptions = {}
): Layer.Layer<Self, ServerError> =>
  Transport.layer(tag, options, (sink) =>
    Effect.flatMap(nameOf(tag, options), (name) => listenDatagrams(name, options)(sink))
  )

/**
 * A listener in memory, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (name: string, options: { readonly link?: Link | undefined } = {}): Transport.Listen =>
  (sink) => {
    let clients = 0
    const address = Endpoint.memory(name)
    return register(name, (loop) => (client) => {
      const { link = options.link ?? perfect, name: peer = `${address}#${++clients}` } = client
      const [its, mine] = pair(
        loop,
        link,
        address,
        Peer.make({ transport: "memory", name: String(address) }),
        Peer.make({ transport: "memory", name: peer, address: () => client.address })
      )
      if (link.latency === 0) sink.accept(mine)
      else loop.after(link.latency, () => sink.accept(mine))
      return its
    })
  }

/**
 * A listener for datagrams in memory, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listenDatagrams =
  (name: string, options: { readonly link?: Link | undefined } = {}): Transport.Listen =>
  (sink) => {
    let clients = 0
    const address = Endpoint.memory(name)
    return register(
      name,
      (loop) =>
        ({ link = options.link ?? perfect, name }) =>
          datagramPair(loop, link, address, name ?? `${address}#${++clients}`, sink.receive)
    )
  }

const nameOf = (tag: { readonly key: string }, options: MemoryServerOptions): Effect.Effect<string> =>
  Effect.map(registry.CurrentRegistry, (known) => options.name ?? known.nameOf(tag.key))

/** Makes a listener known by its name, until it closes. */
const register = (
  name: string,
  make: (loop: Loop) => registry.Accept
): Effect.Effect<Transport.Listening, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const address = Endpoint.memory(name)
    const { listeners } = yield* registry.CurrentRegistry
    const accept = make(yield* loop)
    if (listeners.has(name)) {
      const cause = new Error(`${address} is taken`)
      return yield* Effect.fail(
        new ServerError({ reason: new BindFailed({ endpoint: String(address), kind: "AddressInUse", cause }) })
      )
    }
    const close = () => {
      if (listeners.get(name) === accept) listeners.delete(name)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => listeners.set(name, accept)),
      () => Effect.sync(close)
    )
    return { address, close, connect: wire(name) }
  })

/**
 * The wire below a client of the server `memory:name` of this process. Others take
 * its tag's `client` or `rawClient`.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (
  name: string,
  options: Client = {}
): Effect.Effect<Wire.Wire, Connection.ConnectFailed, Scope.Scope> =>
  Effect.flatMap(registry.CurrentRegistry, ({ listeners }) => {
    const accept = listeners.get(name)
    if (accept === undefined) {
      const cause = new Error(`there is no server ${Endpoint.memory(name)}`)
      return Effect.fail(
        new Connection.ConnectFailed({ endpoint: String(Endpoint.memory(name)), kind: "Refused", cause })
      )
    }
    return Effect.acquireRelease(
      Effect.sync(() => accept(options)),
      (wire) => Effect.sync(() => wire.destroy())
    )
  })
