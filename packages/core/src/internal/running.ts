import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Outcome from "../Outcome.ts"
import type * as Server from "../Server.ts"
import type { Engine } from "./engine.ts"

/** What is told of each server that listens, by whoever runs the program. */
export const OnListening = Context.Reference<
  ((server: Server.Running) => Effect.Effect<unknown, never, Scope.Scope>) | undefined
>("@socketserver/core/Server/OnListening", { defaultValue: () => undefined })

/** A server as whoever runs its program sees it. */
export const runningOf = <In, Out>(engine: Engine<In, Out>): Server.Running => {
  const { context, gate, intake, readiness, stop } = engine
  return {
    name: context.service,
    shutdown: stop.shutdown,
    log: (line) => context.run(Effect.logInfo(line)),
    get drainMillis() {
      return context.limits.drainMillis
    },
    get delayMillis() {
      return context.limits.delayMillis
    },
    // Whose requests nobody serves is never waited for.
    ready: Effect.suspend(() => (engine.isClaimed ? Effect.asVoid(intake.taken) : Effect.void)),
    leave: readiness.leave,
    totals: (): Outcome.Totals => ({
      // One that had to make room counts as refused.
      connections: gate.admitted - context.displaced,
      counts: { ...context.ledger.counts }
    })
  }
}
