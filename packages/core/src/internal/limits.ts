import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import { InvalidOption } from "../ServerError.ts"
import type { ServerOptions } from "../Transport.ts"
import { format, ofOption } from "./duration.ts"
import * as sizes from "./size.ts"

/** The options of a transport, resolved to their defaults. What is off takes for ever. */
export interface Limits {
  readonly maxConnections: number
  readonly maxConnectionsPerPeer: number
  /** Whether that holds for peers on this machine, too, as it was set. */
  readonly boundsLocalPeers: boolean
  /** How long one more waits for one of those to end. */
  readonly peerWaitMillis: number
  /** Why it is so, where it follows from what there is of something. */
  readonly connectionsBy: string | undefined
  /** Handshakes and headers at a time, and first bytes where these have to come in time. */
  readonly maxOpening: number
  /** The same of one peer. */
  readonly maxOpeningPerPeer: number
  /** Requests of one peer that are at work, over all its connections. */
  readonly maxRequestsPerPeer: number
  /** Bytes that go back for each of a datagram. */
  readonly maxAmplification: number
  /** Datagrams that go back to a network, a second. */
  readonly maxRepliesPerNetwork: number
  readonly maxPipelined: number
  /** What is held for one connection before it is not read, in bytes. */
  readonly maxBuffered: number
  /** What is held for all, in bytes. */
  readonly maxMemory: number
  /** Has the engine collect what was reset to stay below that. */
  readonly collectGarbage: (() => void) | undefined
  /** The largest message that is written, in bytes. */
  readonly maxReply: number
  readonly firstByteMillis: number
  readonly frameMillis: number
  readonly writeMillis: number
  readonly idleMillis: number
  readonly requestMillis: number
  readonly loginMillis: number
  readonly lifetimeMillis: number
  /** Senders of datagrams that a session has state for. */
  readonly maxSenders: number
  /** How long one of them may be silent. */
  readonly senderMillis: number
  readonly drainMillis: number
  /** How long a server whose program is told to stop goes on accepting. */
  readonly delayMillis: number
  /** How long a connection may take to be let in: a header, a verification, a handshake. */
  readonly openingMillis: number
  /** How long a connection that is one request may wait for its handler to begin. */
  readonly placeMillis: number
  /** How long a worker may take to start. */
  readonly startMillis: number
  /** Requests that begin in one turn of the event loop. */
  readonly turnRequests: number
  /** How long a turn of the event loop may take: no request begins in it after that. */
  readonly turnMillis: number
  /** Requests of one connection that begin in its turn, before the next connection has its own. */
  readonly turnShare: number
  /** How long a peer of a closing connection may read nothing of what waits for it. */
  readonly closeMillis: number
  /** How long a peer may take to close its end, once everything has left. */
  readonly lingerMillis: number
}

/** What was found, and is no limit that anybody has set. */
export type FoundKey = "boundsLocalPeers" | "collectGarbage" | "connectionsBy"

/** Limits as whoever asks for them sees them: values that can be sent. */
export const shown = ({
  boundsLocalPeers: _,
  collectGarbage: __,
  connectionsBy: ___,
  ...limits
}: Limits): Omit<Limits, FoundKey> => limits

/** Those of a turn, which a simulation may make smaller. */
export interface TurnLimits {
  readonly turnRequests: number | undefined
  readonly turnShare: number | undefined
}

/** What a transport has found that there is room for. */
export interface Found {
  readonly maxConnections?: number
  /** What there is room for no more by, if that is what bounds them. */
  readonly connectionsBy?: string | undefined
  readonly maxMemory?: number
  /** Has the engine collect all garbage, where it can be asked to. */
  readonly collectGarbage?: (() => void) | undefined
}

const foundKey = Symbol.for("@socketserver/core/Transport/found")

interface WithFound {
  readonly [foundKey]?: Found
}

const none: Found = {}

