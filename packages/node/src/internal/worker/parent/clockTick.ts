/** The tick of a program's clock, for what its workers are waited for. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { platformTick } from "../channel/platformTick.ts"
import type { Tick } from "../channel/tick.ts"

/** A clock that is not the platform's, as a test's, says when time passes; turns are the event loop's all the same. */
export const tickOf = (context: Context.Context<never>): Tick => {
  const clock = Context.get(context, Clock.Clock)
  if (clock === Context.get(Context.empty(), Clock.Clock)) return platformTick
  const run = Effect.runForkWith(context)
  return {
    ...platformTick,
    now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000,
    after: (millis, f) => {
      const fiber = run(Effect.andThen(Effect.sleep(millis), Effect.sync(f)))
      return () => fiber.interruptUnsafe()
    }
  }
}
