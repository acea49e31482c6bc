/**
 * For authors of transports and policies: how values are written in configuration.
 *
 * A variable, an option of a URL and an option of a policy take the same forms,
 * and say the same about what they do not take.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Result from "effect/Result"
import * as durations from "./internal/duration.ts"
import * as near from "./internal/nearest.ts"
import * as sizes from "./internal/size.ts"
import type { InvalidOption } from "./ServerError.ts"

/**
 * What a setting takes beside a positive time.
 *
 * @category models
 * @since 0.1.0
 */
export interface DurationForms extends durations.Accepts {}

/**
 * Reads a time: `30s`, `500ms`, `5m`, `2h`, `1d`, or in words, `"5 seconds"`.
 * Fails with what follows the name of the setting in a message.
 *
 * **Example** (Reading a time)
 *
 * ```ts
 * import * as Settings from "@socketserver/core/Settings"
 * import { Duration, Result } from "effect"
 *
 * Result.map(Settings.duration("1.5s"), Duration.toMillis) // => Result.succeed(1500)
 *
 * const wrong = Settings.duration("30")
 * Result.isFailure(wrong) && wrong.failure // => 'must be a positive time, not "30"; write "30s"'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const duration = (text: string, forms?: DurationForms): Result.Result<Duration.Duration, string> =>
  durations.read(text, forms)

/**
 * A time in the shortest form that {@link duration} reads.
 *
 * **Example** (Printing a time)
 *
 * ```ts
 * import * as Settings from "@socketserver/core/Settings"
 * import { Duration } from "effect"
 *
 * Settings.formatDuration(Duration.minutes(90)) // => "90m"
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const formatDuration = (duration: Duration.Duration): string => durations.format(duration)

/**
 * What an option that is a time takes: a duration of effect, the short forms of
 * configuration, and `"off"` where it may be off.
 *
 * @category models
 * @since 0.1.0
 */
export type Time = durations.Input

/**
 * The milliseconds of an option that is a time, or what is wrong with it: it is
 * positive and ends, unless `allows` says otherwise.
 *
 * @category parsing
 * @since 0.1.0
 */
export const millis = (option: string, input: Time, allows?: MillisForms): Result.Result<number, InvalidOption> =>
  durations.ofOption(option, input, allows)

/**
 * What else {@link millis} takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface MillisForms extends durations.Allows {}

/**
 * What a setting takes beside a positive size.
 *
 * @category models
 * @since 0.1.0
 */
export interface SizeForms extends sizes.Accepts {}

/**
 * Reads a size in bytes: `65536`, `64KiB`, `1MiB`, `2GiB`. Fails with what
 * follows the name of the setting in a message.
 *
 * **Example** (Reading a size)
 *
 * ```ts
 * import * as Settings from "@socketserver/core/Settings"
 * import { Result } from "effect"
 *
 * Settings.size("64KiB") // => Result.succeed(65536)
 *
 * const wrong = Settings.size("64k")
 * Result.isFailure(wrong) && wrong.failure // => 'must be a size, not "64k"; write "64KiB"'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const size = (text: string, forms?: SizeForms): Result.Result<number, string> => sizes.read(text, forms)

/**
 * A size in the shortest form that {@link size} reads.
 *
 * @category accessors
 * @since 0.1.0
 */
export const formatSize = (bytes: number): string => sizes.format(bytes)

/**
 * The bytes of an option that is a size, as a number or as {@link size} reads it,
 * or what is wrong with it.
 *
 * @category parsing
 * @since 0.1.0
 */
export const bytes = (
  option: string,
  input: number | string,
  forms?: SizeForms
): Result.Result<number, InvalidOption> => sizes.ofOption(option, input, forms)

/**
 * The one of several names that somebody may have meant who wrote another: at most
 * two letters are different, and whether they are capitals does not count.
 *
 * **Example** (Asking what was meant)
 *
 * ```ts
 * import * as Settings from "@socketserver/core/Settings"
 *
 * Settings.nearest("MAX_CONECTIONS", ["MAX_CONNECTIONS", "MAX_MEMORY"]) // => "MAX_CONNECTIONS"
 * Settings.nearest("PATH", ["MAX_CONNECTIONS", "MAX_MEMORY"]) // => undefined
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const nearest = (text: string, names: ReadonlyArray<string>): string | undefined => near.nearest(text, names)
