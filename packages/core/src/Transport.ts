/**
 * For authors of transports: a layer that makes a server from connections.
 *
 * `TcpServer`, `MemoryServer` and `NodeServer` are transports. To write another
 * one, say how to listen, and hand over each connection as a {@link Wire} or each
 * datagram as a `Wire.Datagram`; the rest (framing, pipelining, order, limits,
 * drain) is the library's.
 *
 * Others need it to serve listeners of several kinds, each with options in code,
 * as one server: see {@link layer}. `NodeServer.layer` does that by URL.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Connection from "./Connection.ts"
import type * as Endpoint from "./Endpoint.ts"
import * as datagrams from "./internal/datagramWire.ts"
import { controlOf } from "./internal/control.ts"
import { Engine } from "./internal/engine.ts"
import { hostedServers } from "./internal/lazily.ts"
import {
  among,
  type Found as Measured,
  type FoundKey,
  type Limits as Resolved,
  raised,
  resolve,
  withFound as measured
} from "./internal/limits.ts"
import { SimulatedLoop } from "./internal/loop.ts"
import { declarationOf, makeServer } from "./internal/face.ts"
import { boundariesOf } from "./internal/handling.ts"
import * as running from "./internal/running.ts"
import { holding } from "./internal/held.ts"
import { register } from "./internal/series.ts"
import { noWire, TypedConnection, upgrading } from "./internal/typedConnection.ts"
import * as Remote from "./Remote.ts"
import type * as Server from "./Server.ts"
import type * as Settings from "./Settings.ts"
import type * as Outcome from "./Outcome.ts"
import type * as Peer from "./Peer.ts"
import { InvalidOption, ListenerFailed, located, ServerError } from "./ServerError.ts"
import type * as Wire from "./Wire.ts"

/**
 * The options that all transports share. Each has a default, and a sentence on what happens at the limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions {
  /** Connections at a time, those that are being opened included; over datagrams, datagrams that are not answered yet. Default: 4096. At the limit a new connection takes the place of one: of the peer that has most of them, the one that has sent no complete request for longest, a second at least, and has nothing in flight and nothing unsent. Where there is none, and always where connections are sessions, are whole connections or were pushed to, the new one is closed at once. Either is counted as `Refused`. One more datagram is dropped and counted so; a transport that can hold datagrams back does that instead. */
  readonly maxConnections?: number | undefined
  /** Connections of one peer at a time, those that are being opened included; over datagrams, datagrams of it that are not answered yet. A peer is an IPv4 address, or the /64 network of an IPv6 address; behind a balancer it is who the PROXY header names. Default: half of `maxConnections`, for peers on other machines; those on loopback, on Unix sockets and in memory are not bounded. Where it is set it holds for them, too (all peers of a Unix socket are one, or all of a user, where its listener asks for `peers`), and only a trusted balancer's own address stays free of it. `"off"` is off. At the limit one more is closed at once, before a TLS handshake, or dropped, and counted as `Refused` (`MaxConnectionsPerPeer`), unless it may wait (`maxPeerWait`). */
  readonly maxConnectionsPerPeer?: number | "off" | undefined
  /** How long one more of a peer that has `maxConnectionsPerPeer` may wait until one of those has ended: it is accepted, and not read, and its handshake does not begin. Default: 0, it is refused at once. At most 30 seconds; after it, it is refused as above. They wait as they have come, each for its own peer alone: 64 at a time, and 16 of a peer. One more is refused at once; so is the one that came last where the server is full otherwise. Not for datagrams. */
  readonly maxPeerWait?: Settings.Time | undefined
  /** TLS handshakes and PROXY headers at a time, of all listeners; with a `firstByteTimeout` also connections that have not sent their first byte. Default: 256. At the limit a newcomer waits for its turn: it is accepted, and not read. Those that wait get their turns peer by peer; while they do, one that has sent nothing more for a second gives its turn up, and waits behind them. After as long as its handshake, header or first byte itself may take, it is closed, and counted as `Refused` (`MaxOpening`). `"off"` is off. */
  readonly maxOpening?: number | "off" | undefined
  /** How many of them one peer may have; loopback and Unix sockets, too. Default: an eighth of `maxOpening`, so 32. At the limit its next one waits, as above. What a balancer brings is of no peer until its header has been read. */
  readonly maxOpeningPerPeer?: number | "off" | undefined
  /** Requests of one peer that are at work, over all its connections: whole connections, and datagrams, too. A peer is what it is for `maxConnectionsPerPeer`, on Unix sockets, too. Default: off. At the limit its next one waits on its connection, and nobody else's. */
  readonly maxRequestsPerPeer?: number | "off" | undefined
  /** Over datagrams with IP addresses: how many bytes may go back for each byte of a datagram, all its replies and pushes together. Its sender may be forged, so that the reply goes to somebody who has not asked. Default: off. At the limit a reply is not sent, and its request ends as `Undelivered` (`Limited`). */
  readonly maxAmplification?: number | "off" | undefined
  /** Over datagrams with IP addresses: how many may go back a second to one network, a /24 of IPv4 or a /56 of IPv6; after a pause as many at once. Default: off. At the limit as for `maxAmplification`. */
  readonly maxRepliesPerNetwork?: number | "off" | undefined
  /** Requests of one connection that are received and not answered. Default: 128. At the limit its reading stops, which slows the peer down, and only that peer. */
  readonly maxPipelined?: number | undefined
  /** What is held for one connection, in bytes, or as `"256KiB"`: what has arrived and is not answered, and what is not sent yet. Default: 256 KiB, or the largest frame if that is more. At the limit its reading stops and no further request of it begins, until less is held. A single frame is always read, and a single reply always sent. */
  readonly maxBuffered?: number | string | undefined
  /** What the server holds for all connections together, in bytes, or as `"64MiB"`. Default: 256 MiB; over sockets 30 % of the memory that is free at the start, at most 256 MiB. Over three quarters of it connections that hold more than their share are not read; over nine tenths nobody new is let in (`Refused`); over all of it those that hold most are reset (`Cancelled`, `OutOfMemory`). */
  readonly maxMemory?: number | string | undefined
  /** The largest message that is written, in bytes, or as `"8MiB"`: a reply, an element of a stream, a push. Default: 8 MiB, or the largest frame if that is more. A larger one fails its request, and closes the connection. Streams send more. */
  readonly maxReply?: number | string | undefined
  /** How long a whole connection (`Protocol.connection`) may wait for its handler to begin, where a policy or its workers bound how many run; after it, it is closed, and counted as `Refused`. Also how long a reply that its peer does not read may keep a place for one at a time (`sequential`, a key of `keyed`, a worker) from others, and six times that in all if the peer reads a little; after it, its connection is reset, and its requests end as `Cancelled`. Default: 10 seconds. */
  readonly placeTimeout?: Settings.Time | undefined
  /** How long a worker may take to start, under a policy that has any. Default: 30 seconds. After it, it is killed, and another one is started after a while. */
  readonly startTimeout?: Settings.Time | undefined
  /** How long a connection may take for its first byte, once it is accepted and its handshake is done. Default: off. After it, it is closed, and counted as `TimedOut`. */
  readonly firstByteTimeout?: Settings.Time | undefined
  /** How long a frame may take from its first byte to its last, however its bytes come. It stands still while the server does not read, and is never shorter than the largest frame takes at 16 KiB/s. Default: 30 seconds. After it, what came before is answered, and the connection is closed and counted as `TimedOut`. */
  readonly frameTimeout?: Settings.Time | undefined
  /** How long nothing of what is unsent may leave before its peer counts as one that does not read. Looked at once a second. Default: 60 seconds. After it, the connection is reset, and counted as `TimedOut`. */
  readonly writeTimeout?: Settings.Time | undefined
  /** How long nothing may be read from a connection that has no request in flight and nothing to send; what is pushed to it keeps it no longer. A whole connection (`Protocol.connection`) always has its one request, which does not count. Default: off. After it, it is closed, and counted as `TimedOut`. */
  readonly idleTimeout?: Settings.Time | undefined
  /** How long a request may wait and be handled: from when it was received until its answer is there, whatever the peer then takes to read it. A stream that is sent may take as long for each of its elements. Not for whole connections. Default: off. After it, the handler is interrupted, the request is counted as `TimedOut`, and its connection closes once earlier replies have left. */
  readonly requestTimeout?: Settings.Time | undefined
  /** How long the set-up of a `Session` may take: greeting, login. Default: 30 seconds. After it, the connection is closed, and counted as `Refused`. */
  readonly loginTimeout?: Settings.Time | undefined
  /** How long a connection may live: the first reply after that is its last, so that no request crosses with the close. Not for whole connections. Default: off. */
  readonly maxLifetime?: Settings.Time | undefined
  /** Senders of datagrams that a `Session` has state for. Default: 4096. Over it the one is forgotten that has been silent for longest: of those that have sent a single datagram, whose addresses may be forged, as long as these are more than a quarter; else of the others. Whoever has a datagram at work is not, so that there may be as many as there are of those. Its state is released, and its next datagram begins anew. */
  readonly maxSenders?: number | undefined
  /** How long such a sender may send nothing, and have nothing at work, before it is forgotten. Default: 60 seconds. `"off"` is off. */
  readonly senderTimeout?: Settings.Time | undefined
  /** Turns peers away before anything is read from them, and before a TLS handshake: `false` closes the connection, or drops the datagram, and counts it as `Refused`. It is told how many connections the peer has already. One that throws or dies refuses that peer, and is logged. Default: everybody may come. */
  readonly verify?: Verify | undefined
  /** How long a stop may take. Default: 10 seconds. After it, handlers are interrupted (`Drained`) and sockets destroyed. A handler that holds the event loop holds up the stop, too. */
  readonly drainTimeout?: Settings.Time | undefined
  /** How long a program that is told to stop by a signal (`NodeServer.launch`) goes on accepting before this server's stop begins: it says that it is not ready (`server.isReady`, and to a service manager), and balancers that are late take it off their lists meanwhile. A second signal ends it at once. `shutdown`, and whoever closes the server's scope, do not wait for it. Default: 0. */
  readonly drainDelay?: Settings.Time | undefined
  /** Whether it is measured how long requests take, as the metric `socketserver_request_duration_seconds`: from a request's last byte until its outcome, in whole milliseconds. `true`, or the boundaries of its buckets, in seconds, at most 64 of them that ascend. Default: `false`, since it looks at the clock for each request. */
  readonly durations?: boolean | ReadonlyArray<number> | undefined
}

