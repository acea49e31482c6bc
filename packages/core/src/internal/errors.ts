import * as Result from "effect/Result"

/** What an unknown error says. Anything may be thrown, also what has no text. */
export const messageOf = (error: unknown): string =>
  error instanceof Error
    ? error.message
    : Result.getOrElse(
        Result.try(() => String(error)),
        () => Object.prototype.toString.call(error)
      )

/** What a value is, for whoever has given another than was expected: `a number`, `an Array`, `undefined`. */
export const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  const kind =
    typeof value === "object"
      ? ((value.constructor as { readonly name?: string } | undefined)?.name ?? "object")
      : typeof value
  return `${/^[aeio]/i.test(kind) ? "an" : "a"} ${kind}`
}
