/** This tree beside another commit: the same load, the same programs, the packages of each. */
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readFileSync } from "node:fs"
import { spawnSync } from "node:child_process"
import type { Bench, Case, Effort, Loader, Program } from "./bench.ts"
import { run } from "./processes.ts"
import { disturbed, type Chosen } from "./rows.ts"
import { followed, measure, progress, type Results, type Variant } from "./run.ts"
import { judge, type Judged, median, ratioOf, type Verdict } from "./statistics.ts"

export interface Compared {
  readonly row: string
  readonly server: string
  readonly depth: number
  readonly unit: string
  readonly verdict: Verdict
  /** What it costs now, as a multiple of what it cost then: the median of the rounds, and the range that holds it with 95 %. */
  readonly ratio: number | null
  readonly low: number | null
  readonly high: number | null
  /** The smallest difference that the row could have seen: 0.05 is 5 %. */
  readonly sees: number | null
  readonly rounds: number
  /** Beside the baseline by hand. */
  readonly now: number | null
  readonly before: number | null
  readonly othersBusy: number
  readonly note?: string
}

/** Puts a commit beside this tree, with its dependencies and with this tree's benchmarks; gone when this program ends. */
export const checkout = async (root: string, commit: string): Promise<string> => {
  const parsed = spawnSync("git", ["-C", root, "rev-parse", "--verify", "--quiet", `${commit}^{commit}`], {
    encoding: "utf8"
  })
  const hash = parsed.stdout.trim()
  if (parsed.status !== 0) throw new Error(`--against: there is no commit ${JSON.stringify(commit)}`)
  const place = mkdtempSync(join(tmpdir(), "bench-against-"))
  const tree = join(place, "tree")
  process.on("exit", () => {
    spawnSync("git", ["-C", root, "worktree", "remove", "--force", tree], { stdio: "ignore" })
    rmSync(place, { recursive: true, force: true })
    spawnSync("git", ["-C", root, "worktree", "prune"], { stdio: "ignore" })
  })
  await git(root, "worktree", "add", "--detach", "--quiet", tree, hash)
  const { packageManager } = JSON.parse(readFileSync(join(tree, "package.json"), "utf8"))
  progress(`installing what ${hash.slice(0, 12)} needs`)
  await run({
    program: "npx",
    args: ["--yes", packageManager, "--dir", tree, "install", "--frozen-lockfile", "--prefer-offline"]
  })
  const own = join(tree, "packages/bench/src")
  rmSync(own, { recursive: true, force: true })
  cpSync(join(root, "packages/bench/src"), own, { recursive: true })
  return tree
}

const git = (root: string, ...args: ReadonlyArray<string>) => run({ program: "git", args: ["-C", root, ...args] })

const now = (name: string) => `now: ${name}`
const then = (name: string) => `then: ${name}`

/**
 * V8 collects with some threads and decides by what it sees survive where it allocates from then on. On one core the
 * threads stand in each other's way, and in one process of some it takes what passes for what lasts, and costs twice as
 * much: chance, which is the same for both trees, and which no number of rounds is enough for.
 */
const steady = ["--single-threaded-gc", "--no-allocation-site-pretenuring"]

const steadied = (program: Program): Program => ({
  ...program,
  command: (root) => {
    const command = program.command(root)
    return command.program === process.execPath ? { ...command, args: [...steady, ...command.args] } : command
  }
})

/** Each of ours twice, and the first program where it is not ours. Two that are measured together share what is in the caches. */
const groupsOf = (bench: Bench, root: string, old: string): ReadonlyArray<ReadonlyArray<Variant>> =>
  bench.programs.map(steadied).flatMap((program, index) =>
    program.ours
      ? [
          [
            { id: then(program.name), program, root: old },
            { id: now(program.name), program, root }
          ]
        ]
      : index === 0
        ? [[{ id: program.name, program, root }]]
        : []
  )

export interface AgainstOptions {
  readonly root: string
  readonly old: string
  readonly load: Loader
  readonly effort: Effort
  /** Seconds for the rounds of one benchmark. */
  readonly seconds: (bench: Bench) => number
  /** Until when those rows are measured further that see little, in milliseconds of `performance.now()`. */
  readonly closer: (bench: Bench) => number
  /** How many rounds, where that was asked for. */
  readonly rounds: number | undefined
  /** No round is begun after that. */
  readonly until: number
  /** Whether there is time for rows that were disturbed; those that look slower or quicker are looked at again in any case. */
  readonly leisure: () => boolean
}

