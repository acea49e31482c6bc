import * as Protocol from "@socketserver/core/Protocol"
import * as Result from "effect/Result"
import { bytesOf } from "../text.ts"
import type { Message } from "./model.ts"
import { problemOf, type Shape } from "./shape.ts"

/** A message as JSON, and back. */

/** Core's JSON: what `JSON.parse` makes of the names of one message may depend on those of another. */
const values = Protocol.json(Protocol.lengthPrefixed({ maxFrameBytes: Number.MAX_SAFE_INTEGER })).server.datagram

export const read = (bytes: Uint8Array, shape: Shape): Result.Result<Message, string> => {
  const problem = problemOf(bytes, shape)
  if (problem !== undefined) return Result.fail(problem)
  const parsed = Result.mapError(values.decode(bytes), (error) =>
    error._tag === "Malformed" ? error.reason : error._tag
  )
  return Result.flatMap(parsed, (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? ofObject(value as Readonly<Record<string, unknown>>)
      : Result.fail("it is no JSON object")
  )
}

const ofObject = (object: Readonly<Record<string, unknown>>): Result.Result<Message, string> => {
  const { full_message, host, level, short_message, timestamp, version } = object
  if (typeof host !== "string" || host === "") return Result.fail("its host is no text")
  if (typeof short_message !== "string") return Result.fail("its short_message is no text")
  // Defined one by one: a name like `__proto__` is a name here.
  const fields: Array<readonly [string, string | number | boolean]> = []
  for (const [name, value] of Object.entries(object)) {
    if (own.has(name) || value === null) continue
    fields.push([name, fieldOf(value)])
  }
  const severity = numberOf(level)
  return Result.succeed({
    _tag: "Message",
    version: typeof version === "string" ? version : undefined,
    host,
    shortMessage: short_message,
    fullMessage: typeof full_message === "string" ? full_message : undefined,
    timestamp: numberOf(timestamp),
    level: severity !== undefined && severity >= 0 && severity <= 7 ? Math.trunc(severity) : undefined,
    fields: Object.fromEntries(fields)
  })
}

/** What has a place of its own in a message. */
const own: ReadonlySet<string> = new Set(["version", "host", "short_message", "full_message", "timestamp", "level"])

/** GELF has texts and numbers; of what is built of others the text of its JSON is taken, as Graylog does. It is no deeper than it may be. */
const fieldOf = (value: unknown): string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : JSON.stringify(value)

/** Some senders write numbers as texts. */
const numberOf = (value: unknown): number | undefined => {
  const number = typeof value === "string" && decimal.test(value) ? Number(value) : value
  return typeof number === "number" ? number : undefined
}

const decimal = /^\d{1,20}(?:\.\d{1,20})?$/

export const write = (message: Message, shape: Shape): Result.Result<string, string> => {
  const { fields, fullMessage, host, level, shortMessage, timestamp, version } = message
  const text = JSON.stringify({
    version,
    host,
    short_message: shortMessage,
    full_message: fullMessage,
    timestamp,
    level,
    ...fields
  })
  const arrives = read(bytesOf(text), shape)
  if (Result.isFailure(arrives)) return Result.fail(`it would not arrive: ${arrives.failure}`)
  return isSame(message, arrives.success)
    ? Result.succeed(text)
    : Result.fail("it would not arrive as it is: a field has the name of another, or what is no text and no number")
}

const isSame = (a: Message, b: Message): boolean => {
  const names = Object.keys(a.fields)
  return (
    a.version === b.version &&
    a.host === b.host &&
    a.shortMessage === b.shortMessage &&
    a.fullMessage === b.fullMessage &&
    a.timestamp === b.timestamp &&
    a.level === b.level &&
    names.length === Object.keys(b.fields).length &&
    names.every((name) => Object.hasOwn(b.fields, name) && a.fields[name] === b.fields[name])
  )
}
