import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Resumptions } from "./resuming.ts"

/** What is run once a connection is over. */
export type Finalizer = (exit: Exit.Exit<void>) => Effect.Effect<void>

/** The handlers of a connection: how many are at work, what they have left to do, and what is run when it is over and they have ended. */
export class Handlers {
  /** What they have left to do. */
  resumptions: Resumptions | undefined = undefined
  private running = 0
  // Few connections have any.
  private finalizers: Array<Finalizer> | undefined = undefined

  onRelease(finalizer: Finalizer): void {
    ;(this.finalizers ??= []).push(finalizer)
  }

  started(): void {
    this.running++
  }

  ended(): void {
    this.running--
  }

  /** Those that do not end are not waited for. */
  abandon(): void {
    this.running = 0
  }

  /** What is run now, the last first; `undefined` while a handler is at work. */
  release(): ReadonlyArray<Finalizer> | undefined {
    if (this.running > 0) return undefined
    const { finalizers } = this
    this.finalizers = undefined
    return finalizers?.reverse() ?? none
  }
}

const none: ReadonlyArray<Finalizer> = []
