/** Rows: what a server costs beside its baseline, with the noise of it. */
import type { Bench, Case, Loader } from "./bench.ts"
import { measure, type Plan, progress, type Results, type Variant } from "./run.ts"
import { median, ratioOf } from "./statistics.ts"

export interface Row {
  readonly row: string
  readonly server: string
  readonly baseline: string
  /** Requests outstanding for each connection. */
  readonly depth: number
  /** Times are in seconds, memory in bytes. */
  readonly unit: string
  /** Median, lowest and highest of the ratios of the rounds; none where it could not be measured. */
  readonly ratio: number | null
  readonly low: number | null
  readonly high: number | null
  readonly rounds: number
  readonly mine: number | null
  readonly theirs: number | null
  /** Cores that other programs kept busy meanwhile, or that were stolen. */
  readonly othersBusy: number
  readonly note?: string
  /** When it was measured, where that was earlier than the others of a file. */
  readonly commit?: string
}

/** More than that, and a row is run again. */
export const disturbed = 0.1

/** What is asked of a bench: the cases that were chosen. */
export interface Chosen {
  readonly bench: Bench
  readonly cases: ReadonlyArray<Case>
}

export interface Measuring {
  readonly rows: ReadonlyArray<Row>
  readonly wrong: boolean
}

export const measureRows = async (
  { bench, cases }: Chosen,
  options: {
    readonly root: string
    readonly plan: Plan
    readonly load: Loader
    /** No row is run again after that. */
    readonly rerunUntil: number
    readonly notes: ReadonlyArray<string>
  }
): Promise<Measuring> => {
  const variants: ReadonlyArray<Variant> = bench.programs.map((program) => ({
    id: program.name,
    program,
    root: options.root
  }))
  const first = await measure(bench, [variants], cases, options.plan, options.load)
  const noisy = cases.filter((which) => others(first, which, bench) > disturbed)
  const again = noisy.length > 0 && performance.now() < options.rerunUntil
  if (again) progress(`  ${bench.name}: others were busy, once more`)
  // A case may lean on the one before it.
  const second = again
    ? await measure(bench, [variants], bench.alone === true ? cases : noisy, options.plan, options.load)
    : undefined
  const rows = cases.flatMap((which) => {
    const isNoisy = noisy.includes(which)
    const quieter = isNoisy && second !== undefined && others(second, which, bench) < others(first, which, bench)
    const results = quieter ? second : first
    const left = others(results, which, bench)
    const notes = [
      ...options.notes,
      ...(isNoisy && second !== undefined ? ["run again"] : []),
      ...(left > disturbed ? [`others used ${left.toFixed(1)} cores`] : [])
    ]
    return bench.compare.map(([server, baseline]) => rowOf(results, which, server, baseline, notes, bench))
  })
  return { rows, wrong: first.wrong || second?.wrong === true }
}

const others = (results: Results, which: Case, bench: Bench): number => {
  const all = bench.programs.flatMap(({ name }) => [...results.samples(which, name).values()])
  const seconds = all.reduce((sum, sample) => sum + sample.seconds, 0)
  return seconds === 0 ? 0 : Math.max(0, all.reduce((sum, sample) => sum + sample.others * sample.seconds, 0) / seconds)
}

const rowOf = (
  results: Results,
  which: Case,
  server: string,
  baseline: string,
  notes: ReadonlyArray<string>,
  bench: Bench
): Row => {
  const [mine, theirs] = [results.samples(which, server), results.samples(which, baseline)]
  const rounds = [...mine.keys()].filter((round) => theirs.has(round))
  const ratios = rounds.map((round) => ratioOf(mine.get(round)!, theirs.get(round)!))
  const measured = ratios.length > 0
  const why = results.failures.get(server) ?? results.failures.get(baseline)
  const said = rounds.flatMap((round) => mine.get(round)!.note ?? [])
  const note = [...notes, ...said.slice(-1), ...(why === undefined ? [] : [why])].join("; ")
  const valueOf = (samples: typeof mine) =>
    samples.size === 0 ? null : median([...samples.values()].map(({ value }) => value))
  return {
    row: which.row,
    server,
    baseline,
    depth: which.depth,
    unit: which.unit,
    ratio: measured ? median(ratios) : null,
    low: measured ? Math.min(...ratios) : null,
    high: measured ? Math.max(...ratios) : null,
    rounds: ratios.length,
    mine: valueOf(mine),
    theirs: valueOf(theirs),
    othersBusy: Number(others(results, which, bench).toFixed(3)),
    ...(note === "" ? {} : { note })
  }
}
