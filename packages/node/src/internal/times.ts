import { ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"

/** The milliseconds of an option that is a time, or what is wrong with it. */
export const time = (
  option: string,
  input: Duration.Input,
  allows?: Settings.MillisForms
): Result.Result<number, ServerError> =>
  Result.mapError(Settings.millis(option, input, allows), (reason) => new ServerError({ reason }))
