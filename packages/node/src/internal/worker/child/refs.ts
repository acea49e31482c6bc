/** The connections that a worker knows of: each until it has ended, its last handler with it, and what is run then. */
import * as Effect from "effect/Effect"
import type { RemoteRef } from "./remoteRef.ts"

export class Refs {
  private readonly run: (effect: Effect.Effect<unknown>) => void
  private readonly open = new Map<number, RemoteRef<unknown>>()
  /** How many have ended, and still have something at work. */
  private leaving = 0
  private onLeft: (() => void) | undefined = undefined

  constructor(run: (effect: Effect.Effect<unknown>) => void) {
    this.run = run
  }

  add(ref: RemoteRef<unknown>): void {
    this.open.set(ref.id, ref)
  }

  /** The connection of an id, unless it has ended. */
  get(id: number): RemoteRef<unknown> | undefined {
    return this.open.get(id)
  }

  /** A connection has ended. Another one may have its id from now on. */
  end(id: number): void {
    const ref = this.open.get(id)
    if (ref === undefined) return
    this.open.delete(id)
    this.leaving++
    this.run(Effect.ensuring(ref.end(), this.left))
  }

  /** All of them end, and it calls back when nothing of them is at work any more; at once, if nothing is. */
  endAll(then: () => void): void {
    for (const id of this.open.keys()) this.end(id)
    if (this.leaving === 0) return then()
    this.onLeft = then
  }

  private readonly left: Effect.Effect<void> = Effect.sync(() => {
    this.leaving--
    if (this.leaving === 0) this.onLeft?.()
  })
}
