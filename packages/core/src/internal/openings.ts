import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"

/** Peers that are not ready yet: what comes before a connection is bounded, and ends with the server. */
export class Openings {
  private readonly context: Pick<ServerContext<never, never>, "limits" | "run">
  private readonly onChange: () => void
  /** How each is broken off. */
  private readonly all = new Set<() => void>()

  constructor(context: Pick<ServerContext<never, never>, "limits" | "run">, onChange: () => void) {
    this.context = context
    this.onChange = onChange
  }

  get size(): number {
    return this.all.size
  }

  /**
   * Begins one. `until` makes of what has to happen before, which takes a minute at
   * most, what is done after. It calls `leave`, which says whether the peer was
   * still there: it is not when the server stops, and `stopped` was called.
   */
  begin<A>(
    ready: Effect.Effect<A, Outcome.Refused>,
    stopped: () => void,
    until: (ready: Effect.Effect<A, Outcome.Refused>, leave: () => boolean) => Effect.Effect<void>
  ): void {
    const { openingMillis } = this.context.limits
    const bounded = Effect.timeoutOrElse(ready, {
      duration: openingMillis,
      orElse: () => Effect.fail(Outcome.refused(`it was not ready within ${openingMillis} ms`))
    })
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      fiber?.interruptUnsafe()
      stopped()
    }
    this.all.add(end)
    this.onChange()
    fiber = this.context.run(until(bounded, () => this.leave(end)))
  }

  private leave(end: () => void): boolean {
    const was = this.all.delete(end)
    this.onChange()
    return was
  }

  /** The server stops: nothing of theirs has been received yet. */
  breakOff(): void {
    const all = [...this.all]
    this.all.clear()
    for (const end of all) end()
  }
}
