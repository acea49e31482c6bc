import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Middleware from "../Middleware.ts"
import type { Policy } from "../Policy.ts"
import type * as Settings from "../Settings.ts"
import * as durations from "./duration.ts"
import { refused } from "./policies.ts"

/** What can be added to any policy, in code and by its text. */

export const finishing = (self: Policy): Policy =>
  self.onPeerGone === "finish" ? self : { ...self, name: `${self.name},onPeerGone=finish`, onPeerGone: "finish" }

export const timeout = (self: Policy, duration: Settings.Time): Policy => {
  const time = durations.ofOption("timeout", duration)
  if (Result.isFailure(time)) {
    const name = `${self.name},timeout=${String(duration)}`
    const problem = `timeout must be a positive time that ends, not ${JSON.stringify(duration)}; leave it out for none`
    return { ...self, name, place: () => refused(name, problem) }
  }
  return {
    ...self,
    name: `${self.name},timeout=${durations.format(Duration.millis(time.success))}`,
    place: (served, server) =>
      Effect.map(self.place(served, server), (placed) => ({
        ...placed,
        handler: Middleware.timeout(placed.handler, time.success)
      }))
  }
}
