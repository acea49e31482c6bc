/**
 * How often something may happen for each key: {@link verify} bounds how often a
 * peer may connect, `Middleware.rateLimit` how many requests it may make.
 *
 * Each key has a bucket of tokens that fills again, one after the other: a peer
 * that was quiet may come in a burst, and after that as often as the rate allows.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Buckets } from "./internal/buckets.ts"
import * as durations from "./internal/duration.ts"
import { elapsed } from "./internal/elapsed.ts"
import { peerKeyOf } from "./internal/peerKey.ts"
import * as Outcome from "./Outcome.ts"
import type * as Peer from "./Peer.ts"
import { InvalidOption } from "./ServerError.ts"
import type * as Settings from "./Settings.ts"
import type * as Transport from "./Transport.ts"

/**
 * A rate.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  /** How many there may be in `per`. */
  readonly limit: number
  /** Default: one second. */
  readonly per?: Settings.Time | undefined
  /** How many may come at once, after a pause. Default: `limit`, and at least 1. */
  readonly burst?: number | undefined
  /** How long one that comes too early is delayed at most. One that would have to wait longer is refused. Default: none is delayed. */
  readonly maxDelay?: Settings.Time | undefined
  /** How many keys are known at a time. Beyond that the one that was used longest ago is forgotten, and may come in a burst again. Default: 65536, which take some 8 MiB. */
  readonly maxKeys?: number | undefined
}

/**
 * The buckets of a rate, for whatever else is to be bounded by it.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit {
  /**
   * Takes a token of a key. It is there after so many milliseconds, 0 where it is
   * at once; below 0 none is taken, and the next one is there after so many.
   */
  readonly take: (key: string) => Effect.Effect<number>
  /** Why one is refused that came too early. */
  readonly refused: Outcome.Refused
}

/**
 * Makes the buckets of a rate. Throws `InvalidOption` for a rate that is none.
 *
 * **Example** (Bounding how often something is done)
 *
 * ```ts
 * import { RateLimit } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const mails = RateLimit.make({ limit: 2, per: "1 hour" })
 *
 * const program = Effect.forEach(["ada", "ada", "ada", "grace"], mails.take)
 *
 * Effect.runSync(program).map((millis) => millis >= 0) // => [true, true, false, true]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (rate: Rate): RateLimit => {
  const { limit, maxKeys = 65_536 } = rate
  const perMillis = durations.orThrow("per", rate.per ?? "1 second")
  const maxDelay = durations.orThrow("maxDelay", rate.maxDelay ?? 0, { zero: true })
  const burst = rate.burst ?? Math.max(1, Math.floor(limit))
  const problem = (value: number, wants: string) => `it must be ${wants}, not ${value}`
  if (!(limit > 0 && Number.isFinite(limit))) throw invalid("limit", problem(limit, "a positive number"))
  if (!(Number.isSafeInteger(burst) && burst >= 1)) throw invalid("burst", problem(burst, "a positive integer"))
  if (!(Number.isSafeInteger(maxKeys) && maxKeys >= 1)) throw invalid("maxKeys", problem(maxKeys, "a positive integer"))
  const buckets = new Buckets(perMillis / limit, burst, maxDelay, maxKeys)
  return {
    take: (key) => Effect.clockWith((clock) => Effect.succeed(buckets.take(key, elapsed(clock)))),
    refused: Outcome.refused(`more than ${limit} in ${perMillis} ms`, "RateLimit")
  }
}

/**
 * The options of {@link verify}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions extends Rate {
  /** Who is bounded together. Default: each peer, as for `maxConnectionsPerPeer`: an IPv4 address, or a network of 64 bits of IPv6. */
  readonly key?: ((peer: Peer.Peer) => string) | undefined
  /** Who keeps count, where others have to as well. Default: buckets in this program's memory. */
  readonly by?: RateLimit | undefined
}

/**
 * Bounds how often a peer may connect, or send a datagram: for the option `verify`
 * of a transport. Who comes too often is refused before anything is read, counted as `RateLimit`,
 * and told so by `onTurnedAway`; with `maxDelay` it waits first.
 *
 * **Example** (Ten connections a minute for each peer)
 *
 * ```ts
 * import { MemoryServer, Protocol, RateLimit, Server } from "@socketserver/core"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoTransport = MemoryServer.layer(Echo, { verify: RateLimit.verify({ limit: 10, per: "1 minute" }) })
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const verify = (options: VerifyOptions): Transport.Verify => {
  const { refused, take } = options.by ?? make(options)
  const keyOf = options.key ?? peerKeyOf
  return (peer) =>
    Effect.flatMap(take(keyOf(peer)), (millis) =>
      millis > 0 ? Effect.as(Effect.sleep(millis), true) : Effect.succeed(millis === 0 ? true : refused)
    )
}

const invalid = (option: string, problem: string): InvalidOption => new InvalidOption({ option, problem })
