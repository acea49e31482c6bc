/** Side-by-side benchmarks: `pnpm bench --help`. Tables go to standard output, progress to standard error. */
import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { checkout, compare, type Compared } from "./against.ts"
import type { Bench } from "./bench.ts"
import { card, openFiles } from "./card.ts"
import { benches } from "./catalogue.ts"
import * as Report from "./report.ts"
import { type Chosen, measureRows, type Row } from "./rows.ts"
import { makeLoader, progress } from "./run.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "")

const usage = `pnpm bench [flags]

  --only ROWS        comma-separated: the name of a benchmark, or text that names of rows contain
  --depth LIST       only with that many requests outstanding, such as 1,16
  --quick            every row in less than five minutes: three short rounds, idle rows once and with 2,000 connections
  --rounds N         that many rounds, in each every program once (7; with --quick 3; with --against as many as there is time for)
  --seconds S        measured window (0.5; with --quick 0.15; with --against 0.6)
  --json FILE        writes the rows, and the card of the machine
  --keep             with --json: keeps the rows of FILE that are not measured now, which then name their commit
  --against COMMIT   beside the packages of another commit, at most 15 minutes: which rows are slower or quicker
  --check            status 1 where a row is slower than COMMIT; a wrong answer is always status 1
  --help

Benchmarks: ${benches.map(({ name }) => name).join(", ")}`

const refuse = (reason: string): never => {
  console.error(reason)
  process.exit(2)
}

