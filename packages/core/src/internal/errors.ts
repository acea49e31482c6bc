import * as Result from "effect/Result"

/** What an unknown error says. Anything may be thrown, also what has no text. */
export const messageOf = (error: unknown): string =>
  error instanceof Error
    ? error.message
    : Result.getOrElse(
        Result.try(() => String(error)),
        () => Object.prototype.toString.call(error)
      )
