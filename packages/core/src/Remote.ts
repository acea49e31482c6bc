/**
 * For authors of policies whose handlers run elsewhere: what such a policy needs to
 * send requests to a worker, and what a program needs to be one.
 *
 * `WorkerPolicy` of `@socketserver/node` is made of it, for threads and processes.
 *
 * A worker is the same server on another transport. Where a {@link Host} is
 * set, the transport layers of its service take their requests from it instead
 * of listening, and those of all other services stay inert.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Codec from "./Codec.ts"
import type * as Connection from "./Connection.ts"
import { CurrentRequest, Incoming, leaving } from "./internal/incoming.ts"
import * as programs from "./internal/ending.ts"
import * as policies from "./internal/policies.ts"
import { peerKeyOf } from "./internal/peerKey.ts"
import * as passing from "./internal/passing.ts"
import { onRelease } from "./internal/releasing.ts"
import * as relays from "./internal/relay.ts"
import { TypedConnection } from "./internal/typedConnection.ts"
import { Encoded, encoderOf } from "./internal/writing.ts"
import type * as Outcome from "./Outcome.ts"
import type * as Peer from "./Peer.ts"
import type * as Policy from "./Policy.ts"
import type { PolicyError, ServerError } from "./ServerError.ts"
import type * as Protocol from "./Protocol.ts"
import type * as Request from "./Request.ts"
import type { ValueHolder } from "./internal/reading.ts"
import type * as Wire from "./Wire.ts"
import type * as Worker from "./Worker.ts"

/**
 * What makes a program a worker: it is one server, and somebody else listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Host {
  /** The key of the service that this worker runs the handler of. */
  readonly service: string
  /** Where the server listens that it works for. */
  readonly address: string
  readonly worker: Worker.Worker
  /** Places the handler; it replaces every policy that the program has chosen. */
  readonly policy: Policy.Policy
  /** Begins to deliver requests. */
  readonly open: (server: Taker) => void
}

/**
 * A server that takes its requests from a {@link Host}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Taker {
  /** Makes a connection of a wire. Its `id` is the host's, unique among those that are open. */
  readonly accept: (wire: Wire.Wire, id: number) => void
  /** Stops a connection whose input has ended because its server stops: what has come of a message is none. */
  readonly stop: (id: number) => void
  /** Hears every outcome. */
  readonly observe: (observer: (event: Outcome.Event) => void) => void
  /** Completes when its own program stops it, or it has failed. */
  readonly stopping: Effect.Effect<"asked" | "failed">
}

/**
 * The host of a program that is a worker beside others in one process, as in a
 * simulation. Elsewhere {@link setHost} says it for the whole process.
 *
 * @category hosts
 * @since 0.1.0
 */
export const CurrentHost: Context.Reference<Host | undefined> = Context.Reference<Host | undefined>(
  "@socketserver/core/Remote/CurrentHost",
  { defaultValue: () => undefined }
)

/**
 * The host of this program, if it is a worker.
 *
 * @category hosts
 * @since 0.1.0
 */
export const host: Effect.Effect<Host | undefined> = Effect.flatMap(CurrentHost, (given) =>
  given === undefined ? hostOfProcess : Effect.succeed(given)
)

const hostOfProcess: Effect.Effect<Host | undefined> = Effect.suspend(() => {
  const { [hostKey]: load } = globalThis as { readonly [hostKey]?: () => Promise<Host> }
  return load === undefined ? Effect.undefined : Effect.promise(load)
})

/**
 * Makes this program a worker, for as long as it lives. It must happen before a
 * transport's layer is built.
 *
 * @category hosts
 * @since 0.1.0
 */
export const setHost = (load: () => Promise<Host>): void => void Object.assign(globalThis, { [hostKey]: load })

/**
 * Whether `announce` keeps silent: in a worker, and in all copies of a program but one.
 *
 * @category hosts
 * @since 0.1.0
 */
export const isSilent = (): boolean => hostKey in globalThis || copyOf()?.silent === true

/**
 * Makes this program one of several copies that accept on the same addresses.
 * `id` tells it apart from the others: `Worker.name` has it.
 *
 * @category hosts
 * @since 0.1.0
 */
export const setCopy = (copy: { readonly id: number; readonly silent: boolean }): void =>
  void Object.assign(globalThis, { [copyKey]: copy })

/**
 * The id of this copy; 0 where there is only this program.
 *
 * @category hosts
 * @since 0.1.0
 */
export const copyId = (): number => copyOf()?.id ?? 0

/**
 * Says how many copies there are: what bounds a server in all, its connections,
 * its memory and its handshakes, is shared among them. What bounds a peer holds in each.
 *
 * @category hosts
 * @since 0.1.0
 */
export const setCopies = (count: number): void => void Object.assign(globalThis, { [copiesKey]: count })

