import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { InvalidOption } from "../ServerError.ts"
import type { ServerOptions } from "../Transport.ts"

/** The options of a transport, resolved to their defaults. */
export interface Limits {
  readonly maxConnections: number
  readonly maxPipelined: number
  readonly idleMillis: number
  readonly drainMillis: number
  /** How long a connection may take to be let in: a header, a verification, a handshake. */
  readonly openingMillis: number
  /** How long a connection that is one request may wait for its handler to begin. */
  readonly placeMillis: number
  /** How long a peer of a closing connection may read nothing of what waits for it. */
  readonly closeMillis: number
  /** How long a peer may take to close its end, once everything has left. */
  readonly lingerMillis: number
}

/** The options of a server with their defaults, or what is wrong with one of them. */
export const resolve = (options: ServerOptions): Result.Result<Limits, InvalidOption> => {
  const {
    drainTimeout = "10 seconds",
    idleTimeout = Duration.infinity,
    maxConnections = 4_096,
    maxPipelined = 128,
    placeTimeout = "10 seconds"
  } = options
  const invalid = (option: string, problem: string) => Result.fail(new InvalidOption({ option, problem }))
  for (const [option, value] of Object.entries({ maxConnections, maxPipelined })) {
    if (!Number.isSafeInteger(value) || value < 1) return invalid(option, `it must be a positive integer, not ${value}`)
  }
  const drain = Option.getOrUndefined(Duration.fromInput(drainTimeout))
  const idle = Option.getOrUndefined(Duration.fromInput(idleTimeout))
  if (drain === undefined || Duration.isNegative(drain) || !Duration.isFinite(drain)) {
    return invalid("drainTimeout", `it must be a time that ends, not ${JSON.stringify(drainTimeout)}`)
  }
  if (idle === undefined || !Duration.isPositive(idle)) {
    return invalid("idleTimeout", `it must be a positive time, not ${JSON.stringify(idleTimeout)}`)
  }
  const place = Option.getOrUndefined(Duration.fromInput(placeTimeout))
  if (place === undefined || !Duration.isPositive(place) || !Duration.isFinite(place)) {
    return invalid("placeTimeout", `it must be a positive time that ends, not ${JSON.stringify(placeTimeout)}`)
  }
  const idleMillis = Duration.toMillis(idle)
  return Result.succeed({
    maxConnections,
    maxPipelined,
    idleMillis,
    drainMillis: Duration.toMillis(drain),
    openingMillis: 60_000,
    placeMillis: Duration.toMillis(place),
    // A connection that closes without a stop needs its time also where a stop has none.
    closeMillis: Math.max(Duration.toMillis(drain), 1_000),
    lingerMillis: 1_000
  })
}
