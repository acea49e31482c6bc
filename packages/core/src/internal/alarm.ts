import * as Effect from "effect/Effect"
import type { ServerContext } from "./context.ts"

/**
 * Tells that a limit is reached: a line when it is for the first time, and one
 * when nobody has come up against it for a while, with how long and how often that
 * was. What peers can bring about a thousand times a second is told twice.
 */
export class Alarm {
  private readonly context: Pick<ServerContext<never, never>, "after" | "now" | "run" | "service">
  private readonly limit: () => string
  private beganAt = 0
  private rungAt = 0
  private times = 0
  private cancel: () => void = () => {}

  constructor(context: Alarm["context"], limit: () => string) {
    this.context = context
    this.limit = limit
  }

  /** Somebody has come up against it. `what` says who, and what is done about it. */
  ring(what: () => string): void {
    const { context } = this
    this.rungAt = context.now()
    if (this.times++ > 0) return
    this.beganAt = this.rungAt
    context.run(Effect.logWarning(`${context.service}: ${this.limit()} is reached: ${what()}`))
    this.listen(quietMillis)
  }

  private listen(millis: number): void {
    this.cancel = this.context.after(millis, () => {
      const left = this.rungAt + quietMillis - this.context.now()
      if (left > 0) this.listen(left)
      else this.end()
    })
  }

  /** It is over, or the server is. */
  end(): void {
    const { beganAt, context, rungAt, times } = this
    if (times === 0) return
    this.cancel()
    this.times = 0
    const line = `${this.limit()} was reached for ${rungAt - beganAt} ms: ${times} refused`
    context.run(Effect.logInfo(`${context.service}: ${line}`))
  }
}

/** How long nobody comes up against it before that is over. */
const quietMillis = 10_000