const parse = () => {
  try {
    return parseArgs({
      options: {
        only: { type: "string" },
        depth: { type: "string" },
        quick: { type: "boolean", default: false },
        rounds: { type: "string" },
        seconds: { type: "string" },
        json: { type: "string" },
        keep: { type: "boolean", default: false },
        against: { type: "string" },
        check: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    return refuse((error as Error).message)
  }
}
const flags = parse()

const within = (flag: string, text: string | undefined, least: number, most: number): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  return value >= least && value <= most
    ? value
    : refuse(`--${flag} is ${text}, must be a number from ${least} to ${most}`)
}

/** What `--only` and `--depth` leave. */
const chosen = (): ReadonlyArray<Chosen> => {
  const terms = flags.only?.split(",").map((term) => term.trim())
  const depths = flags.depth?.split(",").map((depth) => within("depth", depth, 1, 1024))
  const wants = (bench: Bench, row: string, term: string) =>
    benches.some(({ name }) => name === term) ? bench.name === term : row.includes(term)
  const unknown = terms?.find(
    (term) => !benches.some((bench) => bench.cases.some(({ row }) => wants(bench, row, term)))
  )
  if (unknown !== undefined) refuse(`--only: there is no row ${JSON.stringify(unknown)}`)
  return benches
    .map((bench) => {
      const cases = bench.cases.filter(
        ({ depth, row }) =>
          (terms === undefined || terms.some((term) => wants(bench, row, term))) &&
          (depths === undefined || depths.includes(depth))
      )
      // What is measured beside idle connections needs them.
      return { bench, cases: cases.length > 0 && cases.every(({ cost }) => cost === true) ? bench.cases : cases }
    })
    .filter(({ cases }) => cases.length > 0)
}

/** What stays of the rows that a file has, where it is to. */
const kept = (file: string, rows: ReadonlyArray<Row | Compared>): ReadonlyArray<Row> => {
  if (!flags.keep) return []
  const old = JSON.parse(readFileSync(file, "utf8")) as {
    readonly card: { readonly commit: string }
    readonly rows: ReadonlyArray<Row>
  }
  const measured = new Set(rows.map(({ row }) => row))
  const { commit } = card(root)
  const earlier = old.card.commit === commit ? {} : { commit: old.card.commit }
  return old.rows.filter(({ row }) => !measured.has(row)).map((row) => ({ ...earlier, ...row }))
}

const save = (rows: ReadonlyArray<Row | Compared>, mode: string) => {
  if (flags.json === undefined) return
  const all = [...rows, ...kept(flags.json, rows)]
  writeFileSync(flags.json, `${JSON.stringify({ card: card(root), mode, rows: all }, undefined, 2)}\n`)
}

const quick = flags.quick
const rounds = within("rounds", flags.rounds, 1, 50)
const seconds = within("seconds", flags.seconds, 0.05, 60)
const room = openFiles() - 200
const wantedIdle = quick || flags.against !== undefined ? 2_000 : 10_000
const idle = Math.min(wantedIdle, room)

const limited = (bench: Bench): ReadonlyArray<string> =>
  bench.name.startsWith("idle") && idle < wantedIdle
    ? [`not ${wantedIdle}: no more than ${room + 200} files may be open`]
    : []

const sideBySide = async (): Promise<boolean> => {
  const begun = performance.now()
  const effort = {
    seconds: seconds ?? (quick ? 0.15 : 0.5),
    turns: quick ? 3 : 15,
    warmUp: quick ? 0.08 : 0.15,
    cold: rounds === 1 ? 0 : quick ? 0.2 : 1,
    idle
  }
  const mode = quick ? "quick" : "full"
  const roundsOf = (bench: Bench) => rounds ?? bench.rounds?.[mode] ?? (quick ? 3 : 7)
  const how = quick
    ? `Quick: ${rounds ?? 3} short rounds, idle rows once and with ${idle} connections.`
    : "× is the median of the rounds' ratios, with the lowest and the highest; each round starts every program anew."
  const windows = `Windows of ${effort.seconds} s, in ${effort.turns} turns with the others of a row; every answer is compared.`
  console.log(Report.header(card(root), [how, windows]))
  console.log(`\n${Report.rowHead}`)
  const rows: Array<Row> = []
  let wrong = false
  const { load, stop } = makeLoader(root)
  try {
    for (const one of chosen()) {
      progress(`${((performance.now() - begun) / 1000).toFixed(0)} s: ${one.bench.name}`)
      const count = roundsOf(one.bench)
      const measured = await measureRows(one, {
        root,
        load,
        plan: { rounds: [count, count], until: 0, effort, fresh: !quick },
        // One round is asked for to see that it works.
        rerunUntil: rounds === 1 ? 0 : begun + (quick ? 100_000 : 1_200_000),
        notes: [...(quick ? [`quick: ${count} short round${count === 1 ? "" : "s"}`] : []), ...limited(one.bench)]
      })
      wrong ||= measured.wrong
      rows.push(...measured.rows)
      for (const row of measured.rows) console.log(Report.rowLine(row))
    }
  } finally {
    await stop()
  }
  save(rows, mode)
  progress(`${((performance.now() - begun) / 1000).toFixed(0)} s in all`)
  return !wrong
}

/** How the time for all is shared out. */
const shares: Readonly<Record<string, number>> = {
  lines: 220,
  frames: 120,
  tls: 65,
  udp: 65,
  unixgram: 30,
  worker: 30,
  many: 30,
  "process sustained": 35,
  start: 30,
  "process latency": 25,
  "idle tls": 25
}
const share = ({ name }: Bench): number => shares[name] ?? 14
/** Seconds for the rounds of those that are measured, at most; what has to be looked at again takes two minutes more. */
const allRounds = 720

/** How much of that the first rounds of each take, at most, where there is more. */
const firstStretch = 1.4

const against = async (commit: string): Promise<boolean> => {
  const begun = performance.now()
  const until = begun + 840_000
  const old = await checkout(root, commit).catch((error: Error) => refuse(error.message))
  console.log(
    Report.header(card(root), [
      `Beside ${commit}: × is what it costs now as a multiple of what it cost then, with the range that holds its median with 95 %.`,
      "A row is slower or quicker where it was twice, each time with all of that range.",
      "V8 collects on one thread, and does not guess what lasts: both are chance here."
    ])
  )
  console.log(`\n${Report.comparedHead}`)
  const rows: Array<Compared> = []
  let wrong = false
  const { load, stop } = makeLoader(root)
  try {
    const all = chosen().filter(({ bench }) => bench.repeats !== true)
    // Few rows are looked at for longer: with five rounds first, and then where little was seen.
    const stretch = Math.min(6, allRounds / all.reduce((sum, { bench }) => sum + share(bench), 0))
    const secondsOf = (bench: Bench) => share(bench) * stretch
    for (const [index, one] of all.entries()) {
      const now = performance.now()
      progress(`${((now - begun) / 1000).toFixed(0)} s: ${one.bench.name}`)
      // What is left is shared out among those that are left, and a second look takes no time from later ones.
      const left = until - now
      const later = all.slice(index + 1).reduce((sum, { bench }) => sum + secondsOf(bench) * 1000, 0)
      const own = secondsOf(one.bench) * 1000
      const budget = Math.min(own, (left * own) / (own + later))
      const measured = await compare(one, {
        root,
        old,
        load,
        effort: { seconds: seconds ?? 0.6, turns: 24, warmUp: 0.05, cold: 1.2, idle },
        seconds: (bench) => (rounds === undefined ? Math.min(budget / 1000, share(bench) * firstStretch) : 840),
        closer: () => (rounds === undefined ? budget : 0),
        rounds,
        until: now + Math.max(budget, left - later),
        leisure: () => performance.now() + own + later < until
      })
      wrong ||= measured.wrong
      rows.push(...measured.rows)
      for (const row of measured.rows) console.log(Report.comparedLine(row))
    }
  } finally {
    await stop()
  }
  save(rows, "against")
  progress(`${((performance.now() - begun) / 1000).toFixed(0)} s in all`)
  return !wrong && !(flags.check && rows.some(({ verdict }) => verdict === "slower"))
}

if (flags.help) {
  console.log(usage)
} else if (process.platform !== "linux" || availableParallelism() < 2) {
  refuse("It needs Linux, whose clocks of other processes it reads, and two cores.")
} else {
  chosen()
  const good = await (flags.against === undefined ? sideBySide() : against(flags.against))
  process.exit(good ? 0 : 1)
}
