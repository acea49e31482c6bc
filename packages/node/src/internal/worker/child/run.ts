/** The main of a worker: what `NodeServer.launch` does where its program is one. */
import * as Remote from "@socketserver/core/Remote"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { onStop } from "./become.ts"
import type { WorkerHost } from "./host.ts"

/** Runs a program as a worker: until its parent ends it. Signals are its parent's to answer. */
export const run = <A, E>(program: Effect.Effect<A, E>): void => {
  const fiber = Effect.runFork(
    Effect.andThen(
      tell((host) => host.awaits()),
      program
    )
  )
  onStop(() => fiber.interruptUnsafe())
  fiber.addObserver((exit) => process.exit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1))
}

/** All of its layers are built. */
export const ready = (): void => void Effect.runFork(tell((host) => host.built()))

/** What is wrong with it, for its parent to say. */
export const problem = (line: string): Effect.Effect<void> => tell((host) => host.ends(line))

const tell = (f: (host: WorkerHost) => void): Effect.Effect<void> =>
  Effect.map(Remote.host, (host) => host !== undefined && f(host as WorkerHost)).pipe(Effect.asVoid)
