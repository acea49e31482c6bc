import * as Duration from "effect/Duration"
import type * as Connection from "../Connection.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Refusal from "../Refusal.ts"
import * as durations from "./duration.ts"
import type { Limits } from "./limits.ts"
import * as sizes from "./size.ts"

/** A limit that somebody has met: as its option is called, its value, and what was done. */
type Met = readonly [limit: string, value: number | string, did: string]

/**
 * The limits that refusals are for, by the reason of each. A limit that is new has
 * its row here; then {@link LimitLog} tells of it.
 */
const refusals: { readonly [K in Refusal.Kind]?: (limits: Limits) => Met } = {
  MaxConnections: (limits) => ["maxConnections", connections(limits), "refused"],
  MadeRoom: (limits) => ["maxConnections", connections(limits), "made room"],
  MaxConnectionsPerPeer: ({ maxConnectionsPerPeer }) => ["maxConnectionsPerPeer", maxConnectionsPerPeer, "refused"],
  MaxMemory: ({ maxMemory }) => ["maxMemory", sizes.format(maxMemory), "refused"],
  PlaceTimeout: ({ placeMillis }) => ["placeTimeout", time(placeMillis), "refused"],
  LoginTimeout: ({ loginMillis }) => ["loginTimeout", time(loginMillis), "refused"]
}

/** The limit that an outcome tells of, if it is one to warn of: being idle is not, and a handler may have a time of its own. */
export const limitMet = (outcome: Outcome.Outcome, { kind }: Connection.Info, limits: Limits): Met | undefined => {
  const ended = kind === "datagram" ? "dropped" : "closed"
  switch (outcome._tag) {
    case "Refused":
      return refusals[outcome.kind]?.(limits)
    case "FrameTooLarge":
      return ["maxFrameBytes", outcome.limitBytes, ended]
    case "Cancelled":
      return outcome.reason === "NotReading" ? ["placeTimeout", time(limits.placeMillis), "reset"] : undefined
    case "TimedOut": {
      const { deadline, millis } = outcome
      if (deadline === "idle" || (deadline === "request" && millis !== limits.requestMillis)) return undefined
      return [`${deadline}Timeout`, time(millis), deadline === "write" ? "reset" : ended]
    }
    default:
      return undefined
  }
}

/** Who did not choose it is told why it is so. */
const connections = ({ connectionsBy, maxConnections }: Limits): number | string =>
  connectionsBy === undefined ? maxConnections : `${maxConnections}, as ${connectionsBy}`

const time = (millis: number): string => durations.format(Duration.millis(millis))