/**
 * How many copies there are; 1 where there is only this program.
 *
 * @category hosts
 * @since 0.1.0
 */
export const copies = (): number => (globalThis as { readonly [copiesKey]?: number })[copiesKey] ?? 1

/**
 * Begins every request as soon as there is room for it, for policies whose workers
 * have a bounded queue of their own; without one, at once. What waits for room
 * counts as unanswered on its connection, which is then read no further.
 *
 * @category policies
 * @since 0.1.0
 */
export const drain: Policy.Policy["drain"] = policies.intoRoom

/**
 * The payload of a request as it was received: what is sent to a worker.
 *
 * **Gotchas**
 *
 * Only the server's own request has it. Of one that was made from it, by
 * `Handler.mapRequest` or `mapResponse`, it throws: convert where the handler
 * runs, and not around what stands in for it.
 *
 * @category payloads
 * @since 0.1.0
 */
export const payloadOf = (request: Request.Request<unknown>): Protocol.Payload => {
  const { payload } = request as Request.Request<unknown> & { readonly payload?: Protocol.Payload }
  if (payload !== undefined) return payload
  throw new TypeError(
    "A request that is not the server's own has no payload to send to a worker. Convert requests and responses in the handler, not around a policy's"
  )
}

/**
 * What a peer sends about a request, for what passes it on. One of those who take it has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Controls {
  /** The next control message and its payload, as it was received; if there is one. */
  readonly take: () => { readonly message: unknown; readonly payload: Protocol.Payload } | undefined
  /** Whether there is none, and none will come. */
  readonly isOver: boolean
  /** Called when that has changed. */
  onChange: () => void
}

/**
 * The control messages that concern the request in the context of whose handler this
 * is; `undefined` where its protocol has none. `Request.controls` is made of it.
 *
 * @category payloads
 * @since 0.1.0
 */
export const controlsOf = (context: Context.Context<never>): Controls | undefined =>
  controlsFor(Context.get(context, CurrentRequest))

/**
 * The same for the request that a handler was given.
 *
 * @category payloads
 * @since 0.1.0
 */
export const controlsFor = (request: object | undefined): Controls | undefined =>
  request instanceof Incoming ? request.controlled : undefined

/**
 * Whether a control message has come that concerns a request. Most requests have
 * none, and asking costs nothing.
 *
 * @category payloads
 * @since 0.1.0
 */
export const hasControls = (request: object): boolean => request instanceof Incoming && request.controls !== undefined

/**
 * Whether a request is the server's own, and not one that was made of it.
 *
 * @category payloads
 * @since 0.1.0
 */
export const isOwn = (request: object): boolean => request instanceof Incoming

/**
 * The request in the context of whose handler this is.
 *
 * @category running
 * @since 0.1.0
 */
export const requestOf = (context: Context.Context<never>): object | undefined => Context.get(context, CurrentRequest)

/**
 * What handlers have, whichever request they are for: of the context of one.
 *
 * @category running
 * @since 0.1.0
 */
export const withoutRequest = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.omit(CurrentRequest)(context) as Context.Context<R>

/**
 * Runs what a handler does in another fiber than its own, as a library's server may:
 * what asks for its request there finds it.
 *
 * @category running
 * @since 0.1.0
 */
export const within = <A, E, R>(request: object, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, CurrentRequest, request)

/**
 * Writes a message to a connection at once, and not when an effect is run: what is
 * returned waits for a peer that does not keep up. It is `Effect.void` where nobody
 * has to wait.
 *
 * @category hooks
 * @since 0.1.0
 */
export const write = <In, Out>(
  connection: Connection.Connection<In, Out>,
  message: Out
): Effect.Effect<void, Connection.ConnectionError> =>
  connection instanceof TypedConnection ? connection.writeNow(message) : connection.write(message)

/**
 * Writes several messages that nothing else may come between, whoever else writes
 * to the connection: all of them, or none. Whoever is interrupted while it waits for a
 * peer that does not keep up has written all of them, or none.
 *
 * @category hooks
 * @since 0.1.0
 */
export const writeTogether = <In, Out>(
  connection: Connection.Connection<In, Out>,
  messages: ReadonlyArray<Out>
): Effect.Effect<void, Connection.ConnectionError> =>
  connection instanceof TypedConnection
    ? Effect.suspend(() => connection.writeTogether(messages))
    : Effect.uninterruptible(Effect.forEach(messages, connection.write, { discard: true }))

/**
 * For a layer that serves by `Tag.run` in a fiber of somebody else, who may drop its errors: what ends the program, or
 * whoever waits for the layer, with an error that `run` has ended with, as `Tag.serve` does. It is asked for while the layer is built.
 *
 * @category running
 * @since 0.1.0
 */
export const ending: Effect.Effect<(error: ServerError | PolicyError) => Effect.Effect<void>> = programs.ending

