import * as Result from "effect/Result"
import { InvalidOption } from "../ServerError.ts"

/** Sizes in bytes as configuration writes them, in one place: how they are read, how they are printed, and what is said of one that is none. */

/** What a setting takes beside a positive size. */
export interface Accepts {
  /** Whether `off` is no bound. */
  readonly off?: boolean | undefined
}

/** Reads `65536`, `64KiB`, `1MiB`, `2GiB`; fails with what follows the name of a setting: `must be …`. */
export const read = (text: string, accepts: Accepts = {}): Result.Result<number, string> => {
  if (accepts.off === true && text === "off") return Result.succeed(Infinity)
  const found = /^(\d+(?:\.\d+)?)(KiB|MiB|GiB)?$/.exec(text)
  const bytes = found === null ? NaN : Number(found[1]) * units[(found[2] ?? "B") as keyof typeof units]
  if (isSize(bytes)) return Result.succeed(bytes)
  if (bytes > Number.MAX_SAFE_INTEGER) {
    return Result.fail(`must be a size of at most ${Number.MAX_SAFE_INTEGER} bytes, not "${text}"`)
  }
  return Result.fail(`must be a size, not "${text}"; write "64KiB"${accepts.off === true ? ', or "off"' : ""}`)
}

/** The bytes of an option of a program, or what is wrong with it. */
export const ofOption = (
  option: string,
  input: number | string,
  accepts: Accepts = {}
): Result.Result<number, InvalidOption> => {
  if (typeof input === "string") {
    return Result.mapError(read(input, accepts), (problem) => new InvalidOption({ option, problem: `it ${problem}` }))
  }
  if (isSize(input) || (accepts.off === true && input === Infinity)) return Result.succeed(input)
  const mend = `write 65536, "64KiB"${accepts.off === true ? ' or "off"' : ""}`
  return Result.fail(new InvalidOption({ option, problem: `it must be a size in bytes, not ${input}; ${mend}` }))
}

/** The shortest text that {@link read} reads as this size. */
export const format = (bytes: number): string => {
  if (bytes === Infinity) return "off"
  const unit = (["GiB", "MiB", "KiB"] as const).find((unit) => bytes % units[unit] === 0)
  return unit === undefined ? `${bytes}` : `${bytes / units[unit]}${unit}`
}

const units = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const

const isSize = (bytes: number): boolean => Number.isSafeInteger(bytes) && bytes >= 1
