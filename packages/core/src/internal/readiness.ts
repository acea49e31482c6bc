import * as Effect from "effect/Effect"
import type { ServerContext } from "./context.ts"
import type { Gate } from "./gate.ts"
import type { Intake } from "./intake.ts"
import type { Stop } from "./stop.ts"

/**
 * Whether new peers should be sent to a server. Whoever runs it says that a stop
 * is near: it is not ready from then on, and goes on accepting for a while, for
 * balancers that hear of it late.
 */
export class Readiness<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly gate: Gate<In, Out>
  private readonly intake: Intake<In, Out>
  private readonly stop: Stop<In, Out>
  private leaving = false

  constructor(context: ServerContext<In, Out>, gate: Gate<In, Out>, intake: Intake<In, Out>, stop: Stop<In, Out>) {
    this.context = context
    this.gate = gate
    this.intake = intake
    this.stop = stop
  }

  get isReady(): boolean {
    return this.intake.consumers.isTaken && !this.gate.isSuspended && !this.isLeaving
  }

  /** Whether a stop is near, or has begun. */
  get isLeaving(): boolean {
    return this.leaving || this.stop.hasBegun
  }

  /** Waits until the stop may begin; it may begin before, for other reasons. */
  readonly leave: Effect.Effect<void> = Effect.suspend(() => {
    // Who has never been on a list need not be taken off it.
    const wasReady = this.isReady
    this.leaving = true
    const { delayMillis } = this.context.limits
    if (!wasReady || delayMillis === 0) return Effect.void
    return Effect.raceFirst(this.delay(delayMillis), this.stop.began)
  })

  private delay(millis: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const cancel = this.context.after(millis, () => resume(Effect.void))
      return Effect.sync(cancel)
    })
  }
}
