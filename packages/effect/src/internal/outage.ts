import * as Outcome from "@socketserver/core/Outcome"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** What is told of something that cannot be reached: once as it begins, and once as it has been over for a while, however often it was asked. */
export class Outage {
  private readonly what: string
  private times = 0
  private lastAt = 0

  constructor(what: string) {
    this.what = what
  }

  /** It could not be asked; `meanwhile` is what holds until it can. */
  failed(meanwhile: string, reason: unknown): Effect.Effect<void> {
    return Effect.flatMap(now, (at) => {
      this.lastAt = at
      if (this.times++ > 0) return Effect.void
      return Effect.logWarning(`${this.what} cannot be asked; ${meanwhile}: ${inOneLine(reason)}`)
    })
  }

  /** It has answered. */
  get worked(): Effect.Effect<void> {
    if (this.times === 0) return Effect.void
    return Effect.flatMap(now, (at) => {
      const { times } = this
      if (times === 0 || at - this.lastAt < quietMillis) return Effect.void
      this.times = 0
      return Effect.logInfo(
        `${this.what} can be asked again; ${times === 1 ? "once it" : `${times} times it`} could not`
      )
    })
  }
}

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)

/** What an error says, which may be of strangers' making. */
const inOneLine = (reason: unknown): string => {
  const { cause, message } = (reason ?? {}) as { readonly cause?: unknown; readonly message?: unknown }
  const said = [message, cause instanceof Error ? cause.message : undefined].filter((text) => typeof text === "string")
  return Outcome.printable(said.join(": ").slice(0, mostCharacters))
}

const mostCharacters = 200

// For how long it has to have worked until that is told.
const quietMillis = 10_000