/** Options whose defaults are what was found. */
export const withFound = <Options extends ServerOptions>(options: Options, found: Found): Options & WithFound => ({
  ...options,
  maxConnections: options.maxConnections ?? found.maxConnections,
  maxMemory: options.maxMemory ?? found.maxMemory,
  // A number that is given and is the same by chance is not found.
  [foundKey]: options.maxConnections === undefined ? found : { collectGarbage: found.collectGarbage }
})

/** The options of a server with their defaults, or what is wrong with one of them. `largest` is its largest frame. */
export const resolve = (
  options: ServerOptions,
  largest = 65_536,
  turns: Partial<TurnLimits> = {}
): Result.Result<Limits, InvalidOption> =>
  Result.gen(function* () {
    const { maxConnections = 4_096, maxPipelined = 128 } = options
    const { [foundKey]: found = none } = options as WithFound
    for (const [option, value] of Object.entries({ maxConnections, maxPipelined })) {
      if (Number.isSafeInteger(value) && value >= 1) continue
      return yield* Result.fail(new InvalidOption({ option, problem: `it must be a positive integer, not ${value}` }))
    }
    const forever = { forever: true }
    const maxConnectionsPerPeer = yield* orOff(
      "maxConnectionsPerPeer",
      options.maxConnectionsPerPeer ?? Math.ceil(maxConnections / 2)
    )
    const peerWaitMillis = yield* ofOption("maxPeerWait", options.maxPeerWait ?? 0, { zero: true, most: 30_000 })
    const maxOpening = yield* orOff("maxOpening", options.maxOpening ?? 256)
    const maxOpeningPerPeer = yield* orOff(
      "maxOpeningPerPeer",
      options.maxOpeningPerPeer ?? (maxOpening === Infinity ? "off" : Math.ceil(maxOpening / 8))
    )
    const maxRequestsPerPeer = yield* orOff("maxRequestsPerPeer", options.maxRequestsPerPeer ?? "off")
    const maxAmplification = yield* orOff("maxAmplification", options.maxAmplification ?? "off")
    const maxRepliesPerNetwork = yield* orOff("maxRepliesPerNetwork", options.maxRepliesPerNetwork ?? "off")
    const firstByteMillis = yield* ofOption("firstByteTimeout", options.firstByteTimeout ?? "off", forever)
    const frameMillis = yield* ofOption("frameTimeout", options.frameTimeout ?? "30 seconds", forever)
    const writeMillis = yield* ofOption("writeTimeout", options.writeTimeout ?? "60 seconds", forever)
    const idleMillis = yield* ofOption("idleTimeout", options.idleTimeout ?? "off", forever)
    const requestMillis = yield* ofOption("requestTimeout", options.requestTimeout ?? "off", forever)
    const loginMillis = yield* ofOption("loginTimeout", options.loginTimeout ?? "30 seconds", forever)
    const maxSenders = options.maxSenders ?? 4_096
    if (!Number.isSafeInteger(maxSenders) || maxSenders < 1) {
      const problem = `it must be a positive integer, not ${maxSenders}`
      return yield* Result.fail(new InvalidOption({ option: "maxSenders", problem }))
    }
    const senderMillis = yield* ofOption("senderTimeout", options.senderTimeout ?? "60 seconds", forever)
    const lifetimeMillis = yield* ofOption("maxLifetime", options.maxLifetime ?? "off", forever)
    const drainMillis = yield* ofOption("drainTimeout", options.drainTimeout ?? "10 seconds", { zero: true })
    const delayMillis = yield* ofOption("drainDelay", options.drainDelay ?? 0, { zero: true })
    const placeMillis = yield* ofOption("placeTimeout", options.placeTimeout ?? "10 seconds")
    const startMillis = yield* ofOption("startTimeout", options.startTimeout ?? "30 seconds")
    const maxBuffered = yield* sizes.ofOption("maxBuffered", options.maxBuffered ?? Math.max(262_144, largest))
    const maxMemory = yield* sizes.ofOption("maxMemory", options.maxMemory ?? defaultMemory)
    const maxReply = yield* sizes.ofOption("maxReply", options.maxReply ?? Math.max(8_388_608, largest))
    return {
      maxBuffered,
      maxMemory,
      maxReply,
      maxConnections,
      maxConnectionsPerPeer,
      boundsLocalPeers: options.maxConnectionsPerPeer !== undefined,
      collectGarbage: found.collectGarbage,
      connectionsBy: options.maxConnections === found.maxConnections ? found.connectionsBy : undefined,
      peerWaitMillis,
      maxOpening,
      maxOpeningPerPeer,
      maxRequestsPerPeer,
      maxAmplification,
      maxRepliesPerNetwork,
      maxPipelined,
      firstByteMillis,
      frameMillis: Math.max(frameMillis, Math.ceil((largest / slowestBytes) * 1_000)),
      writeMillis,
      idleMillis,
      requestMillis,
      loginMillis,
      lifetimeMillis,
      maxSenders,
      senderMillis,
      drainMillis,
      delayMillis,
      placeMillis,
      startMillis,
      openingMillis: 60_000,
      // The time of a turn ends it before, unless time stands still.
      turnRequests: turns.turnRequests ?? 4_096,
      turnMillis: 5,
      turnShare: turns.turnShare ?? 32,
      // A connection that closes without a stop needs its time also where a stop has none.
      closeMillis: Math.max(drainMillis, 1_000),
      lingerMillis: 1_000
    }
  })

