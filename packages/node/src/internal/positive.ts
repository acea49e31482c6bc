import * as Result from "effect/Result"

/** Reads the text of a variable, or says what is wrong with it, as it follows the variable's name. */
export type Read<A> = (text: string) => Result.Result<A, string>

/** A positive integer that is not more than there can be of something. */
export const positive =
  (most: number): Read<number> =>
  (text) => {
    if (!/^[1-9]\d*$/.test(text)) return Result.fail(`${JSON.stringify(text)} is not a positive integer`)
    return Number(text) <= most
      ? Result.succeed(Number(text))
      : Result.fail(`${JSON.stringify(text)} is too large; write ${most} or less`)
  }
