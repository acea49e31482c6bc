import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Result from "effect/Result"
import { never, type Timed } from "./deadlines.ts"
import { printable, printableLines } from "./printable.ts"

/** What a line is about, for searches of a log. */
export type Facts = Readonly<Record<string, string | number | undefined>>

export type Level = "Debug" | "Info" | "Warn" | "Error"

interface Surroundings {
  readonly service: string
  readonly now: () => number
  readonly run: (effect: Effect.Effect<void>) => unknown
  readonly deadlines: { readonly by: (timed: Timed, moment: number) => void; readonly forget: (timed: Timed) => void }
  /** The least that is logged at all. */
  readonly minimumLogLevel: LogLevel.LogLevel
}

/**
 * All that a server logs. Each line names the server, in its text and for searches;
 * nothing in it is obeyed by a terminal; and of each kind there is a bounded number:
 * 10 a second, 50 at once. How many more there were is a line of its own, a second later.
 *
 * Limits are told by `limitLog.ts`, which makes two lines of many events.
 */
export class ServerLog {
  /** Whether somebody else logs what becomes of requests here, and of limits: the parent of a worker. */
  silent = false
  private readonly context: Surroundings
  private readonly kinds = new Map<string, Kind>()

  constructor(context: Surroundings) {
    this.context = context
  }

  /** Whether somebody reads lines of this level: nothing need be made of them otherwise. */
  isRead(level: Level): boolean {
    return LogLevel.getOrdinal(level) >= LogLevel.getOrdinal(this.context.minimumLogLevel)
  }

  /**
   * Logs a line. `kind` says what lines of its kind are about, as in "17 more lines
   * about requests that failed were left out": one of few texts, and none that peers choose.
   * Without it there are as many as are asked for.
   */
  say(level: Level, kind: string | undefined, text: string, facts: Facts = {}, cause?: Cause.Cause<unknown>): void {
    if (!this.isRead(level)) return
    if (kind === undefined) return this.write(level, text, facts, cause)
    const now = this.context.now()
    let of = this.kinds.get(kind)
    if (of === undefined) this.kinds.set(kind, (of = new Kind(now, (left) => this.write(level, rest(left, kind)))))
    if (of.takes(now)) this.write(level, text, facts, cause)
    else if (of.left++ === 0) this.context.deadlines.by(of, now + 1_000)
  }

  /** Logs at `Info` a line that says itself whose it is, as it is. */
  plain(line: string): void {
    this.context.run(Effect.logInfo(printable(line, Infinity)))
  }

  /** The server has stopped: what was left out is told now. */
  end(): void {
    for (const kind of this.kinds.values()) {
      this.context.deadlines.forget(kind)
      kind.tell()
    }
  }

  private write(level: Level, text: string, facts: Facts = {}, cause: Cause.Cause<unknown> = Cause.empty): void {
    const { run, service } = this.context
    const annotations: Record<string, unknown> = { server: service }
    for (const [name, value] of Object.entries(facts)) {
      if (value !== undefined) annotations[name] = typeof value === "string" ? printable(value) : value
    }
    const line = Effect.logWithLevel(level)(printable(`${service}: ${text}`), shown(cause))
    run(Effect.annotateLogs(line, annotations))
  }
}

const rest = (left: number, kind: string): string =>
  `${left} more line${left === 1 ? "" : "s"} about ${kind} ${left === 1 ? "was" : "were"} left out`

/** The lines of one kind. */
class Kind implements Timed {
  dueAt = never
  queuedAt = never
  /** How many were left out, and not told of. */
  left = 0
  private may = most
  private at: number
  private readonly onRest: (left: number) => void

  constructor(now: number, onRest: (left: number) => void) {
    this.at = now
    this.onRest = onRest
  }

  /** Whether one may be written. None is while others are left out. */
  takes(now: number): boolean {
    this.may = Math.min(most, this.may + ((now - this.at) * perSecond) / 1_000)
    this.at = now
    if (this.left > 0 || this.may < 1) return false
    this.may--
    return true
  }

  tell(): void {
    const { left } = this
    this.left = 0
    if (left > 0) this.onRest(left)
  }

  look(): number {
    this.tell()
    return Infinity
  }
}

/** How many lines of a kind are written at once, and how many a second then. */
const most = 50
const perSecond = 10

/** A cause whose errors show nothing that a terminal would obey: a handler may fail with what it was sent. */
const shown = <E>(cause: Cause.Cause<E>): Cause.Cause<unknown> =>
  cause.reasons.length === 0
    ? cause
    : Cause.fromReasons(
        cause.reasons.map((reason): Cause.Reason<unknown> => {
          if (reason._tag === "Interrupt") return reason
          const error = reason._tag === "Fail" ? reason.error : reason.defect
          const clean = cleaned(error, 0)
          if (clean === error) return reason
          return reason._tag === "Fail" ? Cause.makeFailReason(clean) : Cause.makeDieReason(clean)
        })
      )

const cleaned = (error: unknown, depth: number): unknown => {
  if (typeof error === "string") return printable(error)
  // A logger writes all of it, however much that is.
  if (!(error instanceof Error)) return typeof error === "object" && error !== null ? brief(error) : error
  const message = printable(error.message)
  // A message of several lines is one line of its stack.
  const before =
    message === error.message ? (error.stack ?? "") : (error.stack ?? "").replace(error.message, () => message)
  const stack = printableLines(before)
  const cause = depth === mostCauses ? undefined : cleaned(error.cause, depth + 1)
  if (message === error.message && stack === (error.stack ?? "") && cause === error.cause) return error
  const clean = Object.assign(new Error(message, { cause }), { name: printable(error.name) })
  clean.stack = stack
  return clean
}

/** What is no error is shown as it is where it is little, and as the beginning of its text where it is much. */
const brief = (thrown: object): unknown => {
  const text = Result.getOrElse(
    Result.try(() => JSON.stringify(thrown) ?? ""),
    () => ""
  )
  return text.length <= longest ? thrown : printable(text)
}

const longest = 4_096

/** How many errors are shown that others were the cause of. */
const mostCauses = 5
