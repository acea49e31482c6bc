/** The main of a worker: what `NodeServer.launch` does where its program is one. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { onStop } from "./become.ts"

/** Runs a program as a worker: until its parent ends it. Signals are its parent's to answer. */
export const run = <A, E>(program: Effect.Effect<A, E>): void => {
  const fiber = Effect.runFork(program)
  onStop(() => fiber.interruptUnsafe())
  fiber.addObserver((exit) => process.exit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1))
}
