/** The tables of `docs/explanation/speed.md` and of the README. */
import { mainDepths, mainRow, ratioText, type Results, type Row } from "./speedResults.ts"

/** Which rows stand in which table of the page. The main table has its own form. */
export const sections: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  python: [/^python/],
  protocols: [
    /^frames 32 B/,
    /^frames 4 KiB/,
    /^frames 1 MiB/,
    /^connection 1 MiB/,
    /^json/,
    /^redis/,
    /^dns/,
    /^drip/
  ],
  effect: [/^http/, /^rpc/, /^metrics/],
  connections: [/^short connections/, /^4,000 connections/, /^broadcast/],
  transports: [/^tls/, /^udp/, /^unixgram/],
  idle: [/^idle tcp/, /^idle unix/, /^idle tls/],
  workers: [/^worker/, /^process latency/, /^process sustained/, /^a millisecond of work/],
  start: [/^start/]
}

/** Where there is nothing to show, the page says so. */
const nothing = "Not measured yet."

/** The blocks between the markers of the page, by their names. */
export const pageBlocks = (results: Results | undefined): Readonly<Record<string, string>> => {
  const rows = results?.rows ?? []
  const known = [/^lines$/, ...Object.values(sections).flat()]
  const lost = rows.filter(({ row }) => !known.some((name) => name.test(row)))
  if (lost.length > 0) throw new Error(`no table has the row ${lost[0]!.row}: name it in scripts/speedTables.ts`)
  return {
    machine: results === undefined ? nothing : machine(results),
    picture: results === undefined ? nothing : picture,
    lines: results === undefined ? nothing : matrix(rows, () => true),
    ...Object.fromEntries(
      Object.entries(sections).map(([name, wanted]) => [name, results === undefined ? nothing : list(rows, wanted)])
    )
  }
}

/** The README's block: what most people ask. */
export const readmeBlock = (results: Results | undefined): string =>
  results === undefined
    ? nothing
    : matrix(results.rows, (server) =>
        [
          "socketserver, fiber",
          "socketserver, fiber, yields",
          "Effect's NodeSocketServer, by hand",
          "Effect's NodeSocketServer, by hand, yields"
        ].includes(server)
      )

export const pictureFile = (mode: string): string => `docs/explanation/speed-${mode}.svg`

const picture = [
  "<picture>",
  '  <source media="(prefers-color-scheme: dark)" srcset="speed-dark.svg">',
  '  <img alt="CPU per request of each server, as a multiple of node:net by hand; the figures are in the table" src="speed-light.svg">',
  "</picture>"
].join("\n")

const machine = ({ card, mode, rows }: Results): string => {
  const { programs } = card
  const others = Object.entries(programs).flatMap(([name, version]) =>
    version === undefined ? [] : [`${name[0]!.toUpperCase()}${name.slice(1)} ${version.replace(/^\D+/, "")}`]
  )
  const rounds = rows.filter(({ ratio }) => ratio !== null).map((row) => row.rounds)
  const [least, most] = [Math.min(...rounds), Math.max(...rounds)]
  const earlier = rows.filter(({ commit }) => commit !== undefined).length
  const busy = rows.filter(({ othersBusy }) => othersBusy > 0.1).length
  return [
    `${mode === "full" ? "A full run" : "A short run, whose figures are rough,"} of ${card.date}, commit \`${card.commit}\`: ${least === most ? least : `${least} to ${most}`} rounds a row.`,
    `${card.cores} cores, ${card.cpu}, ${card.memoryGib} GiB; ${card.os}, kernel ${card.kernel}; ${[`Node ${card.node.replace(/^v/, "")}`, ...others].join(", ")}.`,
    busy === 0
      ? "In no row did other programs take more than a tenth of a core."
      : `In ${busy} of ${rows.length} rows other programs took more than a tenth of a core; those say so.`,
    ...(earlier === 0 ? [] : [`${earlier} rows are of an earlier commit, which they name.`])
  ].join("\n")
}

