/**
 * Cases that others wrote, in a directory of theirs: each is run with a limit of its own, and what it prints is judged line by line.
 * `h-*` print a line of JSON for each try; all others say by their status whether the product holds.
 */
import { spawn } from "node:child_process"
import { readdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { card } from "../../../packages/bench/src/card.ts"
import { family, machineBusy, ownCpu } from "../../../packages/bench/src/cpu.ts"
import { root } from "../programs.ts"
import { beside } from "./beside.ts"
import { type Figure, Figures, type Judged, type Line } from "./figures.ts"
import { kinds } from "./kills.ts"
import { staying } from "./leaks.ts"
import { memory } from "./memory.ts"
import { holding } from "./places.ts"
import { stopping } from "./stops.ts"

const all: ReadonlyArray<Judged> = [...beside, ...memory, ...holding, ...kinds, ...stopping, ...staying]

/** What is not held to a case, and why. */
const exempt: Readonly<Record<string, string>> = {
  "udp-reply-address": "an answer leaves from the address that the system chooses: docs/how-to/serve-datagrams.md",
  "syslog-multiline": "not asked for"
}

/** More than that of the cores in the hands of others makes figures of time worthless. */
const idle = 0.3

interface Ran {
  readonly lines: ReadonlyArray<Line>
  readonly text: string
  readonly status: number | null
  readonly late: boolean
  /** How many cores others have used meanwhile. */
  readonly others: number
  readonly seconds: number
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended.
  }
}

const parsed = (text: string): Line | undefined => {
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}

const run = async (
  file: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  seconds: number,
  onLine: (line: Line) => void
): Promise<Ran> => {
  const began = performance.now()
  const [busy, own] = [machineBusy(), ownCpu()]
  const child = spawn(file.endsWith(".sh") ? "bash" : "python3", [file, ...args], {
    cwd: root,
    env: { ...process.env, PROJECT: root, PYTHONDONTWRITEBYTECODE: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const lines: Array<Line> = []
  let text = ""
  const take = (line: string): void => {
    const value = parsed(line)
    if (typeof value !== "object" || value === null) {
      text = `${text}${line}\n`.slice(-2_000)
      return
    }
    lines.push(value)
    onLine(value)
  }
  createInterface(child.stdout).on("line", take)
  createInterface(child.stderr).on("line", take)
  let late = false
  const timer = setTimeout(() => {
    late = true
    for (const pid of family(child.pid ?? 0).toReversed()) kill(pid)
  }, seconds * 1_000)
  const status = await new Promise<number | null>((done) => child.once("close", done))
  clearTimeout(timer)
  const took = (performance.now() - began) / 1_000
  const others = Math.max(0, (machineBusy() - busy - (ownCpu() - own)) / took)
  return { lines, text, status, late, others, seconds: took }
}

interface Result extends Figure {
  readonly case: string
  readonly verdict: "ok" | "MISS" | "busy"
  /** How many cores others have used meanwhile. */
  readonly others: number
}

const columns = [14, 9, 44, 28, 24, 18]
const print = (cells: ReadonlyArray<string>): void =>
  console.log(
    cells
      .map((cell, i) => cell.padEnd(columns[i] ?? 0))
      .join("  ")
      .trimEnd()
  )

/** Runs all cases of a directory whose names have a part of `only`; the status is 1 where a figure is on the wrong side. */
export const judge = async (
  directory: string,
  { json, only, verbose }: { readonly only?: string; readonly json?: string; readonly verbose: boolean }
): Promise<number> => {
  const terms = only?.split(",").map((term) => term.trim()) ?? [""]
  const files = readdirSync(resolve(directory))
    .filter((name) => /\.(py|sh)$/.test(name) && !/^(_|barlib|hlib)/.test(name))
    .filter((name) => terms.some((term) => name.includes(term)))
    .toSorted()
  if (files.length === 0) {
    console.error(`There is no case ${JSON.stringify(only)} in ${directory}`)
    return 2
  }
  const results: Array<Result> = []
  const tell = (name: string, figures: ReadonlyArray<Figure>, others: number): void => {
    for (const figure of figures) {
      const verdict = figure.holds ? "ok" : figure.timed && others > idle ? "busy" : "MISS"
      results.push({ case: name, ...figure, verdict, others: Math.round(others * 10) / 10 })
      print([name, figure.row, figure.what, figure.name, figure.value, figure.bound, verdict])
    }
  }
  print(["case", "row", "try", "figure", "value", "bound", "verdict"])
  for (const file of files) {
    const name = file.replace(/\.\w+$/, "")
    const path = join(resolve(directory), file)
    const judged = all.find((one) => name.startsWith(`${one.name}-`))
    for (const { args = [], env = {}, lines, seconds } of judged?.runs ?? [{ seconds: 120, lines: 0 }]) {
      const figures = new Figures()
      const seen = (line: Line): void => {
        if (verbose) console.log(JSON.stringify(line))
        judged?.judge(line, figures, args)
      }
      const ran = await run(path, args, env, seconds, seen)
      const what = [name, ...args].join(" ")
      figures.of("", what)
      if (judged === undefined) {
        const said = ran.text.trim().split("\n").at(-1) ?? ""
        const why = exempt[name]
        figures.says("it holds", ran.status === 0 ? "ok" : `${ran.late ? "too late" : ran.status}: ${said}`, /^ok/)
        if (why !== undefined) figures.all.length = 0
        if (why !== undefined) print([name, "", "", "exempt", why, "", ran.status === 0 ? "ok" : "–"])
      } else {
        figures.least("lines", ran.lines.length, lines).is("cut off", ran.late, false)
        if (judged.refused !== undefined) {
          figures.of(judged.refused.row, what).says("it is refused", ran.text.trim(), judged.refused.says)
        } else if (!ran.late && ran.status !== 0) {
          figures.says("it has ended", `${ran.status}: ${ran.text.trim().slice(-100)}`, /^0/)
        }
        if (ran.text.includes("Traceback"))
          figures.says("it has failed", ran.text.trim().split("\n").at(-1) ?? "", /^$/)
      }
      tell(what, figures.all, ran.others)
      console.log(`  ${what}: ${Math.round(ran.seconds)} s, ${ran.others.toFixed(1)} cores used by others`)
    }
  }
  const count = (verdict: string) => results.filter((one) => one.verdict === verdict).length
  console.log(
    `\n${count("ok")} figures ok, ${count("MISS")} missed, ${count("busy")} of time that a busy machine has missed`
  )
  if (json !== undefined) {
    writeFileSync(json, `${JSON.stringify({ card: card(root), figures: results }, undefined, 2)}\n`)
  }
  return count("MISS") === 0 ? 0 : 1
}
