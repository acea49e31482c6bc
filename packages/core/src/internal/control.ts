import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Control from "../Control.ts"
import { type InvalidOption, ServerError } from "../ServerError.ts"
import type { LimitOptions, ServerOptions } from "../Transport.ts"
import type { Engine } from "./engine.ts"
import { type Limits, shown } from "./limits.ts"

/** How the options of a server become its limits. */
export type Resolve = (options: ServerOptions) => Result.Result<Limits, InvalidOption>

/** What can be done to a server while it runs. Its limits are one value, which is replaced as a whole. */
export const controlOf = <In, Out>(
  engine: Engine<In, Out>,
  initial: ServerOptions,
  resolve: Resolve
): Control.Control => {
  const { context, gate } = engine
  let options = initial
  const change = (changes: LimitOptions) =>
    Effect.suspend(() => {
      const given = Object.entries(changes).filter(([, value]) => value !== undefined)
      const changed: ServerOptions = { ...options, ...Object.fromEntries(given) }
      const resolved = resolve(changed)
      if (Result.isFailure(resolved)) return Effect.fail(new ServerError({ reason: resolved.failure }))
      options = changed
      engine.limit(resolved.success)
      return Effect.succeed(shown(resolved.success))
    })
  return {
    limits: Effect.sync(() => shown(context.limits)),
    change,
    suspend: Effect.sync(() => gate.suspend(true)),
    resume: Effect.sync(() => gate.suspend(false)),
    isSuspended: Effect.sync(() => gate.isSuspended),
    close: (id) =>
      Effect.suspend(() => {
        const connection = gate.connections.get(id)
        return connection === undefined ? Effect.succeed(false) : Effect.as(connection.close, true)
      })
  }
}