/**
 * A message of a response whose payload a worker has made. It is framed and
 * written, and not encoded again.
 *
 * @category payloads
 * @since 0.1.0
 */
export const encoded = (payload: Protocol.Payload): never => new Encoded(payload) as never

/**
 * Makes the payloads of messages, or says why one has none: what a worker sends
 * back.
 *
 * @category payloads
 * @since 0.1.0
 */
export const payloadEncoder = (
  side: Codec.Side<unknown, never>
): ((message: unknown) => Protocol.Payload | Protocol.Unencodable) =>
  encoderOf(side as Codec.Side<unknown, unknown>, "payloads")

/**
 * Runs an effect when a connection has ended, and its last handler with it.
 *
 * @category hooks
 * @since 0.1.0
 */
export const onEnd = (
  connection: Connection.Ref<never>,
  finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>
): void => onRelease(connection, finalizer)

/**
 * Who a peer is, whatever its port: those with the same key share their turns.
 *
 * @category hooks
 * @since 0.1.0
 */
export const peerKey = (peer: Peer.Peer): string => peerKeyOf(peer)

/**
 * What carries a connection: what its peer has not taken yet shows there, and it
 * can be broken off. Only the server's own has one.
 *
 * @category hooks
 * @since 0.1.0
 */
export const wireOf = (connection: Connection.Ref<never>): Wire.Wire | undefined =>
  (connection as { readonly wire?: Wire.Wire }).wire

/**
 * Counts what a policy holds for a connection elsewhere, in bytes: what waits in a
 * channel to a worker, or came from one and has not left. It counts in
 * `maxMemory`, and of a connection in `maxBuffered`, until as much is taken off
 * again, or the connection has ended. It costs next to nothing. With `isAwaited` its
 * peer has to say the rest: near `maxMemory` it gives way to who comes anew.
 *
 * @category hooks
 * @since 0.1.0
 */
export const hold = (connection: Connection.Info, bytes: number, isAwaited?: boolean): void =>
  (connection as { readonly holding?: ValueHolder }).holding?.charge(bytes, isAwaited)

/**
 * Notes that the handler of a request, which runs elsewhere, waits for what its peer
 * says about it, or goes on: whoever waits so makes room in a server that is full.
 *
 * @category hooks
 * @since 0.1.0
 */
export const awaitsPeer = (request: Request.Request<unknown>, waiting: boolean): void => {
  if (request instanceof Incoming) request.awaitsPeer = waiting
}

/**
 * Whether a request that was taken may begin: its peer reads what it is sent, and not too many replies wait for one
 * before them. A policy that has more requests than it begins asks again before it does.
 *
 * @category hooks
 * @since 0.1.0
 */
export const mayBegin = (request: Request.Request<unknown>): boolean =>
  !(request instanceof Incoming) || request.settled !== undefined || request.on.line.mayBegin(request)

/**
 * Calls back once the first request of a connection that was taken and may not begin may do so; another call takes the place of this.
 *
 * @category hooks
 * @since 0.1.0
 */
export const whenMayBegin = (request: Request.Request<unknown>, f: () => void): void => {
  if (request instanceof Incoming) request.on.line.whenMayBegin(request, f)
}

/**
 * Says what lets go of the streamed response of a request, which comes from elsewhere.
 * It is called where the stream never starts: its connection has ended before its turn.
 *
 * @category hooks
 * @since 0.1.0
 */
export const onUnstarted = (request: Request.Request<unknown>, leave: () => void): void => {
  if (request instanceof Incoming) leaving.set(request, leave)
}

/**
 * The key under which a connection of another program takes such effects.
 *
 * @category hooks
 * @since 0.1.0
 */
export const onEndKey: typeof onRelease.key = onRelease.key

/**
 * The bytes of a whole-connection request, to pass them on as they are.
 *
 * **Gotchas**
 *
 * It has to be asked for when the handler is called, before anything was read.
 *
 * @category hooks
 * @since 0.1.0
 */
export const relay = (connection: object): Relay =>
  (connection as { readonly [relays.relayKey]: () => Relay })[relays.relayKey]()

/**
 * A connection as bytes, seen from whoever passes them on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Relay extends relays.Relay {}

const hostKey = Symbol.for("@socketserver/core/Remote/host")
const copyKey = Symbol.for("@socketserver/core/Remote/copy")
const copiesKey = Symbol.for("@socketserver/core/Remote/copies")

const copyOf = () => (globalThis as { readonly [copyKey]?: { readonly id: number; readonly silent: boolean } })[copyKey]

/**
 * A `Map` of what comes and goes, such as the requests that a worker has. Of what passes
 * through V8's, all survives until a full collection once its table is in the old generation.
 * Who goes through this one while something is added may see what it held before: what has
 * gone since, and not what has come.
 *
 * @category models
 * @since 0.1.0
 */
export class Passing<K, V> extends passing.Passing<K, V> {}
