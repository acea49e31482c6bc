/** What a case has printed, and the figures that are read in it, each against its bound. */
import { formula, slack } from "../row.ts"

/** A line of JSON that a case has printed for one try. */
export type Line = Readonly<Record<string, unknown>>

export interface Figure {
  /** The row of the list of failures that it is for; nothing where it is for none of them. */
  readonly row: string
  /** Which try of the case. */
  readonly what: string
  readonly name: string
  readonly value: string
  readonly bound: string
  readonly holds: boolean
  /** Whether it is one of time: on a machine that others keep busy it says nothing. */
  readonly timed: boolean
}

/** What a line has there, or below there. */
export const at = (line: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[key] : undefined,
    line
  )

/** A number that is there, or what no bound allows. */
export const numberAt = (line: unknown, ...path: ReadonlyArray<string | number>): number => {
  const value = at(line, ...path)
  return typeof value === "number" ? value : Number.NaN
}

export const textAt = (line: unknown, ...path: ReadonlyArray<string | number>): string => {
  const value = at(line, ...path)
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value)
}

/** How often each thing was seen. */
export const countsAt = (line: unknown, ...path: ReadonlyArray<string | number>): Readonly<Record<string, number>> =>
  (at(line, ...path) ?? {}) as Readonly<Record<string, number>>

export const listAt = (line: unknown, ...path: ReadonlyArray<string | number>): ReadonlyArray<unknown> => {
  const value = at(line, ...path)
  return Array.isArray(value) ? value : []
}

export const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0)

const shown = (value: unknown): string => {
  if (typeof value === "number") return Number.isNaN(value) ? "nothing" : String(Math.round(value * 100) / 100)
  if (typeof value === "string") return value
  return JSON.stringify(value) ?? "nothing"
}

export class Figures {
  readonly all: Array<Figure> = []
  private row = ""
  private what = ""

  /** Those that follow are for this row, and this try. */
  of(row: string, what: string): this {
    this.row = row
    this.what = what
    return this
  }

  private add(name: string, value: unknown, bound: string, holds: boolean, timed = false): this {
    const text = shown(value)
    this.all.push({ row: this.row, what: this.what, name, value: text.slice(0, 120), bound, holds, timed })
    return this
  }

  most(name: string, value: number, most: number, unit = ""): this {
    return this.add(name, value, `≤ ${Math.round(most * 100) / 100}${unit}`, value <= most)
  }

  least(name: string, value: number, least: number, unit = ""): this {
    return this.add(name, value, `≥ ${least}${unit}`, value >= least)
  }

  /** A time, at most so much. */
  soon(name: string, value: number, most: number, unit = " ms"): this {
    return this.add(name, value, `≤ ${Math.round(most * 100) / 100}${unit}`, value <= most, true)
  }

  /** How many were in time, at least so many. */
  often(name: string, value: number, least: number): this {
    return this.add(name, value, `≥ ${least}`, value >= least, true)
  }

  is(name: string, value: unknown, wanted: unknown): this {
    return this.add(name, value, shown(wanted), JSON.stringify(value ?? null) === JSON.stringify(wanted))
  }

  says(name: string, value: string, wanted: RegExp): this {
    return this.add(name, value, String(wanted), wanted.test(value))
  }

  /** What comes of something that has to be done in a time. */
  inTime(name: string, value: string, wanted: RegExp): this {
    return this.add(name, value, String(wanted), wanted.test(value), true)
  }

  /** That nothing was counted, or at most so much in all. */
  none(name: string, counts: Readonly<Record<string, number>>, most = 0): this {
    return this.add(name, counts, most === 0 ? "nothing" : `at most ${most}`, sum(counts) <= most)
  }

  /** How much more than before it has taken, in MiB. */
  grown(before: number, peak: number, of: Parameters<typeof formula>[0]): this {
    return this.most("grown", peak - before, slack * formula(of), " MiB")
  }

  /** How its stop went: how long it took, and with which status it ended. */
  stopped(stop: unknown, of: { readonly seconds?: number; readonly status?: ReadonlyArray<number> } = {}): this {
    const { seconds = 11, status = [0] } = of
    this.soon("stop", numberAt(stop, 0), seconds, " s")
    const found = at(stop, 1)
    return this.add("status", found ?? null, status.join(" or "), status.includes(found as number))
  }

  /** What a client that behaves well has seen beside it. */
  served(seen: unknown, of: { readonly median?: number; readonly p99?: number; readonly bad?: number } = {}): this {
    const { bad = 0, median = 15, p99 = 75 } = of
    return this.none("not answered", countsAt(seen, "bad"), bad)
      .soon("median", numberAt(seen, "median"), median)
      .soon("p99", numberAt(seen, "p99"), p99)
  }
}

/** A case of others: how it is run, and how each of its lines is judged. */
export interface Judged {
  /** The beginning of its file's name. */
  readonly name: string
  readonly runs: ReadonlyArray<{
    readonly args?: ReadonlyArray<string>
    readonly env?: Readonly<Record<string, string>>
    /** How long it may take. */
    readonly seconds: number
    /** How many lines it prints at least. */
    readonly lines: number
  }>
  readonly judge: (line: Line, figures: Figures, args: ReadonlyArray<string>) => void
  /** What it may print instead of a line of JSON, and end with another status. */
  readonly refused?: { readonly row: string; readonly says: RegExp }
}
