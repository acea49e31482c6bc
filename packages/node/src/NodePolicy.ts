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
import type * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as Result from "effect/Result"
import * as WorkerPolicy from "./WorkerPolicy.ts"

/**
 * The forms that {@link parse} accepts, as error messages show them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forms: ReadonlyArray<string> = [
  ...Policy.forms.slice(0, -1),
  "thread[:size] and process:size with [,each=N] and [,recycle=N]",
  "process with [,max=N], [,spares=N] and [,recycle=N]",
  "thread and process with [,queue=N], [,memory=MIB], [,deadline=DURATION], [,idempotent=true] and [,bundle=true]",
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
 * Result.map(NodePolicy.parse("process,max=10"), (policy) => policy.name) // => Result.succeed("process,max=10")
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
  if (name !== "thread" && name !== "process") return undefined
  const sized = name === "thread" || size !== undefined
  const take = takers(settings)
  const shared = {
    queue: take.number("queue", 1),
    memory: take.number("memory", 1),
    deadline: take.duration("deadline"),
    idempotent: take.flag("idempotent"),
    bundle: take.flag("bundle"),
    recycle: take.number("recycle", 1)
  }
  const each = sized ? take.number("each", 1) : undefined
  const max = sized ? undefined : take.number("max", 1)
  const spares = sized ? undefined : take.number("spares", 0)
  if (take.problem() !== undefined) return take.problem()
  if (name === "thread") return WorkerPolicy.thread({ ...shared, each, size })
  return sized ? WorkerPolicy.processes({ ...shared, each, size }) : WorkerPolicy.process({ ...shared, max, spares })
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
      const duration = Option.filter(Duration.fromInput(value as Duration.Input), Duration.isPositive)
      return Option.isSome(duration)
        ? duration.value
        : fails(`${option} is a duration such as "5 seconds", not "${value}"`)
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
