import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { InvalidOption } from "../ServerError.ts"

/** Durations as configuration writes them, in one place: how they are read, how they are printed, and what is said of one that is none. */

const words = { ms: "millis", s: "seconds", m: "minutes", h: "hours", d: "days" } as const

/** What a setting takes beside a positive time. */
export interface Accepts {
  /** Whether no time at all is one: `0s`. */
  readonly zero?: boolean | undefined
  /** Whether `off` is for ever. */
  readonly off?: boolean | undefined
}

/** Reads `30s`, `500ms`, `5m`, `2h`, `1d`, or effect's words; fails with what follows the name of a setting: `must be …`. */
export const read = (text: string, accepts: Accepts = {}): Result.Result<Duration.Duration, string> => {
  if (accepts.off === true && text === "off") return Result.succeed(Duration.infinity)
  const short = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  const input = short === null ? text : `${short[1]} ${words[short[2] as keyof typeof words]}`
  const time = Option.filter(
    Duration.fromInput(input as Duration.Input),
    (time) => Duration.isFinite(time) && isTime(time, accepts.zero)
  )
  if (Option.isSome(time)) return Result.succeed(time.value)
  const kind = accepts.zero === true ? "a time" : "a positive time"
  return Result.fail(`must be ${kind}, not "${text}"; write "30s"${accepts.off === true ? ', or "off"' : ""}`)
}

/** What an option takes beside a positive time that ends. */
export interface Allows {
  /** Whether no time at all is one. */
  readonly zero?: boolean | undefined
  /** Whether it may be for ever, which is also written `"off"`. */
  readonly forever?: boolean | undefined
  /** The shortest and the longest that the platform takes, in milliseconds. */
  readonly least?: number | undefined
  readonly most?: number | undefined
}

/** A time as options take it: effect's forms, the short ones of configuration, and `"off"`. */
export type Input = Duration.Input | Short | "off"

type Short = `${number}${keyof typeof words}`

/** The milliseconds of an option of a program, or what is wrong with it. */
export const ofOption = (
  option: string,
  input: Input,
  { forever = false, least = 0, most = Infinity, zero = false }: Allows = {}
): Result.Result<number, InvalidOption> => {
  const time = Option.getOrUndefined(fromInput(input))
  if (time !== undefined && isTime(time, zero) && (forever || Duration.isFinite(time))) {
    const millis = Duration.toMillis(time)
    if (millis === Infinity || (millis >= least && millis <= most)) return Result.succeed(millis)
  }
  const bounds = [
    least > 0 ? `of at least ${format(Duration.millis(least))}` : "",
    most < Infinity ? `of at most ${format(Duration.millis(most))}` : ""
  ].filter((bound) => bound !== "")
  const ends = forever || bounds.length > 0 ? "" : " that ends"
  const kind = `a ${zero ? "" : "positive "}time${ends}${bounds.length > 0 ? ` ${bounds.join(" and ")}` : ""}`
  const mend = `write "30 seconds"${forever ? ', or "off"' : ""}`
  return Result.fail(new InvalidOption({ option, problem: `it must be ${kind}, not ${said(input)}; ${mend}` }))
}

/** The same where nothing can fail: what is wrong is thrown where it is written, when a program is put together. */
export const orThrow = (option: string, input: Input, allows?: Allows): number =>
  Result.getOrThrow(ofOption(option, input, allows))

const said = (input: Input): string => (typeof input === "string" ? JSON.stringify(input) : String(input))

const fromInput = (input: Input): Option.Option<Duration.Duration> => {
  if (input === "off") return Option.some(Duration.infinity)
  // Effect takes it for no time at all.
  if (Number.isNaN(input)) return Option.none()
  const short = typeof input === "string" ? read(input, { zero: true }) : undefined
  return short !== undefined && Result.isSuccess(short)
    ? Option.some(short.success)
    : Duration.fromInput(input as Duration.Input)
}

const isTime = (time: Duration.Duration, zero = false): boolean =>
  zero ? !Duration.isNegative(time) : Duration.isPositive(time)

/** The shortest text that {@link read} reads as this time. */
export const format = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  const unit = units.find(([, size]) => millis !== 0 && millis % size === 0)
  return unit === undefined ? `${millis}ms` : `${millis / unit[1]}${unit[0]}`
}

const units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000]
] as const
