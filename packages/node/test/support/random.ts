/** Chance that can be had again. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { randomInt } from "node:crypto"

/** Numbers from 0 to 1, always the same ones for a seed (mulberry32). */
export const randomOf = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The same for one test: a seed of its own, or that of the variable `SEED`. If the test fails, it says which it was. */
export const seeded: Effect.Effect<() => number, never, Scope.Scope> = Effect.suspend(() => {
  const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31))
  return Effect.as(
    Effect.addFinalizer((exit) =>
      Effect.sync(() => Exit.isFailure(exit) && console.error(`run it again with SEED=${seed}`))
    ),
    randomOf(seed)
  )
})
