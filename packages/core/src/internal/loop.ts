import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { elapsed } from "./elapsed.ts"
import type { TurnLimits } from "./limits.ts"
import { Random } from "./random.ts"

/**
 * What is asked instead of the platform: to be called later, and chance. A
 * simulation has one of its own; elsewhere it is the event loop, and the clock of
 * whoever asks.
 */
export interface Loop {
  /** Milliseconds. */
  readonly now: () => number
  /** Calls `f` when what runs now has ended. */
  readonly soon: (f: () => void) => void
  /** Calls `f` in so many milliseconds, unless the returned function is called before. */
  readonly after: (millis: number, f: () => void) => () => void
  /** Chance for whom this label names, which no other disturbs. */
  readonly random: (label: string) => Random
  /** Takes a line of what happens, where somebody wants them. */
  readonly log: ((line: string) => void) | undefined
  /** Something rare has happened that somebody may want to have happened. */
  readonly sometimes?: ((what: string) => void) | undefined
  /** A wire is about to hand over what has come. */
  readonly reads?: ((label: string) => void) | undefined
  /** How many requests begin in a turn of it, if fewer than elsewhere. */
  readonly shares?: Partial<TurnLimits> | undefined
}

/** The loop of a simulation; `undefined` elsewhere. */
export const SimulatedLoop = Context.Reference<Loop | undefined>("@socketserver/core/internal/SimulatedLoop", {
  defaultValue: () => undefined
})

/** The loop of whoever asks. */
export const loop: Effect.Effect<Loop> = Effect.contextWith((context: Context.Context<never>) =>
  Effect.sync(() => Context.get(context, SimulatedLoop) ?? platform(context))
)

const platform = (context: Context.Context<never>): Loop => {
  const clock = Context.get(context, Clock.Clock)
  const run = Effect.runForkWith(context)
  return {
    now: () => elapsed(clock),
    soon: (f) => queueMicrotask(f),
    after: (millis, f) => {
      const fiber = run(Effect.andThen(Effect.sleep(millis), Effect.sync(f)))
      return () => fiber.interruptUnsafe()
    },
    random: (label) => new Random(1, label),
    log: undefined
  }
}

/**
 * The clock that bounds a stop beside its own, in real time: virtual time may stand
 * still for ever once a test is over. A simulation's does not.
 */
export const StopClock = Context.Reference<Clock.Clock>("@socketserver/core/internal/StopClock", {
  defaultValue: () => Context.get(Context.empty(), Clock.Clock)
})
