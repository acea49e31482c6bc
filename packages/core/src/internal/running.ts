import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Outcome from "../Outcome.ts"
import type * as Server from "../Server.ts"
import type * as Transport from "../Transport.ts"
import type { Engine } from "./engine.ts"
import { limitsText } from "./limitsText.ts"

/** What is told of each server that listens, by whoever runs the program. */
export const OnListening = Context.Reference<
  ((server: Server.Running) => Effect.Effect<unknown, never, Scope.Scope>) | undefined
>("@socketserver/core/Server/OnListening", { defaultValue: () => undefined })

/** Completes once a program is whole, where whoever runs it knows: until then what it lacks may still come. */
export const WhenBuilt = Context.Reference<Effect.Effect<unknown>>("@socketserver/core/Server/WhenBuilt", {
  defaultValue: () => Effect.void
})

/** Says so where a server listens that nobody serves: its peers would wait for ever. */
export const missesServe = <In, Out>(
  engine: Engine<In, Out>,
  listeners: ReadonlyArray<Transport.Listening>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* yield* WhenBuilt
    // Most are served at once, and no clock has to pass for them.
    for (let i = 0; i < patienceYields; i++) yield* Effect.yieldNow
    yield* Effect.sleep(patienceMillis)
    const { context, intake } = engine
    // Their workers may take longer to start.
    if (intake.consumers.isAwaited) return
    const where = listeners.map(({ address }) => address).join(" and ")
    const mend = `add ${context.service}.serve(…) to the program, or take its requests`
    const line = `nobody serves it, and it listens on ${where}: its peers wait for ever; ${mend}`
    context.log.say("Warn", "servers that nobody serves", line)
  }).pipe(Effect.raceFirst(Effect.raceFirst(engine.intake.consumers.taken, engine.stop.began)), Effect.asVoid)

const patienceYields = 8

const patienceMillis = 900

/** A server as whoever runs its program sees it. */
export const runningOf = <In, Out>(engine: Engine<In, Out>): Server.Running => {
  const { context, gate, intake, readiness, stop } = engine
  return {
    name: context.service,
    get addresses() {
      return gate.addresses
    },
    get policy() {
      return engine.policy
    },
    get limits() {
      return limitsText(context.limits)
    },
    shutdown: stop.shutdown,
    log: (line) => context.log.plain(line),
    get drainMillis() {
      return context.limits.drainMillis
    },
    get graceMillis() {
      return engine.graceMillis
    },
    get delayMillis() {
      return context.limits.delayMillis
    },
    // Whose requests nobody serves is never waited for.
    ready: Effect.suspend(() => (engine.isClaimed ? Effect.asVoid(intake.consumers.taken) : Effect.void)),
    leave: readiness.leave,
    totals: (): Outcome.Totals => ({
      // One that had to make room counts as refused.
      connections: gate.admitting.admitted - context.displaced,
      counts: { ...context.ledger.counts }
    })
  }
}