/**
 * The options of a server that can be changed while it runs, with `server.control`: all that are a number or a time.
 *
 * @category models
 * @since 0.1.0
 */
export type LimitOptions = Omit<ServerOptions, "verify" | "durations">

/**
 * The limits of a server that are in force: its options, each with its default. Times are in milliseconds, `Infinity` where they are off.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits extends Omit<Resolved, FoundKey> {}

/**
 * What a transport has found that there is room for, where its program does not
 * say so: how many connections, and for what they can be no more
 * (`"64 descriptors are enough for no more"`); how many bytes for all of them. And
 * how the engine is told to collect garbage, where a server has reset what was over
 * `maxMemory`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found extends Measured {}

/**
 * Options whose defaults are what a transport has found there is room for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const withFound: <Options extends ServerOptions>(options: Options, found: Found) => Options = measured

/**
 * Says whether a peer may come in; with an `Outcome.Refused` also why not.
 *
 * @category models
 * @since 0.1.0
 */
export type Verify = (
  peer: Peer.Peer,
  listener: Endpoint.Endpoint,
  counts: PeerCounts
) => boolean | Outcome.Refused | Effect.Effect<boolean | Outcome.Refused>

/**
 * How many connections a peer has, without the one that it is asked for; over
 * datagrams, how many of its datagrams are not answered yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerCounts {
  /** Those that have been let in. */
  readonly connections: number
  /** Those that are being opened: in a handshake, before their PROXY header, or being verified; not those that wait for a place of it. */
  readonly opening: number
}

