import { messageOf } from "./errors.ts"
import * as jsonNames from "./jsonNames.ts"
import { Undecodable } from "./sides.ts"
import { Unencodable } from "./unencodable.ts"

/** JSON as a codec of text. */

export const parse = (text: string): unknown => {
  // oxlint-disable-next-line socketserver/no-try -- `JSON.parse` says that text is not JSON only by throwing
  try {
    const value = JSON.parse(text) as unknown
    return jsonNames.hasEscapes(text) ? jsonNames.parse(text) : value
  } catch (error) {
    return new Undecodable(whyOf(messageOf(error)))
  }
}

/** What is wrong, without the text: it may be a secret, and logs show it. */
const whyOf = (said: string): string => {
  // Other messages quote it.
  const at = said.endsWith("is not valid JSON") ? undefined : /at position (\d+)/.exec(said)?.[1]
  if (at !== undefined) return `it is not JSON, from character ${at} on`
  return said === "Unexpected end of JSON input" ? "it is not JSON: it ends too early" : "it is not JSON"
}

/** The text of a value, unless it would arrive as another one. */
export const format = (value: unknown, look = isWhole): string | Unencodable => {
  // oxlint-disable-next-line socketserver/no-try -- `JSON.stringify` says that a value is cyclic only by throwing
  try {
    // First, since what it throws for names where a cycle is.
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) return new Unencodable(`${typeof value} is not a JSON value`)
    return look(value) ? text : new Unencodable(say(lossOf(value)))
  } catch (error) {
    return new Unencodable(messageOf(error))
  }
}

/** The text of a value of which nothing can be lost. */
export const formatWhole = (value: unknown): string | Unencodable => JSON.stringify(value)

/** What JSON would leave out or change, and where it is in the value. */
interface Loss {
  readonly problem: string
  readonly mend: string
  path: string
}

/** Whether all of a value arrives. Most do: that is asked of each, and {@link lossOf} of the others only. */
export const isWhole = (value: unknown): boolean => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true
    case "number":
      return Number.isFinite(value)
    case "object": {
      if (value === null) return true
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) if (!isWhole(value[i])) return false
        return true
      }
      if ((value as { readonly toJSON?: unknown }).toJSON !== undefined || isMore(value)) return false
      // Nothing is allocated for the names of its properties, as `Object.keys` would.
      for (const key in value) {
        const property = (value as Record<string, unknown>)[key]
        // A property without a value is the same as none.
        if (property !== undefined && !isWhole(property)) return false
      }
      return true
    }
    default:
      return false
  }
}

/** What of a value that is not whole is lost. */
const lossOf = (value: unknown): Loss => {
  if (typeof value === "number") return lost(`${value} is not a JSON value`)
  if (typeof value !== "object" || value === null) return lost(`${typeof value} is not a JSON value`)
  if (Array.isArray(value)) {
    const at = value.findIndex((element) => !isWhole(element))
    return within(`[${at}]`, lossOf(value[at]))
  }
  if ((value as { readonly toJSON?: unknown }).toJSON !== undefined || isMore(value)) {
    return lost(`${nameOf(value)} is not a JSON value`, "; give it a schema, or convert it first")
  }
  for (const key in value) {
    const property = (value as Record<string, unknown>)[key]
    if (property !== undefined && !isWhole(property)) return within(`.${key}`, lossOf(property))
  }
  return lost(`${nameOf(value)} is not a JSON value`)
}

const lost = (problem: string, mend = ""): Loss => ({ problem, mend, path: "" })

/** The path is made on the way back: most values lose nothing. */
const within = (step: string, loss: Loss): Loss => {
  loss.path = step + loss.path
  return loss
}

/** Whether an object is more than its properties: a map, bytes, an error, a pattern. */
const isMore = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== Object.prototype && prototype !== null && toString.call(value) !== "[object Object]"
}

const { toString } = Object.prototype

const say = ({ mend, path, problem }: Loss): string =>
  `${problem}${path === "" ? "" : ` (at ${path.replace(/^\./, "")})`}${mend}`

const nameOf = (value: object): string => `a ${value.constructor?.name ?? "value"}`
