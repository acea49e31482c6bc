import * as Result from "effect/Result"
import type { Policy } from "../Policy.ts"
import { PolicyError } from "../ServerError.ts"
import * as durations from "./duration.ts"
import { nearest } from "./nearest.ts"
import * as policies from "./policies.ts"
import { finishing, timeout } from "./policyCombinators.ts"

/** How the text of a policy is read: `name[:size][,option=value]`. */

export const parseWith = (
  text: string,
  accepted: ReadonlyArray<string>,
  own: (name: string, size: number | undefined, settings: Map<string, string>) => Policy | string | undefined
): Result.Result<Policy, PolicyError> => {
  const [head = "", ...rest] = text
    .trim()
    .split(",")
    .map((part) => part.trim())
  const colon = head.indexOf(":")
  const name = colon === -1 ? head : head.slice(0, colon)
  const size = colon === -1 ? undefined : head.slice(colon + 1)
  const names = accepted.flatMap((form) => nameOf(form) ?? [])
  // Of a policy that there is, its own forms are shown; else which ones there are.
  const shown = names.includes(name)
    ? accepted.filter((form) => nameOf(form) === name || isFor(form, name))
    : accepted.filter((form) => nameOf(form) !== undefined)
  const invalid = (problem: string) => Result.fail(new PolicyError({ policy: text, problem, accepted: shown }))
  if (size !== undefined && !(/^[1-9]\d*$/.test(size) && Number.isSafeInteger(Number(size)))) {
    return invalid(`the size must be a positive integer, not "${size}"`)
  }
  const settings = new Map<string, string>()
  for (const setting of rest) {
    const equals = setting.indexOf("=")
    const option = (equals === -1 ? setting : setting.slice(0, equals)).trim()
    if (settings.has(option)) return invalid(`${option} is given twice`)
    settings.set(option, equals === -1 ? "" : setting.slice(equals + 1).trim())
  }
  const found = own(name, size === undefined ? undefined : Number(size), settings) ?? inProcess(name, size)
  if (found === undefined) {
    const meant = nearest(name, names)
    return invalid(`there is no policy "${name}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`)
  }
  if (typeof found === "string") return invalid(found)
  let policy: Policy = found
  for (const [option, value] of settings) {
    switch (option) {
      case "onPeerGone":
        if (value !== "cancel" && value !== "finish") return invalid(`onPeerGone is cancel or finish, not "${value}"`)
        if (value === "finish") policy = finishing(policy)
        break
      case "timeout": {
        const duration = durations.read(value)
        if (Result.isFailure(duration)) return invalid(`timeout ${duration.failure}`)
        policy = timeout(policy, duration.success)
        break
      }
      case "max":
      case "size":
        return invalid(`there is no option "${option}"; the number stands behind the name, write "${name}:${value}"`)
      default:
        return invalid(`there is no option "${option}"`)
    }
  }
  return Result.succeed(policy)
}

/** The name in a form such as `pool[:size]`. */
const nameOf = (form: string): string | undefined => /^(\w+)(?:\[:\w+\])?$/.exec(form)?.[1]

/** Whether a form is one of options that a policy takes: `and for thread and pool: …`. */
const isFor = (form: string, name: string): boolean => {
  const whose = /^and for ([^:]*):/.exec(form)?.[1]?.split(/\W+/) ?? []
  return whose.includes("all") || whose.includes(name)
}

const inProcess = (name: string, size: string | undefined): Policy | string | undefined => {
  const sized = size === undefined ? undefined : { max: Number(size) }
  switch (name) {
    case "sequential":
      return size === undefined ? policies.sequential : "sequential has no size: it is always one at a time"
    case "fiber":
      return policies.fiber(sized)
    case "connection":
      return policies.connection(sized)
    case "keyed":
      return policies.keyed(sized)
    default:
      return name === "" ? "it has no name" : undefined
  }
}