/**
 * What a transport reports to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sink {
  /** A peer has connected. `scarcity` is as in {@link Opening}. */
  readonly accept: (wire: Wire.Wire, scarcity?: Scarcity) => void
  /** A peer has connected, and something comes first: a handshake, a header. It counts as a connection from now on. */
  readonly open: (opening: Opening) => void
  /** A datagram has arrived. */
  readonly receive: (datagram: Wire.Datagram) => void
  /** A peer was turned away by the transport itself: one that has connected, unless it is said to have sent a datagram. */
  readonly refuse: (
    peer: Peer.Peer,
    listener: Endpoint.Endpoint,
    refused: Outcome.Refused,
    kind?: Connection.Info["kind"]
  ) => void
  /** A connection could not be accepted, or a datagram not be received, for reasons of its own or of the system; listening goes on. */
  readonly lose: (cause: unknown, kind?: Connection.Info["kind"]) => void
  /** Something of the listener is not as it should be, and it goes on: that is logged. */
  readonly warn: (problem: string) => void
  /** The listener has died. `run` fails with it, and `serve` ends the program's layer. */
  readonly fail: (cause: unknown) => void
}

/**
 * A connection that is not ready yet, in the steps that make it ready.
 *
 * **Details**
 *
 * First `introduce` says who the peer is, then the listener's `allow` and the
 * server's `verify` say whether it may come in, then `secure` makes the wire.
 * Whoever refuses ends it. All of them are interrupted after a minute, and a second
 * after a stop has begun.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opening {
  /** Who it is, as far as is known by now. */
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  /** Says who it is, where something in front of it says so: a PROXY header. `peer` is then a balancer, which `maxConnectionsPerPeer` does not bound. Default: `peer`. */
  readonly introduce?: Effect.Effect<Peer.Peer, Outcome.Refused> | undefined
  /** Whether it may come in by this listener. Default: everybody may. */
  readonly allow?: ((peer: Peer.Peer) => boolean) | undefined
  /** How long `introduce` may take, if what it reads is a header: that is bounded by `maxOpening`, and waits no longer for its turn. Default: it reads nothing. */
  readonly headerMillis?: number | undefined
  /** The same of `secure`, if that is a handshake: before it nothing can be written to the peer. Default: it is none. */
  readonly handshakeMillis?: number | undefined
  /** Stops reading, so that what the peer sends stays in the kernel; returns what reads on. Default: it is read while it waits. */
  readonly hold?: (() => () => void) | undefined
  /** Whether the peer has sent anything yet. At a stop whoever has not is closed, and the others have a second to become ready. Default: it has. */
  readonly begun?: (() => boolean) | undefined
  /**
   * How many bytes of the peer `introduce` and `secure` have taken in, without what still waits for them. One that
   * has sent no more in a second gives its turn to others that wait (`maxOpening`), is held, and goes on when
   * it is its turn again. Needs `hold`. Default: it is not known, and it keeps its turn.
   */
  readonly taken?: (() => number) | undefined
  /** Makes the wire of a peer that may come in: a handshake, or nothing. */
  readonly secure: (peer: Peer.Peer) => Effect.Effect<Wire.Wire, Outcome.Refused>
  /** What the system has too little of for another peer, which is turned away for it. Default: there is enough. */
  readonly scarcity?: Scarcity | undefined
  /** Closes it, at once. Called when it was refused, and when the server stops before it is ready. */
  readonly destroy: () => void
}

