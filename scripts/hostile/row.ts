/** A row of the table: what an adversary did to a server and to those beside it, and whether that is within the bounds. */
import type { Kind, Program, Stopped } from "./programs.ts"
import type { Seen } from "./victim.ts"

export interface Row {
  readonly adversary: string
  readonly transport: string
  /** The median of a client that behaves well, without the attack and beside it, in milliseconds. */
  readonly base?: number | undefined
  readonly beside?: number | undefined
  /** How much more memory the server took, and how much more it may, in MiB. */
  readonly peak?: number | undefined
  readonly formula?: number | undefined
  /** From SIGTERM until the server had ended, while the attack went on, in seconds. */
  readonly stop?: number | undefined
  /** What is outside of its bounds; nothing if all is well. */
  readonly misses: ReadonlyArray<string>
  /** All else that was seen. */
  readonly more?: object | undefined
}

/** Rows that are run one after another, chosen by a part of their name. */
export interface Attempt {
  readonly name: string
  readonly transport: string
  readonly run: () => Promise<Row>
}

const mib = 1_048_576

/** What a program may take more than without connections, as `docs/reference/limits.md` says, in MiB. */
export const formula = (of: {
  readonly connections: number
  readonly kind?: Kind | undefined
  /** Whether each connection is one request. */
  readonly whole?: boolean | undefined
  readonly maxMemory?: number | undefined
  readonly workers?: number | undefined
}): number => {
  const each = of.kind === "tls" ? 60_000 : of.whole === true ? 10_000 : 5_000
  return (of.connections * each) / mib + 1.5 * (of.maxMemory ?? 256) + (of.workers ?? 0) * 80
}

/** How far a growth may be above the formula: it counts by estimates. */
export const slack = 1.25

/** What one beside may see at most. */
export interface Bounds {
  readonly median?: number
  readonly p99?: number
  /** For who holds others up seldom, and long. */
  readonly max?: number
  readonly lost?: number
}

/** Collects what is outside of its bounds. */
export class Judge {
  readonly misses: Array<string> = []

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.misses.push(otherwise)
  }

  most(what: string, value: number, most: number, unit: string): void {
    const shown = (number: number) => `${Math.round(number * 100) / 100} ${unit}`
    this.expect(value <= most, `${what} ${shown(value)}, at most ${shown(most)}`)
  }

  /** It was served all the time, and soon. */
  served(seen: Seen, bounds: Bounds = {}): void {
    const { lost = 0, max = Infinity, median = 15, p99 = 75 } = bounds
    const bad = Object.entries(seen.bad)
    const count = bad.reduce((sum, [, count]) => sum + count, 0)
    this.expect(count <= lost, `not answered: ${bad.map(([why, count]) => `${count} × ${why}`).join(", ")}`)
    this.expect(seen.asked > 0, "nothing was answered")
    if (seen.asked === 0) return
    this.most("median", seen.median, median, "ms")
    this.most("p99", seen.p99, p99, "ms")
    this.most("the longest wait", seen.max, max, "ms")
  }

  memory(grown: number, bound: number): void {
    this.most("memory grew by", grown, bound * slack, "MiB")
  }

  /** It has ended in time and in order, and left nothing. */
  stopped({ left, seconds, status }: Stopped, most = 11): void {
    this.expect(status === 0, `it ended with ${status}`)
    this.expect(left === 0, `${left} processes were left`)
    this.most("the stop took", seconds, most, "s")
  }

  alive(program: Program): void {
    const status = program.ended()
    this.expect(status === undefined, `it has ended with ${status}: ${program.said().slice(-200)}`)
  }
}

const columns: ReadonlyArray<readonly [string, number]> = [
  ["adversary", 52],
  ["transport", 9],
  ["base ms", 8],
  ["beside ms", 9],
  ["ratio", 7],
  ["peak MiB", 8],
  ["formula MiB", 11],
  ["stop s", 6],
  ["verdict", 7]
]

const number = (value: number | null | undefined, digits: number): string =>
  typeof value === "number" && !Number.isNaN(value) ? value.toFixed(digits) : "–"

const line = (cells: ReadonlyArray<string>): string =>
  cells
    .map((cell, i) => (i < 2 ? cell.padEnd(columns[i]![1]) : cell.padStart(columns[i]![1])))
    .join("  ")
    .trimEnd()

export const head = line(columns.map(([name]) => name))

export const ratioOf = ({ base, beside }: Row): number | undefined =>
  base === undefined || beside === undefined ? undefined : beside / base

export const print = (row: Row): string =>
  [
    line([
      row.adversary,
      row.transport,
      number(row.base, 2),
      number(row.beside, 2),
      number(ratioOf(row), 1),
      number(row.peak, 0),
      number(row.formula, 0),
      number(row.stop, 2),
      row.misses.length === 0 ? "ok" : "MISS"
    ]),
    ...row.misses.map((miss) => `    ${miss}`)
  ].join("\n")
