import { messageOf } from "./errors.ts"
import { Undecodable } from "./sides.ts"
import { Unencodable } from "./unencodable.ts"

/** JSON as a codec of text. */

export const parse = (text: string): unknown => {
  // oxlint-disable-next-line socketserver/no-try -- `JSON.parse` says that text is not JSON only by throwing
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    return new Undecodable(`it is not JSON: ${messageOf(error)}`)
  }
}

/** The text of a value, unless it would arrive as another one. */
export const format = (value: unknown): string | Unencodable => {
  // oxlint-disable-next-line socketserver/no-try -- `JSON.stringify` says that a value is cyclic only by throwing
  try {
    // First, since what it throws for names where a cycle is.
    const text = JSON.stringify(value) as string | undefined
    const loss = lossOf(value)
    if (loss !== undefined) return new Unencodable(say(loss))
    return text ?? new Unencodable(`${typeof value} is not a JSON value`)
  } catch (error) {
    return new Unencodable(messageOf(error))
  }
}

/** What JSON would leave out or change, and where it is in the value. */
interface Loss {
  readonly problem: string
  readonly mend: string
  path: string
}

/** What of a value is lost. A property without a value is the same as none. */
const lossOf = (value: unknown): Loss | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : lost(`${value} is not a JSON value`)
    case "object": {
      if (value === null) return undefined
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) {
          const loss = lossOf(value[i])
          if (loss !== undefined) return within(`[${i}]`, loss)
        }
        return undefined
      }
      if ("toJSON" in value || isMore(value)) {
        return lost(`${nameOf(value)} is not a JSON value`, "; give it a schema, or convert it first")
      }
      for (const key of Object.keys(value)) {
        const property = (value as Record<string, unknown>)[key]
        const loss = property === undefined ? undefined : lossOf(property)
        if (loss !== undefined) return within(`.${key}`, loss)
      }
      return undefined
    }
    default:
      return lost(`${typeof value} is not a JSON value`)
  }
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