/**
 * That the system has too little of something for another peer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scarcity {
  /** What there is too little of: `"descriptors"`. */
  readonly of: string
  /** How many there are, and how whoever runs the server gets more, for the log. */
  readonly limit: string
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
  /** Stops accepting, at once. Connections stay, and datagrams can still be answered. */
  readonly close: () => void
  /**
   * Whether peers wait in a queue of the system that gives one, or some, in a turn of the event loop, and that is lost
   * when it is closed. A stop then closes it once a turn has brought nobody, after 512 turns or a second at the latest.
   */
  readonly queues?: boolean
  /** The server has stopped, and its last datagram has been answered. */
  readonly ended?: (() => void) | undefined
  /** Connects to it, for clients in the same program. */
  readonly connect: Effect.Effect<Wire.Wire, Connection.ConnectFailed, Scope.Scope>
  /** Stops and resumes the reading of datagrams, where the system then holds the senders back. Where it cannot, those that come over the limit are refused. */
  readonly flow?: { readonly pause: () => void; readonly resume: () => void } | undefined
}

/**
 * A way to listen: it binds, in a scope that closes after the last connection
 * has ended, and fails with a {@link ServerError} if it cannot.
 *
 * @category models
 * @since 0.1.0
 */
export type Listen = (sink: Sink) => Effect.Effect<Listening, ServerError, Scope.Scope>

