import * as Result from "effect/Result"
import { printable } from "./printable.ts"
import type { ServerLog } from "./serverLog.ts"

/**
 * What a transport or a hook has thrown that the server does not depend on. It is
 * logged, each text once, and counted, so that a stop can say it in its report.
 */
export class Troubles {
  private readonly log: Pick<ServerLog, "say">
  private readonly known = new Map<string, number>()

  constructor(log: Pick<ServerLog, "say">) {
    this.log = log
  }

  /** Calls out of the engine: what is thrown ends here. */
  attempt(what: string, f: () => void): void {
    const done = Result.try(f)
    if (Result.isFailure(done)) this.note(what, done.failure)
  }

  note(what: string, error: unknown): void {
    const text = printable(`${what}: ${messageOf(error)}`)
    const before = this.known.get(text)
    // Texts may be made of what peers are called.
    if (before === undefined && this.known.size === mostTexts) return
    this.known.set(text, (before ?? 0) + 1)
    if (before === undefined) this.log.say("Warn", "what was thrown", text)
  }

  /** A line for each text. */
  get lines(): ReadonlyArray<string> {
    return [...this.known].map(([text, times]) => (times === 1 ? text : `${text} (${times} times)`))
  }
}

/** What an error says, in one line. */
const messageOf = (error: unknown): string =>
  Result.getOrElse(
    Result.try(() => (error instanceof Error ? error.message : String(error))),
    () => "an error without a text"
  ).replaceAll(/\s+/g, " ")

const mostTexts = 32
