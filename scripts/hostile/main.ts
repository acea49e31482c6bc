/**
 * What adversaries can do to a server, from outside: real sockets, real processes, each figure against its bound.
 * `pnpm hostile [--only NAME] [--json FILE]`; the status is 1 where one is missed. It wants two idle cores and an hour.
 * With `--cases DIRECTORY` it runs the cases of others that are there instead, and judges what they print.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { card } from "../../packages/bench/src/card.ts"
import { judge } from "./judged/main.ts"
import { root } from "./programs.ts"
import { type Attempt, head, print, ratioOf, type Row } from "./row.ts"
import { beside } from "./rows/beside.ts"
import { bridges } from "./rows/bridges.ts"
import { idle } from "./rows/idle.ts"
import { memory } from "./rows/memory.ts"
import { places } from "./rows/places.ts"
import { protocols } from "./rows/protocols.ts"
import { stops } from "./rows/stops.ts"
import { resets } from "./rows/tls.ts"
import { turns } from "./rows/turns.ts"
import { workers } from "./rows/workers.ts"

const { values } = parseArgs({
  options: {
    /** Parts of names, separated by commas; a transport may follow: "never reads:tls". */
    only: { type: "string" },
    json: { type: "string" },
    list: { type: "boolean", default: false },
    cases: { type: "string" },
    /** Shows each line that a case has printed. */
    verbose: { type: "boolean", default: false },
    /** How long pipelines of streams go on. */
    seconds: { type: "string", default: "15" }
  }
})

if (values.cases !== undefined) process.exit(await judge(values.cases, values))

const attempts: ReadonlyArray<Attempt> = [
  ...beside,
  ...bridges,
  ...turns,
  ...places,
  ...idle,
  ...memory,
  ...resets,
  ...stops,
  ...protocols,
  ...workers(Number(values.seconds))
]

const wanted = values.only?.split(",").map((term) => term.trim()) ?? [""]
const chosen = attempts.filter(({ name, transport }) => wanted.some((term) => `${name}:${transport}`.includes(term)))
if (chosen.length === 0) {
  console.error(`There is no row ${JSON.stringify(values.only)}; --list shows all`)
  process.exit(2)
}

if (values.list) {
  for (const { name, transport } of chosen) console.log(`${name}:${transport}`)
} else {
  console.log(head)
  const rows: Array<Row> = []
  for (const { name, run, transport } of chosen) {
    const row = await run().catch((error: unknown): Row => ({
      adversary: name,
      transport,
      misses: [`it could not be run: ${String(error)}`]
    }))
    rows.push(row)
    console.log(print(row))
  }
  const missed = rows.filter(({ misses }) => misses.length > 0).length
  console.log(`\n${rows.length - missed} of ${rows.length} within their bounds`)
  if (values.json !== undefined) {
    const all = rows.map((row) => ({ ...row, ratio: ratioOf(row), verdict: row.misses.length === 0 ? "ok" : "miss" }))
    writeFileSync(values.json, `${JSON.stringify({ card: card(root), rows: all }, undefined, 2)}\n`)
  }
  process.exit(missed === 0 ? 0 : 1)
}