/**
 * Makes the layer of a server from a way to listen, or from several: their
 * requests come in one stream, under one budget and one policy.
 *
 * **Details**
 *
 * If one cannot be bound, none stays bound. If one dies later, the server fails.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: ServerOptions,
  listen: Listen | readonly [Listen, ...Array<Listen>]
): Layer.Layer<Self, ServerError> =>
  Layer.effect(
    tag,
    Effect.gen(function* () {
      const host = yield* Remote.host
      if (host !== undefined) {
        // Only a worker has a use for it.
        const { hosted } = yield* hostedServers
        return yield* hosted(tag, options, host)
      }
      const shares = (yield* SimulatedLoop)?.shares
      const limitsOf = (options: ServerOptions) =>
        Result.map(resolve(options, tag.protocol.server.maxFrameBytes, shares), (limits) =>
          among(limits, options, Remote.copies())
        )
      const limits = yield* Effect.mapError(
        Effect.fromResult(limitsOf(options)),
        (reason) => new ServerError({ reason })
      )
      if (tag.protocol.problem !== undefined) {
        const { name, problem } = tag.protocol
        return yield* Effect.fail(
          new ServerError({ reason: new InvalidOption({ option: `protocol (${name})`, problem }) })
        )
      }
      const services = yield* Effect.context<never>()
      const { protocol } = tag
      const { verify } = options
      const declaration = declarationOf(tag)
      const durations = yield* Effect.mapError(
        Effect.fromResult(boundariesOf(options.durations)),
        (reason) => new ServerError({ reason })
      )
      const engine = new Engine<In, Out>({
        service: tag.key,
        declaration,
        protocol,
        limits,
        services,
        verify,
        durations
      })
      const { gate, stop } = engine
      const holder = { service: tag.key, listens: () => !stop.hasBegun }
      const bind = (listen: Listen) =>
        Effect.suspend(() => {
          let bound: Listening | undefined
          const sink: Sink = {
            accept: (wire, scarcity) => gate.entry.accept(wire, scarcity),
            open: (opening) => gate.entry.open(opening),
            receive: (datagram) => gate.entry.receive(datagram),
            refuse: (peer, listener, refused, kind) => gate.entry.refuse(peer, listener, refused, kind),
            lose: (cause, kind) => gate.lose(cause, kind, bound?.address),
            warn: (problem) => engine.context.log.say("Warn", "its listeners", problem),
            fail: (cause) => stop.fail(new ListenerFailed({ endpoint: String(bound?.address ?? tag.key), cause }))
          }
          return Effect.tap(holding(listen(sink), holder), (listening) => Effect.sync(() => void (bound = listening)))
        })
      const [first, ...others] = typeof listen === "function" ? [listen] : listen
      const bindAll = Effect.gen(function* () {
        return [yield* bind(first), ...(yield* Effect.forEach(others, bind))] as const
      })
      // Peers may have come to those that were bound before.
      const listeners = yield* Effect.onError(bindAll, () => stop.shutdown)
      engine.open(listeners)
      yield* Effect.acquireRelease(
        Effect.sync(() => register(engine, services)),
        (unregister) => Effect.sync(unregister)
      )
      yield* (yield* running.OnListening)?.(running.runningOf(engine)) ?? Effect.void
      if (!Remote.isSilent()) {
        const problem = raised(options, limits, protocol.server.maxFrameBytes)
        if (problem !== undefined) engine.context.log.say("Warn", "its limits", problem)
        yield* Effect.forkScoped(running.missesServe(engine, listeners), { startImmediately: true })
      }
      yield* Effect.addFinalizer(() => stop.shutdown)
      return makeServer(engine, listeners, controlOf(engine, options, limitsOf))
    }).pipe(Effect.mapError((error) => located(error, { of: tag.key })))
  )

/**
 * Completes once the whole program is built. Whoever runs it provides this, as `NodeServer.launch` does, so that a server which nobody serves is told of then, and not while what serves it is still being built. Default: at once.
 *
 * @category services
 * @since 0.1.0
 */
export const WhenBuilt: Context.Reference<Effect.Effect<unknown>> = running.WhenBuilt

