import * as Effect from "effect/Effect"

/** Those who wait until something can be said of a stop; each looks itself, whenever it may have changed. */
export class Waiters {
  private readonly checks = new Set<() => void>()

  /** How many wait. */
  get size(): number {
    return this.checks.size
  }

  /** Waits until `look` returns something. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback((resume) => {
      const check = () => {
        const found = look()
        if (found === undefined) return
        this.checks.delete(check)
        resume(Effect.succeed(found))
      }
      this.checks.add(check)
      check()
      return Effect.sync(() => this.checks.delete(check))
    })
  }

  look(): void {
    for (const check of this.checks) check()
  }

  /** They look for the last time. */
  end(): void {
    this.look()
    this.checks.clear()
  }
}
