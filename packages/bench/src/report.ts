/** From measurements to Markdown: medians, ratios within a round, tables, targets. */
import { canPin } from "./child.ts"
import type { Measurement, Start } from "./measure.ts"
import type { Transport } from "./servers.ts"
import { type Target, targets } from "./targets.ts"
import * as Os from "node:os"

/** One measurement and where it belongs. */
export interface Cell<A> {
  readonly server: string
  readonly depth: number
  readonly round: number
  readonly value: A
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The ratios of one server to another, one for each round that has both. */
export const ratios = <A>(
  cells: ReadonlyArray<Cell<A>>,
  pair: { readonly server: string; readonly against: string; readonly depth: number },
  of: (value: A) => number
): ReadonlyArray<number> => {
  const find = (server: string, round: number) =>
    cells.find((cell) => cell.server === server && cell.depth === pair.depth && cell.round === round)
  return [...new Set(cells.map(({ round }) => round))].flatMap((round) => {
    const [a, b] = [find(pair.server, round), find(pair.against, round)]
    return a === undefined || b === undefined ? [] : [of(a.value) / of(b.value)]
  })
}

export const header = (
  options: { readonly rounds: number; readonly seconds: number; readonly warmUp: number; readonly connections: number },
  { servers }: Transport,
  names: ReadonlyArray<string>
): string =>
  [
    "# Lines echo, side by side",
    "",
    `- Machine: ${Os.availableParallelism()} cores, ${Os.cpus()[0]?.model.trim() ?? "unknown processor"}, ` +
      `${Os.type()} ${Os.arch()}, Node ${process.version}.`,
    `- Load: ${options.connections} connections on loopback, lines of 32 bytes, every byte of every reply compared; ` +
      `rounds: ${options.rounds}, in each the servers one after the other, every one a fresh process with ` +
      `${options.warmUp} s of warm-up and a window of ${options.seconds} s.`,
    "- CPU is user and system time of the whole server process. `×` is the median of the ratios to " +
      `\`${servers[0].name}\` in the same round, lowest and highest beside it. Compare ratios, never the times of two runs.`,
    "- `busy` is in cores. A ratio means little where others are far above 0 %, or where neither server nor load is near " +
      "100 % (a shared machine); requests/s means little where the load is the busier one.",
    "- Not measured: a network, TLS handshakes, large or torn frames, slow readers, many idle connections, memory, several cores, and handlers that do work.",
    ...(canPin
      ? ["- The server is pinned to core 0, the load to core 1."]
      : ["- **Not pinned**: no `taskset` that may use cores 0 and 1, so server and load move between cores."]),
    "",
    ...servers.filter(({ name }) => names.includes(name)).map(({ name, what }) => `- \`${name}\`: ${what}`)
  ].join("\n")

export const depthTable = (
  cells: ReadonlyArray<Cell<Measurement>>,
  depth: number,
  names: ReadonlyArray<string>
): string =>
  table(
    `## ${depth} outstanding per connection`,
    ["server", "CPU, µs/request", "×", "requests/s", "×", "p50, ms", "p99, ms", "busy: server, load, others"],
    names.map((server) => {
      const values = cells.filter((cell) => cell.server === server && cell.depth === depth).map(({ value }) => value)
      if (values.length === 0) return [server, "not available"]
      const of = (pick: (value: Measurement) => number) => median(values.map(pick))
      const pair = { server, against: names[0]!, depth }
      return [
        server,
        of(({ cpu }) => cpu).toFixed(2),
        spread(ratios(cells, pair, ({ cpu }) => cpu)),
        Math.round(of(({ perSecond }) => perSecond)).toLocaleString("en"),
        spread(ratios(cells, pair, ({ perSecond }) => perSecond)),
        of(({ p50 }) => p50).toFixed(2),
        of(({ p99 }) => p99).toFixed(2),
        [of(({ serverBusy }) => serverBusy), of(({ loadBusy }) => loadBusy), of(({ othersBusy }) => othersBusy)]
          .map(percent)
          .join(", ")
      ]
    })
  )

export const startUpTable = (cells: ReadonlyArray<Cell<Start>>, names: ReadonlyArray<string>): string =>
  table(
    "## Start-up, until the listening line (from source, not bundled)",
    ["server", "CPU, ms", "×", "wall, ms"],
    names.map((server) => {
      const values = cells.filter((cell) => cell.server === server).map(({ value }) => value)
      if (values.length === 0) return [server, "not available"]
      return [
        server,
        median(values.map(({ cpu }) => cpu)).toFixed(0),
        spread(ratios(cells, { server, against: names[0]!, depth: 0 }, ({ cpu }) => cpu)),
        median(values.map(({ wall }) => wall)).toFixed(0)
      ]
    })
  )

export const unavailableList = (unavailable: ReadonlyMap<string, string>): string =>
  ["## Not available", "", ...[...unavailable].map(([server, reason]) => `- \`${server}\`: ${reason}`)].join("\n")

/** A target and whether it holds; `undefined` where this run was not asked to measure it. */
export interface Verdict extends Target {
  readonly ratio: number | undefined
  readonly holds: boolean | undefined
}

/** A target that was asked for and could not be measured does not hold. */
export const verdicts = (
  cells: ReadonlyArray<Cell<Measurement>>,
  asked: { readonly names: ReadonlyArray<string>; readonly depths: ReadonlyArray<number> }
): ReadonlyArray<Verdict> =>
  targets.map((target) => {
    const wanted =
      [target.server, target.against].every((name) => asked.names.includes(name)) && asked.depths.includes(target.depth)
    const found = ratios(cells, target, ({ cpu }) => cpu)
    const ratio = found.length === 0 ? undefined : median(found)
    return { ...target, ratio, holds: wanted ? ratio !== undefined && ratio <= target.atMost : undefined }
  })

export const targetTable = (verdicts: ReadonlyArray<Verdict>): string =>
  table(
    "## Targets, CPU per request",
    ["server", "against", "outstanding", "at most", "measured", ""],
    verdicts.map(({ against, atMost, depth, holds, ratio, server }) => [
      server,
      against,
      String(depth),
      `${atMost} ×`,
      ratio === undefined ? "–" : `${ratio.toFixed(2)} ×`,
      holds === undefined
        ? "not asked for"
        : holds
          ? "holds"
          : ratio === undefined
            ? "**NOT MEASURED**"
            : "**DOES NOT HOLD**"
    ])
  )

const table = (title: string, head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    title,
    "",
    row(head),
    row(head.map((_, column) => (column === 0 ? "---" : "--:"))),
    ...rows.map((cells) => row(head.map((_, column) => cells[column] ?? "")))
  ].join("\n")

const row = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

const spread = (values: ReadonlyArray<number>): string =>
  values.length === 0
    ? "–"
    : values.length === 1
      ? values[0]!.toFixed(2)
      : `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`

const percent = (share: number): string => `${Math.round(share * 100)} %`
