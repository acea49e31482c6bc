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
    const lost = lossOf(value, "")
    if (lost !== undefined) return new Unencodable(lost)
    return text ?? new Unencodable(`${typeof value} is not a JSON value`)
  } catch (error) {
    return new Unencodable(messageOf(error))
  }
}

/** What of a value JSON would leave out or change. A property without a value is the same as none. */
const lossOf = (value: unknown, path: string): string | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : `${value} is not a JSON value${at(path)}`
    case "object": {
      if (value === null) return undefined
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) {
          const lost = lossOf(value[i], `${path}[${i}]`)
          if (lost !== undefined) return lost
        }
        return undefined
      }
      if ("toJSON" in value || isMore(value)) {
        return `${nameOf(value)} is not a JSON value${at(path)}; give it a schema, or convert it first`
      }
      for (const key of Object.keys(value)) {
        const property = (value as Record<string, unknown>)[key]
        if (property === undefined) continue
        const lost = lossOf(property, path === "" ? key : `${path}.${key}`)
        if (lost !== undefined) return lost
      }
      return undefined
    }
    default:
      return `${typeof value} is not a JSON value${at(path)}`
  }
}

/** Whether an object is more than its properties: a map, bytes, an error, a pattern. */
const isMore = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== Object.prototype && prototype !== null && toString.call(value) !== "[object Object]"
}

const { toString } = Object.prototype

const at = (path: string): string => (path === "" ? "" : ` (at ${path})`)

const nameOf = (value: object): string => `a ${value.constructor?.name ?? "value"}`
