/** The picture of the main table: each server's ratio with its range, for each depth, on a logarithmic scale. */
import * as Plot from "@observablehq/plot"
import { parseHTML } from "linkedom"
import { mainDepths, mainRow, ratioText, type Results, type Row } from "./speedResults.ts"

export type Mode = "light" | "dark"

const colours = {
  light: { paper: "#ffffff", ink: "#1f2328", faint: "#d1d9e0", ours: "#0969da", others: "#59636e" },
  dark: { paper: "#0d1117", ink: "#e6edf3", faint: "#3d444d", ours: "#58a6ff", others: "#9198a1" }
}

type Measured = Row & { readonly ratio: number; readonly low: number; readonly high: number }

export const picture = (results: Results, mode: Mode): string => {
  const { faint, ink, others, ours, paper } = colours[mode]
  const rows = results.rows.filter(
    (row): row is Measured => row.row === mainRow && row.ratio !== null && mainDepths.includes(row.depth)
  )
  const servers = [...new Set(rows.map(({ server }) => server))]
  const colour = ({ server }: Measured) => (server.startsWith("socketserver") ? ours : others)
  const baseline = rows[0]?.baseline ?? "the baseline"
  const widest = Math.max(2, ...rows.map(({ high }) => high))
  const ticks = [1, 2, 4, 8, 16, 32, 64].filter((tick) => tick <= widest * 1.8)
  const place = { fx: "depth", y: "server" } as const
  const svg = Plot.plot({
    document: parseHTML("<!doctype html><html></html>").document as unknown as NonNullable<
      Plot.PlotOptions["document"]
    >,
    className: "speed",
    width: 1000,
    height: 120 + 28 * servers.length,
    marginLeft: 330,
    marginRight: 20,
    marginTop: 50,
    marginBottom: 60,
    style: { background: paper, color: ink, fontSize: "13px", fontFamily: "system-ui, sans-serif" },
    x: { type: "log", base: 2, domain: [0.8, widest * 1.8] },
    y: { domain: servers, label: null, tickSize: 0 },
    fx: {
      domain: mainDepths,
      label: null,
      padding: 0.12,
      tickFormat: (depth: number) => `${depth} outstanding`
    },
    marks: [
      Plot.gridX(ticks, { stroke: faint, strokeOpacity: 1 }),
      Plot.axisX(ticks, {
        tickFormat: (tick: number) => `${tick}×`,
        label: `CPU per request, as a multiple of ${baseline} by hand (logarithmic), with the range of all rounds`,
        labelAnchor: "center",
        labelArrow: "none",
        labelOffset: 42
      }),
      Plot.ruleX([1], { stroke: ink }),
      Plot.ruleY(rows, { ...place, x1: "low", x2: "high", stroke: colour, strokeWidth: 9, strokeOpacity: 0.4 }),
      Plot.dot(rows, { ...place, x: "ratio", r: 3.5, fill: colour }),
      Plot.text(rows, {
        ...place,
        x: "high",
        text: ({ ratio }: Measured) => ratioText(ratio),
        textAnchor: "start",
        dx: 7,
        fill: ink,
        fontSize: 12
      })
    ]
  })
  // Without a namespace an <img> shows nothing, and without a rectangle programs that know no CSS show no background.
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg")
  const back = `<rect width="100%" height="100%" fill="${paper}"></rect>`
  return `${svg.outerHTML.replace(/(<\/style>)/, `$1${back}`)}\n`
}
