import { ServerError } from "@socketserver/core/ServerError"
import * as Settings from "@socketserver/core/Settings"
import * as Result from "effect/Result"

/** The milliseconds of an option that is a time, or what is wrong with it. */
export const time = (
  option: string,
  input: Settings.Time,
  allows?: Settings.MillisForms
): Result.Result<number, ServerError> =>
  Result.mapError(Settings.millis(option, input, allows), (reason) => new ServerError({ reason }))

/** How a listener's sockets probe silent peers: in whole seconds, and as many as a system takes (Linux: 32,767). */
export const keepAliveOf = (
  input: Settings.Time = "60 seconds"
): Result.Result<{ readonly keepAlive: boolean; readonly keepAliveInitialDelay?: number }, ServerError> =>
  Result.map(time("keepAlive", input, { forever: true, least: 1_000, most: 32_400_000 }), (millis) =>
    millis === Infinity ? { keepAlive: false } : { keepAlive: true, keepAliveInitialDelay: millis }
  )
