import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

const releaseKey = Symbol.for("@socketserver/core/Connection/onRelease")

/** A connection that runs effects once it has ended and its last handler with it. */
export interface Releasable {
  readonly [releaseKey]: (finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>) => void
}

export const onRelease = Object.assign(
  (connection: object, finalizer: (exit: Exit.Exit<void>) => Effect.Effect<void>): void =>
    (connection as Releasable)[releaseKey](finalizer),
  { key: releaseKey as typeof releaseKey }
)
