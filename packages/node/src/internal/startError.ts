import * as Outcome from "@socketserver/core/Outcome"
import { ServerError } from "@socketserver/core/ServerError"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"

/**
 * What is said of a start that failed: one line with the error's tag or message,
 * its fields where it says nothing itself, and its cause.
 */
export const lineOf = (error: unknown): string => {
  // A `ConfigError` puts the class of its cause before the message.
  const said = error instanceof Config.ConfigError ? error.cause : error
  if (said instanceof ConfigProvider.SourceError) return oneLine(said.message)
  return oneLine(describe(said, 0))
}

const describe = (error: unknown, depth: number): string => {
  if (typeof error !== "object" || error === null) return String(error)
  const { _tag, message, cause } = error as {
    readonly _tag?: unknown
    readonly message?: unknown
    readonly cause?: unknown
  }
  const name = typeof _tag === "string" ? _tag : error instanceof Error ? error.name : undefined
  const text = typeof message === "string" && message !== "" ? message : undefined
  const said = text ?? [name, fieldsOf(error)].filter((part) => part !== undefined && part !== "").join(" ")
  // A cause that the message has told already is not told again. `BindFailed` tells it in its own words, with the mend.
  const told = error instanceof ServerError && error.reason._tag === "BindFailed"
  const because = told || cause === undefined || depth === 3 ? "" : describe(cause, depth + 1)
  return because === "" || said.includes(because) ? said : `${said}: ${because}`
}

/** What an error holds beside what every one does. */
const fieldsOf = (error: object): string => {
  const fields = Object.entries(error).filter(([key]) => !["_tag", "name", "message", "stack", "cause"].includes(key))
  if (fields.length === 0) return ""
  // oxlint-disable-next-line socketserver/no-try -- `JSON.stringify` says that a value is cyclic only by throwing
  try {
    return JSON.stringify(Object.fromEntries(fields))
  } catch {
    return `{${fields.map(([key]) => key).join(", ")}}`
  }
}

/** In one line, and without what a terminal would obey. */
const oneLine = (text: string): string => Outcome.printable(text.replaceAll(/\s+/g, " ").trim(), 8_192)

/** What a worker or a copy has said of its end, and what to do where its own program is in its way. */
export const hinted = (problem: string): string =>
  /EADDRINUSE/.test(problem)
    ? `${problem}. Every worker and copy builds the layers of its program: put one that must exist once, such as a server that is none of ours, into NodeServer.onlyParent(layer)`
    : problem
