import * as Effect from "effect/Effect"

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
