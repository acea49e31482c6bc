/**
 * Every policy there is on Node, by its name: those of `Policy` and those of
 * `WorkerPolicy`.
 *
 * `NodeServer.layerConfig` reads `POLICY` in this form. This module is for
 * programs that parse policies themselves; one that names its policy in code
 * takes it from `Policy` or `WorkerPolicy`, and loads less.
 *
 * @since 0.1.0
 */
import * as Policy from "@socketserver/core/Policy"
import * as Settings from "@socketserver/core/Settings"
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as WorkerPolicy from "./WorkerPolicy.ts"

/**
 * The forms that {@link parse} accepts, as error messages show them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forms: ReadonlyArray<string> = [
  ...Policy.forms.slice(0, -1),
  "thread[:size]",
  "pool[:size]",
  "process[:max]",
  "and for thread and pool: ,each=N ,recycle=N",
  "and for process: ,spares=N",
  "and for thread, pool and process: ,queue=N ,memory=MIB ,deadline=DURATION ,idempotent=true ,bundle=true",
  ...Policy.forms.slice(-1)
]

/**
 * Parses `name[:size][,option=value]`, policies of workers included.
 *
 * **Example** (A process for each request)
 *
 * ```ts
 * import { NodePolicy } from "@socketserver/node"
 * import { Result } from "effect"
 *
 * Result.map(NodePolicy.parse("process:10"), (policy) => policy.name) // => Result.succeed("process:10")
 * Result.map(NodePolicy.parse("fiber:64"), (policy) => policy.name) // => Result.succeed("fiber:64")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Policy.Policy, Policy.PolicyError> =>
  Policy.parseWith(text, forms, own)

/**
 * A policy from configuration, in the form of {@link parse}. Without the
 * variable it is the default, `fiber`.
 *
 * @category config
 * @since 0.1.0
 */
export const config = (name: string): Config.Config<Policy.Policy> => Policy.configWith(name, parse)

const own = (
  name: string,
  size: number | undefined,
  settings: Map<string, string>
): Policy.Policy | string | undefined => {
  if (name !== "thread" && name !== "pool" && name !== "process") return undefined
  if (name === "process" && (settings.has("each") || settings.has("recycle"))) return reused(size, settings)
  const take = takers(settings)
  const shared = {
    queue: take.number("queue", 1),
    memory: take.number("memory", 1),
    deadline: take.duration("deadline"),
    idempotent: take.flag("idempotent"),
    bundle: take.flag("bundle")
  }
  if (name === "process") {
    const spares = take.number("spares", 0)
    return take.problem() ?? WorkerPolicy.process({ ...shared, max: size, spares })
  }
  const sized = { ...shared, size, each: take.number("each", 1), recycle: take.number("recycle", 1) }
  return take.problem() ?? (name === "thread" ? WorkerPolicy.thread(sized) : WorkerPolicy.pool(sized))
}

/** Processes that are reused were once written `process:size`. */
const reused = (size: number | undefined, settings: Map<string, string>): string => {
  const option = settings.has("each") ? "each" : "recycle"
  const number = size ?? settings.get("max")
  const head = number === undefined ? "pool" : `pool:${number}`
  const meant = [...settings].filter(([option]) => option !== "max" && option !== "spares")
  const text = [head, ...meant.map(([option, value]) => `${option}=${value}`)].join(",")
  return `process is a process for each request and has no "${option}"; processes that are reused are a pool, write "${text}"`
}

/** Takes options out of `settings`, and remembers the first that cannot be used. */
const takers = (settings: Map<string, string>) => {
  let problem: string | undefined
  const take = (option: string): string | undefined => {
    const value = settings.get(option)
    settings.delete(option)
    return value
  }
  const fails = (text: string): undefined => {
    problem ??= text
    return undefined
  }
  return {
    problem: () => problem,
    number: (option: string, least: 0 | 1): number | undefined => {
      const value = take(option)
      if (value === undefined) return undefined
      if (/^\d+$/.test(value) && Number(value) >= least && Number.isSafeInteger(Number(value))) return Number(value)
      return fails(
        `${option} must be ${least === 0 ? "an integer of 0 or more" : "a positive integer"}, not "${value}"`
      )
    },
    duration: (option: string): Duration.Duration | undefined => {
      const value = take(option)
      if (value === undefined) return undefined
      const duration = Settings.duration(value)
      return Result.isSuccess(duration) ? duration.success : fails(`${option} ${duration.failure}`)
    },
    flag: (option: string): boolean | undefined => {
      const value = take(option)
      if (value === undefined) return undefined
      return value === "true" || value === "false"
        ? value === "true"
        : fails(`${option} is true or false, not "${value}"`)
    }
  }
}