export const compare = async (
  { bench, cases }: Chosen,
  options: AgainstOptions
): Promise<{ readonly rows: ReadonlyArray<Compared>; readonly wrong: boolean }> => {
  if (performance.now() > options.until) return { rows: untold(bench, cases), wrong: false }
  const groups = groupsOf(bench, options.root, options.old)
  const begun = performance.now()
  const measured = (
    which: ReadonlyArray<Case>,
    only: ReadonlyArray<ReadonlyArray<Variant>>,
    most: number,
    until = Math.min(performance.now() + options.seconds(bench) * 1000, options.until),
    wanted?: (which: Case, program: Program) => boolean
  ) =>
    measure(
      bench,
      only,
      which,
      { rounds: [1, most], until, effort: options.effort, fresh: true, ...(wanted === undefined ? {} : { wanted }) },
      options.load
    )
  const judged = (results: Results) =>
    cases.flatMap((which) =>
      bench.programs
        .filter(({ ours }) => ours)
        .map(({ name }) => ({ which, name, judged: judgeRow(results, bench, which, name) }))
    )
  let first = await measured(cases, groups, options.rounds ?? 20)
  // Where time is left it is for the rows that see least. They are measured with nothing beside them but what they were then.
  const closer = begun + options.closer(bench)
  for (let blunt = judged(first).filter(isBlunt); blunt.length > 0 && performance.now() < closer;) {
    if (first.failures.size > 0) break
    const of = (which: Case, { name }: Program) => blunt.some((one) => one.which === which && one.name === name)
    const only = groups.filter(([one]) => one!.program.ours)
    first = followed(first, await measured(cases, only, 1, closer, of))
    blunt = judged(first).filter(isBlunt)
  }
  const all = judged(first)
  // What looks like a difference, or was disturbed, is looked at once more, alone.
  const leisure = options.leisure()
  const doubtful = all.filter(
    ({ judged, name, which }) =>
      judged.verdict === "slower" ||
      judged.verdict === "quicker" ||
      (leisure && othersOf(first, which, [now(name), then(name)]) > disturbed)
  )
  const timeLeft = performance.now() < options.until
  let second: Results | undefined
  if (doubtful.length > 0 && timeLeft) {
    progress(`  ${bench.name}: ${doubtful.length} rows once more`)
    const names = new Set(doubtful.map(({ name }) => name))
    const again = bench.alone === true ? cases : cases.filter((which) => doubtful.some((one) => one.which === which))
    const only = groups.filter(([first]) => !first!.program.ours || names.has(first!.program.name))
    second = await measured(again, only, Math.max(8, first.rounds))
  }
  const rows = all.map(({ judged, name, which }): Compared => {
    const isDoubtful = doubtful.some((one) => one.which === which && one.name === name)
    const confirmed = isDoubtful && second !== undefined ? judgeRow(second, bench, which, name) : undefined
    const { note, ...final } = settle(judged, confirmed, isDoubtful)
    const quieter = confirmed === undefined ? first : second!
    const why = first.failures.get(now(name)) ?? first.failures.get(then(name))
    const busy = othersOf(quieter, which, [now(name), then(name)])
    const notes = [
      ...(note === undefined ? [] : [note]),
      ...(busy > disturbed ? [`others used ${busy.toFixed(1)} cores`] : []),
      ...(why === undefined ? [] : [why])
    ]
    const there = !Number.isNaN(final.ratio)
    return {
      row: which.row,
      server: name,
      depth: which.depth,
      unit: which.unit,
      verdict: final.verdict,
      ratio: there ? final.ratio : null,
      low: there ? final.low : null,
      high: there ? final.high : null,
      sees: there ? final.sees : null,
      rounds: costs(quieter, bench, which, now(name), then(name)).length,
      now: beside(first, bench, which, now(name)),
      before: beside(first, bench, which, then(name)),
      othersBusy: Number(busy.toFixed(3)),
      ...(notes.length === 0 ? {} : { note: notes.join("; ") })
    }
  })
  return { rows, wrong: first.wrong || second?.wrong === true }
}

/** Whether a row does not see what it is to see, and more rounds may help. */
const isBlunt = ({ judged }: { readonly judged: Judged }): boolean =>
  judged.verdict !== "not there" && judged.sees > sharp

/** How small a difference is to be seen. */
const sharp = 0.05

/** The rows of a benchmark for which there was no time. */
const untold = (bench: Bench, cases: ReadonlyArray<Case>): ReadonlyArray<Compared> =>
  cases.flatMap(({ depth, row, unit }) =>
    bench.programs
      .filter(({ ours }) => ours)
      .map(({ name }) => ({
        row,
        server: name,
        depth,
        unit,
        verdict: "cannot tell",
        ratio: null,
        low: null,
        high: null,
        sees: null,
        rounds: 0,
        now: null,
        before: null,
        othersBusy: 0,
        note: "no time was left"
      }))
  )

/** A difference holds when it was seen twice. */
const settle = (first: Judged, second: Judged | undefined, doubtful: boolean): Judged & { readonly note?: string } => {
  const differs = first.verdict === "slower" || first.verdict === "quicker"
  if (second === undefined) {
    if (!differs) return first
    return { ...first, verdict: "cannot tell", note: doubtful ? `looks ${first.verdict}, no time to look again` : "" }
  }
  if (second.verdict === "not there") return first
  if (second.verdict === first.verdict) return second
  if (!differs && (second.verdict === "slower" || second.verdict === "quicker")) {
    return { ...first, note: `once ${second.verdict}` }
  }
  if (!differs) return second
  return {
    ...second,
    verdict: second.sees > 0.1 ? "cannot tell" : "no difference",
    note: `once ${first.verdict}, not again`
  }
}

/** What one costs as a multiple of what another does, by round. */
const costs = (results: Results, bench: Bench, which: Case, mine: string, theirs: string): ReadonlyArray<number> => {
  const [a, b] = [results.samples(which, mine), results.samples(which, theirs)]
  return [...a].flatMap(([round, sample]) => {
    const other = b.get(round)
    return other === undefined ? [] : [bench.more === true ? ratioOf(other, sample) : ratioOf(sample, other)]
  })
}

const judgeRow = (results: Results, bench: Bench, which: Case, name: string): Judged =>
  judge(
    costs(results, bench, which, now(name), then(name)),
    othersOf(results, which, [now(name), then(name)]) > disturbed
  )

const beside = (results: Results, bench: Bench, which: Case, id: string): number | null => {
  const [first] = bench.programs
  if (first === undefined || first.ours) return null
  const ratios = costs(results, bench, which, id, first.name)
  return ratios.length === 0 ? null : median(ratios)
}

const othersOf = (results: Results, which: Case, ids: ReadonlyArray<string>): number => {
  const all = ids.flatMap((id) => [...results.samples(which, id).values()])
  return all.length === 0 ? 0 : Math.max(0, all.reduce((sum, { others }) => sum + others, 0) / all.length)
}
