/**
 * A transport is a layer that makes a server from connections.
 *
 * **When to use**
 *
 * `TcpServer`, `MemoryServer` and `NodeServer` are transports. This module is
 * for writing another one: say how to listen, hand over each connection as a
 * {@link Wire}, and the rest (framing, pipelining, order, limits, drain) is the
 * library's.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Connection from "./Connection.ts"
import type * as Endpoint from "./Endpoint.ts"
import { Engine } from "./internal/engine.ts"
import { resolve } from "./internal/limits.ts"
import { makeServer } from "./internal/server.ts"
import type * as Server from "./Server.ts"
import { ListenerFailed, ServerError } from "./ServerError.ts"
import type * as Wire from "./Wire.ts"

/**
 * The options that all transports share. Every one of them is bounded.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions {
  /** Connections at a time. Default: 4096. One more is closed at once and counted as `Refused`. */
  readonly maxConnections?: number | undefined
  /** Requests of one connection that are received and not answered. Default: 128. At the limit its reading stops, which slows the peer down, and only that peer. */
  readonly maxPipelined?: number | undefined
  /** How long a connection may stay silent before it is closed: nothing read or written, and no request in flight (a whole-connection protocol always has one, which does not count). Default: for ever. */
  readonly idleTimeout?: Duration.Input | undefined
  /** How long a stop may take. Default: 10 seconds. After it, handlers are interrupted (`Drained`) and sockets destroyed, whatever a peer or a handler does. */
  readonly drainTimeout?: Duration.Input | undefined
}

/**
 * What a transport reports to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sink {
  /** A peer has connected. */
  readonly accept: (wire: Wire.Wire) => void
  /** A connection could not be accepted, for reasons of its own or of the system; listening goes on. */
  readonly lose: (cause: unknown) => void
  /** The listener has died. `run` fails with it, and `serve` ends the program's layer. */
  readonly fail: (cause: unknown) => void
}

/**
 * A bound listener.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  /** Where it is bound, with the port that the system chose for port 0. */
  readonly address: Endpoint.Endpoint
  /** Stops accepting, at once. Connections stay. */
  readonly close: () => void
  /** Connects to it, for clients in the same program. */
  readonly connect: Effect.Effect<Wire.Wire, Connection.ConnectFailed, Scope.Scope>
}

/**
 * Makes the layer of a server from a way to listen.
 *
 * **Details**
 *
 * `listen` binds, in a scope that closes after the last connection has ended.
 * It fails with a {@link ServerError} if it cannot.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: ServerOptions,
  listen: (sink: Sink) => Effect.Effect<Listening, ServerError, Scope.Scope>
): Layer.Layer<Self, ServerError> =>
  Layer.effect(
    tag,
    Effect.gen(function* () {
      const limits = yield* Effect.mapError(
        Effect.fromResult(resolve(options)),
        (reason) => new ServerError({ reason })
      )
      const engine = new Engine<In, Out>(tag.key, tag.protocol, limits, yield* Effect.context<never>())
      const listening = yield* listen({
        accept: (wire) => engine.accept(wire),
        lose: (cause) => engine.lose(cause),
        fail: (cause) => engine.fail(new ListenerFailed({ endpoint: String(engine.address), cause }))
      })
      engine.open(listening.address, listening.close)
      yield* Effect.addFinalizer(() => engine.shutdown)
      return makeServer(engine, listening)
    })
  )
