/** What is printed: a line of a Markdown table as soon as a row is known. */
import type { Compared } from "./against.ts"
import type { Card } from "./card.ts"
import { canPin } from "./processes.ts"
import type { Row } from "./rows.ts"

const line = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

const head = (...cells: ReadonlyArray<string>): string =>
  `${line(cells)}\n${line(cells.map((_, i) => (i < 3 ? "---" : "--:")))}`

/** A number in the unit of its row, with three digits. */
export const amount = (value: number | null, unit: string): string => {
  if (value === null) return "–"
  if (unit.startsWith("bytes")) return value < 1e4 ? `${value.toFixed(0)} B` : `${(value / 1e3).toFixed(1)} kB`
  if (unit.startsWith("requests")) return Math.round(value).toLocaleString("en")
  const [scale, name] = value < 1e-3 ? [1e6, "µs"] : value < 1 ? [1e3, "ms"] : [1, "s"]
  return `${(value * scale).toPrecision(3)} ${name}`
}

const times = (value: number | null): string => (value === null ? "–" : value.toFixed(2))
const percent = (share: number): string => (Number.isNaN(share) ? "–" : `${(share * 100).toFixed(1)} %`)

export const header = (card: Card, how: ReadonlyArray<string>): string =>
  [
    "# Benchmarks",
    "",
    `- ${card.cores} cores, ${card.cpu}, ${card.memoryGib} GiB, ${card.os} ${card.kernel}, Node ${card.node}, commit ${card.commit}`,
    ...how.map((text) => `- ${text}`),
    "- CPU is that of all processes of a server, user and system. Compare ratios of one run, never the times of two.",
    canPin
      ? "- A server has core 0 and the load core 1; what has processes of its own to start has both."
      : "- **Not pinned**: no `taskset` that may use cores 0 and 1."
  ].join("\n")

export const rowHead = head(
  "row",
  "server",
  "baseline",
  "outstanding",
  "×",
  "range",
  "server",
  "baseline",
  "unit",
  "rounds",
  "others",
  ""
)

export const rowLine = (row: Row): string =>
  line([
    row.row,
    row.server,
    row.baseline,
    String(row.depth),
    times(row.ratio),
    row.low === null ? "–" : `${times(row.low)}–${times(row.high)}`,
    amount(row.mine, row.unit),
    amount(row.theirs, row.unit),
    row.unit,
    String(row.rounds),
    row.othersBusy.toFixed(2),
    row.note ?? ""
  ])

export const comparedHead = head(
  "row",
  "server",
  "verdict",
  "outstanding",
  "× then",
  "range",
  "sees",
  "now × baseline",
  "then",
  "rounds",
  "others",
  ""
)

export const comparedLine = (row: Compared): string =>
  line([
    row.row,
    row.server,
    row.verdict === "slower" || row.verdict === "quicker" ? `**${row.verdict}**` : row.verdict,
    String(row.depth),
    row.ratio === null ? "–" : row.ratio.toFixed(3),
    row.low === null ? "–" : `${row.low.toFixed(3)}–${row.high!.toFixed(3)}`,
    percent(row.sees ?? Number.NaN),
    times(row.now),
    times(row.before),
    String(row.rounds),
    row.othersBusy.toFixed(2),
    row.note ?? ""
  ])