/** A line for each server, a column for each depth. */
const matrix = (rows: ReadonlyArray<Row>, isWanted: (server: string) => boolean): string => {
  const main = rows.filter(({ row, server }) => row === mainRow && isWanted(server))
  if (main.length === 0) return nothing
  const at = (server: string, depth: number) => main.find((row) => row.server === server && row.depth === depth)
  const servers = [...new Set(main.map(({ server }) => server))]
  return table(
    ["server", ...mainDepths.map((depth) => (depth === 1 ? "1 outstanding" : String(depth)))],
    ["---", ...mainDepths.map(() => "--:")],
    [
      [`${main[0]!.baseline}, by hand`, ...mainDepths.map(() => "1.00")],
      ...servers.map((server) => [emphasised(server), ...mainDepths.map((depth) => ratio(at(server, depth)))])
    ]
  )
}

/** A line for each row. */
const list = (rows: ReadonlyArray<Row>, wanted: ReadonlyArray<RegExp>): string => {
  const found = wanted.map((name) => ({ name, rows: rows.filter(({ row }) => name.test(row)) }))
  const hasNotes = found.some(({ rows }) => rows.some((row) => remark(row) !== ""))
  const empty = hasNotes ? [""] : []
  return table(
    ["what", "outstanding", "server", "beside", "×", "measured", "beside", ...(hasNotes ? ["remark"] : [])],
    ["---", "--:", "---", "---", "--:", "--:", "--:", ...(hasNotes ? ["---"] : [])],
    found.flatMap(({ name, rows }) =>
      rows.length === 0
        ? [[name.source.replace("^", ""), "", "", "", "not measured", "", "", ...empty]]
        : rows.map((row) => [
            `${row.row}: ${row.unit}`,
            String(row.depth),
            emphasised(row.server),
            row.baseline,
            ratio(row),
            amount(row.mine, row.unit),
            amount(row.theirs, row.unit),
            ...(hasNotes ? [remark(row)] : [])
          ])
    )
  )
}

const remark = ({ commit, note }: Row): string =>
  [commit === undefined ? undefined : `commit \`${commit}\``, note].filter((text) => text !== undefined).join("; ")

const emphasised = (server: string): string =>
  server.startsWith("socketserver") ? server.replace("socketserver", "**socketserver**") : server

const ratio = (row: Row | undefined): string => {
  if (row === undefined || row.ratio === null || row.low === null || row.high === null) {
    return row?.note === undefined ? "not measured" : `not measured: ${row.note}`
  }
  const range = row.rounds > 1 ? ` (${ratioText(row.low)}–${ratioText(row.high)})` : ""
  return `${ratioText(row.ratio)}${range}`
}

const amount = (value: number | null, unit: string): string => {
  if (value === null) return ""
  if (unit.startsWith("bytes")) return value < 10_000 ? `${Math.round(value)} B` : `${(value / 1000).toFixed(1)} kB`
  if (unit.includes("per second")) return `${Math.round(value).toLocaleString("en-US")}/s`
  const scale = value < 1e-3 ? ([1e6, "µs"] as const) : value < 1 ? ([1e3, "ms"] as const) : ([1, "s"] as const)
  return `${Number((value * scale[0]).toPrecision(3))} ${scale[1]}`
}

const table = (
  head: ReadonlyArray<string>,
  rule: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): string =>
  [head, rule, ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n")

/** The document with what stands between its markers replaced; each block has its place, and each place its block. */
export const filled = (document: string, blocks: Readonly<Record<string, string>>): string => {
  const used = new Set<string>()
  const text = document.replace(
    /(<!-- speed:(\w+) -->\n)[^]*?(<!-- \/speed:\2 -->)/g,
    (_, open: string, name: string, close: string) => {
      const block = blocks[name]
      if (block === undefined) throw new Error(`there is no block ${name}`)
      used.add(name)
      return `${open}\n${block}\n\n${close}`
    }
  )
  const unused = Object.keys(blocks).filter((name) => !used.has(name))
  if (unused.length > 0) throw new Error(`no place for ${unused.join(", ")}`)
  return text
}
