/**
 * A rate that several programs count together: Effect's `RateLimiter`, in Redis or
 * wherever its store is, behind `Middleware.rateLimit` and `RateLimit.verify`.
 *
 * Copies of a program, workers, and machines have a bucket each without it. What it
 * costs is a question to the store for each request or connection.
 *
 * It leans on `effect/persistence`, which is marked unstable: its peer range is narrow.
 *
 * @since 0.1.0
 */
import type * as Handler from "@socketserver/core/Handler"
import * as Middleware from "@socketserver/core/Middleware"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Core from "@socketserver/core/RateLimit"
import * as Settings from "@socketserver/core/Settings"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import { Outage } from "./internal/outage.ts"
import { type Answer, TokenLines } from "./internal/tokenLines.ts"

/**
 * A rate, and how it is counted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  /** How many there may be in `per`. */
  readonly limit: number
  /** Default: one second. */
  readonly per?: Settings.Time | undefined
  /** `"fixed-window"`: `limit` in each window, which may be twice as many around the end of one. `"token-bucket"`: `limit` at once, and after that as often as the rate allows. Default: `"token-bucket"`. */
  readonly algorithm?: "fixed-window" | "token-bucket" | undefined
  /** How long one that comes too early is delayed at most. One that would have to wait longer, behind those of its key that wait in the same program, is refused at once. Default: none is delayed. */
  readonly maxDelay?: Settings.Time | undefined
  /** What keys begin with, so that servers with one store have their own. Default: `"socketserver:"`. */
  readonly prefix?: string | undefined
  /** What becomes of those who come while the store cannot be asked, which is logged once as it begins, and once it has been over for ten seconds: they are let in, or refused. Default: `"allow"`. */
  readonly whenUnavailable?: "allow" | "refuse" | undefined
}

/**
 * Buckets that a `RateLimiter` keeps, for `by` of `Middleware.rateLimit` and
 * `RateLimit.verify`. Throws `InvalidOption` for times that are none.
 *
 * **Example** (Ten connections a minute for each peer, over all copies)
 *
 * ```ts
 * import { MemoryServer, Protocol, RateLimit as Core, Server } from "@socketserver/core"
 * import { RateLimit } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const rate = { limit: 10, per: "1 minute" } as const
 *
 * const EchoTransport = Layer.unwrap(
 *   Effect.map(RateLimiter.RateLimiter, (limiter) =>
 *     MemoryServer.layer(Echo, { verify: Core.verify({ ...rate, by: RateLimit.make(limiter, rate) }) })
 *   )
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (limiter: RateLimiter.RateLimiter, rate: Rate): Core.RateLimit => {
  const { algorithm = "token-bucket", limit, per = "1 second", prefix = "socketserver:", whenUnavailable } = rate
  const window = Result.getOrThrow(Settings.millis("per", per))
  const maxDelay = rate.maxDelay === undefined ? 0 : Result.getOrThrow(Settings.millis("maxDelay", rate.maxDelay))
  const outage = new Outage("The store of a rate limit")
  const ask = (key: string): Effect.Effect<Answer> =>
    limiter.consume({ algorithm, limit, window, key: prefix + key, onExceeded: "fail" }).pipe(
      Effect.matchEffect({
        onSuccess: ({ remaining }) => Effect.as(outage.worked, { _tag: "Taken", left: remaining } as Answer),
        onFailure: ({ reason }) => {
          if (reason._tag !== "RateLimitExceeded") return unavailable(reason)
          const millis = Math.max(1, Math.ceil(Duration.toMillis(reason.retryAfter)))
          return Effect.as(outage.worked, { _tag: "Early", millis } as Answer)
        }
      })
    )
  const unavailable = (reason: unknown): Effect.Effect<Answer> => {
    const [so, instead] = whenUnavailable === "refuse" ? ["refused", -window] : ["let in", 0]
    return Effect.as(outage.failed(`who comes meanwhile is ${so}`, reason), { _tag: "Unavailable", instead } as Answer)
  }
  // A window opens for all whom it has room for; a bucket has one token after the other.
  const atOnce = algorithm === "fixed-window" ? Math.max(1, Math.floor(limit)) : 1
  // Below one a `RateLimiter` never has a token, however long one waits.
  const longest = limit >= 1 ? maxDelay : 0
  const lines = new TokenLines(ask, { atOnce, millis: (atOnce * window) / limit }, longest)
  return {
    take: (key) => lines.take(key),
    refused: Outcome.refused(`more than ${limit} in ${window} ms`, "RateLimit")
  }
}

/**
 * The options of {@link middleware}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<In, Out> extends Rate, Pick<Middleware.RateLimitOptions<In, Out>, "key" | "onLimited"> {}

/**
 * `Middleware.rateLimit`, whose buckets a `RateLimiter` keeps.
 *
 * **Example** (A hundred requests a second for each peer, over all copies)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { RateLimit } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoLive = Layer.unwrap(
 *   Effect.map(RateLimiter.RateLimiter, (limiter) => {
 *     const limited = RateLimit.middleware<string, string>(limiter, {
 *       limit: 100,
 *       onLimited: () => Response.make("ERR slow down")
 *     })
 *     return Echo.serve(limited((request) => Effect.succeed(Response.make(request.body))))
 *   })
 * )
 *
 * // In memory; RateLimiter.layerStoreRedis() counts in Redis.
 * const Limits = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const middleware = <In, Out>(limiter: RateLimiter.RateLimiter, options: Options<In, Out>) => {
  // One for all handlers: those of each connection, too, stand in line with all others.
  const { key, limit, onLimited } = options
  const by = make(limiter, options)
  return <R>(self: Handler.Handler<In, Out, R>): Handler.Handler<In, Out, R> =>
    Middleware.rateLimit(self, { limit, key, onLimited, by })
}
