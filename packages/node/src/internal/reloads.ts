import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a program can read anew while it runs, when it is asked to. */
export interface Reloadable {
  /** Reads it, and says so in the log. */
  readonly reload: Effect.Effect<void>
}

/** Whoever made one may have let go of it. */
const all = new Set<WeakRef<Reloadable>>()

export const add = (reloadable: Reloadable): void => {
  for (const ref of all) if (ref.deref() === undefined) all.delete(ref)
  all.add(new WeakRef(reloadable))
}

/** The same until a scope closes. */
export const during = <R>(reload: Effect.Effect<void, never, R>): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<R>()
    const reloadable: Reloadable = { reload: Effect.provideContext(reload, services) }
    const ref = new WeakRef(reloadable)
    // Whoever removes it holds it until then.
    yield* Effect.acquireRelease(
      Effect.sync(() => all.add(ref)),
      () => Effect.sync(() => ref.deref() === reloadable && all.delete(ref))
    )
  })

/** Reads all of them anew; whether there was one. */
export const reload = (): boolean => {
  let some = false
  for (const ref of all) {
    const reloadable = ref.deref()
    if (reloadable === undefined) continue
    some = true
    Effect.runFork(reloadable.reload)
  }
  return some
}