/** What somebody should know who has set the time of a frame: it is never shorter than the largest takes. */
export const raised = (
  { frameTimeout }: ServerOptions,
  { frameMillis }: Limits,
  largest: number | undefined
): string | undefined => {
  if (frameTimeout === undefined || largest === undefined) return undefined
  const given = Result.getOrElse(ofOption("frameTimeout", frameTimeout, { forever: true }), () => Infinity)
  if (given >= frameMillis) return undefined
  const [set, holds] = [given, frameMillis].map((millis) => format(Duration.millis(millis)))
  return `frameTimeout ${set} is below what a frame of ${sizes.format(largest)} needs at 16KiB a second: ${holds} holds`
}

/** The limits of one of several copies: what is meant for all of them is shared, rounded up, and a peer has its own in each. */
export const among = (limits: Limits, options: ServerOptions, copies: number): Limits => {
  if (copies === 1) return limits
  const share = (total: number) => Math.ceil(total / copies)
  const maxConnections = share(limits.maxConnections)
  return {
    ...limits,
    maxConnections,
    maxConnectionsPerPeer:
      options.maxConnectionsPerPeer === undefined ? Math.ceil(maxConnections / 2) : limits.maxConnectionsPerPeer,
    maxMemory: share(limits.maxMemory),
    maxSenders: share(limits.maxSenders),
    maxOpening: share(limits.maxOpening)
  }
}

/** A limit that may be off. */
const orOff = (option: string, value: number | "off"): Result.Result<number, InvalidOption> =>
  value === "off"
    ? Result.succeed(Infinity)
    : Number.isSafeInteger(value) && value >= 1
      ? Result.succeed(value)
      : Result.fail(new InvalidOption({ option, problem: `it must be a positive integer or "off", not ${value}` }))

/** What a server holds for its peers at most, where nobody says how much memory there is. */
const defaultMemory = 268_435_456

/** What a peer that sends a frame of the largest size may take a second for, at least. */
const slowestBytes = 16_384

/** The limits of a server that somebody else watches the peers of. */
export const unwatched = (limits: Limits): Limits => ({
  ...limits,
  maxRequestsPerPeer: Infinity,
  maxAmplification: Infinity,
  maxRepliesPerNetwork: Infinity,
  firstByteMillis: Infinity,
  writeMillis: Infinity,
  idleMillis: Infinity,
  requestMillis: Infinity,
  loginMillis: Infinity,
  lifetimeMillis: Infinity
})
