import { InvalidOption } from "@socketserver/core/ServerError"
import * as Settings_ from "@socketserver/core/Settings"
import * as Result from "effect/Result"
import type { Limits } from "../../Smtp.ts"

/** The limits of a dialogue, with their defaults. */
export interface Settings {
  readonly maxMessage: number
  readonly maxRecipients: number
  readonly maxErrors: number
  readonly maxIdleCommands: number
  readonly maxLineBytes: number
  readonly maxTextLineBytes: number
  readonly greetingMillis: number
  readonly commandMillis: number
  readonly dataMillis: number
}

export const resolve = (limits: Limits): Result.Result<Settings, InvalidOption> =>
  Result.gen(function* () {
    return {
      maxMessage: yield* size("maxMessage", limits.maxMessage ?? 10_485_760),
      maxRecipients: yield* count("maxRecipients", limits.maxRecipients ?? 100),
      maxErrors: yield* count("maxErrors", limits.maxErrors ?? 20),
      maxIdleCommands: yield* count("maxIdleCommands", limits.maxIdleCommands ?? 100),
      maxLineBytes: yield* count("maxLineBytes", limits.maxLineBytes ?? 512, 64),
      maxTextLineBytes: yield* count("maxTextLineBytes", limits.maxTextLineBytes ?? 1_000, 80),
      greetingMillis: yield* Settings_.millis("greetingDelay", limits.greetingDelay ?? 100, { zero: true }),
      commandMillis: yield* Settings_.millis("commandTimeout", limits.commandTimeout ?? "5 minutes"),
      dataMillis: yield* Settings_.millis("dataTimeout", limits.dataTimeout ?? "10 minutes")
    }
  })

const count = (option: string, value: number, least = 1): Result.Result<number, InvalidOption> =>
  Number.isSafeInteger(value) && value >= least
    ? Result.succeed(value)
    : Result.fail(new InvalidOption({ option, problem: `it must be an integer of at least ${least}, not ${value}` }))

const size = (option: string, value: number | string): Result.Result<number, InvalidOption> =>
  typeof value === "number"
    ? count(option, value)
    : Result.mapError(Settings_.size(value), (problem) => new InvalidOption({ option, problem: `it ${problem}` }))
