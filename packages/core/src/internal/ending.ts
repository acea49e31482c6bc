import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PolicyError, ServerError } from "../ServerError.ts"

/** How a program ends whose server dies after its layers were built. */

/** What is told when the listener of a served layer dies. */
export const OnListenerDied = Context.Reference<
  ((error: ServerError | PolicyError) => Effect.Effect<void>) | undefined
>("@socketserver/core/Server/OnListenerDied", { defaultValue: () => undefined })

/** What ends a program, or whoever waits for the layer that is built by who asks, where that dies later. */
export const ending: Effect.Effect<(error: ServerError | PolicyError) => Effect.Effect<void>> = Effect.withFiber(
  (builder) => {
    const waiting = lineOf(builder)
    return Effect.map(OnListenerDied, (told) => (error) => told?.(error) ?? endWaiting(waiting, error))
  }
)

/** Interrupts whoever waits for what was built. An error that nobody waits for is an unhandled one. */
const endWaiting = (
  waiting: ReadonlyArray<Fiber.Fiber<unknown, unknown>>,
  error: ServerError | PolicyError
): Effect.Effect<void> =>
  Effect.andThen(
    Effect.logFatal(error.message),
    Effect.sync(() => {
      const alive = waiting.find((fiber) => fiber.pollUnsafe() === undefined)
      if (alive === undefined) void Promise.reject(error)
      else alive.interruptUnsafe()
    })
  )

/**
 * A fiber and those that it was forked from, which may wait for what it builds.
 * Effect knows the parent of a fiber, and does not show it (`_parent` in
 * `internal/effect.ts` of effect 4.1). It knows none of those that build the
 * layers which `Layer.mergeAll` merges.
 */
const lineOf = (fiber: Fiber.Fiber<unknown, unknown>): ReadonlyArray<Fiber.Fiber<unknown, unknown>> => {
  const line = [fiber]
  for (let next = parentOf(fiber); next !== undefined; next = parentOf(next)) line.push(next)
  return line
}

const parentOf = (fiber: object): Fiber.Fiber<unknown, unknown> | undefined =>
  (fiber as { readonly _parent?: Fiber.Fiber<unknown, unknown> | undefined })._parent
