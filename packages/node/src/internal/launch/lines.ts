import * as Outcome from "@socketserver/core/Outcome"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { inspect } from "node:util"

/**
 * How a program logs that names no logger of its own: as Effect does, but with what a
 * line is about in the same line, as `name=value`; and with nothing in it that a
 * terminal would obey, or a reader take for another line, since it may be of what a
 * peer has sent.
 */
const logger = Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
  const parts = (Array.isArray(message) ? message : [message]).map((part: unknown) =>
    continued(shown(typeof part === "string" ? part : inspect(part)))
  )
  const spans = fiber
    .getRef(References.CurrentLogSpans)
    .map(([label, since]) => ` ${label}=${date.getTime() - since}ms`)
    .join("")
  const facts = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
  if (facts.length > 0) parts.push(facts.map(([name, value]) => `${name}=${valueOf(value)}`).join(" "))
  if (cause.reasons.length > 0) parts.push(continued(shown(Cause.pretty(cause))))
  const console = fiber.getRef(Console.Console)
  const print = fiber.getRef(References.LogToStderr) ? console.error : console.log
  print(`[${timeOf(date)}] ${logLevel.toUpperCase()} (#${fiber.id})${spans}:`, ...parts)
})

/** The loggers of a program that names none. */
export const loggers: ReadonlySet<Logger.Logger<unknown, unknown>> = new Set([logger, Logger.tracerLogger])

const shown = (text: string): string =>
  text
    .split("\n")
    .map((line) => Outcome.printable(line, Infinity))
    .join("\n")

/** What follows a line break is seen to be no line of its own: it may be what a peer has sent, made to look like one. */
const continued = (text: string): string => text.replaceAll("\n", "\n  ")

const valueOf = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  return Outcome.printable(/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text), Infinity)
}

const timeOf = (date: Date): string =>
  [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":") +
  `.${String(date.getMilliseconds()).padStart(3, "0")}`