/**
 * What a client's datagram socket can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface DatagramWireOptions {
  /** The server. */
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  /** The largest datagram, in bytes. */
  readonly maxMessageBytes: number
  /** Sends a datagram. `sent` is called once; an error ends the connection with it. */
  readonly send: (data: Uint8Array, sent: (error?: unknown) => void) => void
  readonly close: () => void
  /** Calls when what runs now has ended. Default: `queueMicrotask`. */
  readonly soon?: ((f: () => void) => void) | undefined
  /** Stops and resumes reading, where the system then holds the server back. Where it cannot, what nobody reads is dropped. */
  readonly flow?: { readonly pause: () => void; readonly resume: () => void } | undefined
}

/**
 * A client's wire over datagrams.
 *
 * @category models
 * @since 0.1.0
 */
export interface DatagramWire extends Wire.Wire {
  /** A datagram has arrived. What nobody reads waits, up to 1,024 datagrams and 1 MiB; more are dropped. */
  readonly received: (data: Uint8Array) => void
  /** The server cannot be reached (any more). */
  readonly broken: (error: unknown) => void
}

/**
 * Makes the wire of a client from its datagram socket: each write is a
 * datagram, and each datagram that arrives a message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const datagramWire = (options: DatagramWireOptions): DatagramWire => new datagrams.DatagramWire(options)

/**
 * Changes what carries a connection between two of its messages, as STARTTLS
 * does: `change` gets its wire, and has to leave it usable.
 *
 * **When to use**
 *
 * To write a transport that can be upgraded to. `TlsServer.upgrade` and
 * `NodeClient.upgrade` are made of it.
 *
 * **Details**
 *
 * Reading stops, and what was written leaves, `last` as the last of it; what is
 * written meanwhile waits. What comes after is decoded from its start, with
 * offsets that count from there.
 *
 * **Gotchas**
 *
 * What the peer has sent beforehand and has not been read is an error, and is
 * never taken for something that came after; and so are messages that were pulled
 * together with the one that asks for it: take them one at a time. Any failure, an interruption
 * included, ends reading and writing, and breaks the connection off.
 *
 * @category constructors
 * @since 0.1.0
 */
export const upgrade = <In, Out, E>(
  connection: Connection.Connection<In, Out>,
  options: {
    readonly change: (wire: Wire.Wire) => Effect.Effect<void, E>
    /** Says why a wire cannot be changed at all, before `last` is sent. Default: every one can. */
    readonly impossible?: ((wire: Wire.Wire) => string | undefined) | undefined
    /** Says what an error of `change` means. */
    readonly problemOf: (error: E) => string
    /** The last message before the change. Default: none. */
    readonly last?: Out | undefined
  }
): Effect.Effect<void, Connection.UpgradeFailed> => upgrading(connection, options)

/**
 * Takes what carries a whole connection, a socket of the platform, away from the
 * library: nothing is framed, decoded, collected or counted there any more. It is
 * `undefined` where there is none: in memory, in a worker, of a datagram.
 *
 * **When to use**
 *
 * To hand a connection to what wants the socket itself, as an HTTP server of the
 * platform does. `RawSocket` of `@socketserver/node` is made of it.
 *
 * **Details**
 *
 * It still has its place, and counts for its peer; who it is is known. Its end ends
 * the request, as `PeerGone` where the handler has not ended by itself, and the end
 * of the handler closes it. A stop calls `onStop`, once what had arrived has been
 * taken in (at once, where it has begun before), reads on, and cuts it off after the
 * `drainTimeout`. Whether its peer is
 * there and reads (`writeTimeout`), and what it has unsent (`maxMemory`), is looked
 * at once a second.
 *
 * **Gotchas**
 *
 * Ask for it when the handler is called, not in the effect that it returns: what has
 * come is decoded by then. Do not use the connection's `stream` and `write` beside it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const takeAway = (connection: object, onStop: () => void): object | undefined =>
  connection instanceof TypedConnection ? connection.giveAway(onStop) : undefined

/**
 * Why {@link upgrade} would fail before it says anything, if it would: `impossible`
 * is the one that it would be given. `TlsServer.canUpgrade` is made of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const upgradeProblem = <In, Out>(
  connection: Connection.Connection<In, Out>,
  impossible?: (wire: Wire.Wire) => string | undefined
): string | undefined => (connection instanceof TypedConnection ? connection.obstacle(impossible) : noWire)
