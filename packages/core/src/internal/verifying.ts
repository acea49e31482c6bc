import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type { Census } from "./census.ts"
import { peerKeyOf } from "./peerKey.ts"
import type { ServerLog } from "./serverLog.ts"

/** Whether a peer may come in; `Exit.void` where that can be said at once. `itself` is 1 where it is counted already. */
export type Verifying = (
  peer: Peer.Peer,
  listener: Endpoint.Endpoint,
  itself: 0 | 1
) => Effect.Effect<void, Outcome.Refused>

/** Asks a server's `verify`. What it throws refuses this peer and nothing more. */
export const verifying = (verify: Transport.Verify | undefined, census: Census, log: ServerLog): Verifying => {
  if (verify === undefined) return () => Exit.void
  return (peer, listener, itself) => {
    const threw = (cause: Cause.Cause<unknown>) => {
      const facts = { listener: String(listener), peer: peer.name, outcome: "Refused" }
      log.say("Error", "verify that failed", `verify failed for ${peer.name}, which is refused`, facts, cause)
      return Exit.fail(Outcome.refused("verify failed", "Verify"))
    }
    let allowed: ReturnType<Transport.Verify>
    // oxlint-disable-next-line socketserver/no-try -- verify is user code; what it throws refuses this peer and nothing more
    try {
      const { connections, opening } = census.of(peerKeyOf(peer))
      allowed = verify(peer, listener, { connections, opening: opening - itself })
    } catch (error) {
      return threw(Cause.die(error))
    }
    const verdict = (allowed: boolean | Outcome.Refused): Exit.Exit<void, Outcome.Refused> => {
      if (allowed === true) return Exit.void
      if (allowed === false) return turnedAway
      return isRefused(allowed) ? Exit.fail(allowed) : threw(Cause.die(new TypeError(saysOf(allowed))))
    }
    if (!Effect.isEffect(allowed)) return verdict(allowed)
    return Effect.matchCauseEffect(allowed, {
      // Also where it was interrupted from within; at a stop nobody is asked any more.
      onFailure: threw,
      onSuccess: verdict
    })
  }
}

const isRefused = (allowed: unknown): allowed is Outcome.Refused =>
  typeof allowed === "object" && allowed !== null && (allowed as Outcome.Refused)._tag === "Refused"

/** Its type says it; not every program is compiled with types. */
const saysOf = (allowed: unknown): string =>
  `verify has to say true, false or Outcome.refused(…), or an Effect of one, and says ${
    allowed instanceof Promise ? "a promise: make it an Effect" : allowed === null ? "null" : typeof allowed
  }`

const turnedAway = Exit.fail(Outcome.refused("verify", "Verify"))
