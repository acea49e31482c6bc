import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"

/**
 * What a handler wants to do when a peer connects, before its first request.
 *
 * It hangs on the function itself, so that a handler stays a plain function. If
 * a user's own middleware drops it, the handler does the same at the first request.
 */
export type ConnectHook<Out> = (connection: Connection.Ref<Out>) => Effect.Effect<unknown, never, unknown>

const key = Symbol.for("@socketserver/core/Handler/connect")

export const connectHook = Object.assign(
  <Out>(handler: object): ConnectHook<Out> | undefined => (handler as { readonly [key]?: ConnectHook<Out> })[key],
  { key: key as typeof key }
)

/** Gives `to` the connect hook of `from`. */
export const carry = <To extends object>(from: object, to: To): To => {
  const hook = connectHook(from)
  return hook === undefined ? to : Object.assign(to, { [key]: hook })
}

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
