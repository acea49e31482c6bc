/** Rounds: every program of a benchmark in turn, in each of its cases. */
import type { Bench, Case, Effort, Loader, Program, Sample, Subject } from "./bench.ts"
import { loadCore, start, type Started } from "./processes.ts"

/** A program of a tree; its id tells it from the same program of another tree. */
export interface Variant {
  readonly id: string
  readonly program: Program
  readonly root: string
}

export interface Plan {
  /** At least, and at most if time is left. */
  readonly rounds: readonly [least: number, most: number]
  /** No further round is begun after that, in milliseconds of `performance.now()`. */
  readonly until: number
  readonly effort: Effort
  /** Windows of each program in a round. */
  readonly windows: number
  /** New processes for each round: what one and the same program differs in from start to start is then part of the spread. */
  readonly fresh: boolean
}

export interface Results {
  /** Of one case and one variant, by round; of a round that failed, none. */
  readonly samples: (which: Case, id: string) => ReadonlyMap<number, Sample>
  readonly rounds: number
  /** Why a variant could not be measured. */
  readonly failures: ReadonlyMap<string, string>
  /** Whether any answer was wrong, or none came: the failure of a program that had started. */
  readonly wrong: boolean
}

export const progress = (text: string) => console.error(text)

export const measure = async (
  bench: Bench,
  variants: ReadonlyArray<Variant>,
  cases: ReadonlyArray<Case>,
  plan: Plan,
  loader: Loader
): Promise<Results> => {
  const samples = new Map<string, Map<number, Sample>>()
  const of = (which: Case, id: string) => {
    const key = `${bench.cases.indexOf(which)} ${id}`
    const known = samples.get(key) ?? new Map<number, Sample>()
    samples.set(key, known)
    return known
  }
  const failures = new Map<string, string>()
  let wrong = false
  const alive = new Map<string, Subject>()

  const fail = (id: string, error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    failures.set(id, reason)
    progress(`  ${bench.name}: ${id}: ${reason}`)
  }
  const stop = async (id: string) => {
    const subject = alive.get(id)
    alive.delete(id)
    await subject?.stop()
  }
  const open = async ({ id, program, root }: Variant) => {
    if (alive.has(id) || failures.has(id)) return
    try {
      if (program.missing !== undefined) throw new Error(program.missing)
      await program.prepare?.(root)
      alive.set(id, await bench.open(program, root, loader))
    } catch (error) {
      fail(id, error)
    }
  }
  const sample = async (which: Case, { id }: Variant): Promise<Sample | undefined> => {
    const subject = alive.get(id)
    if (subject === undefined) return undefined
    try {
      return await subject.sample(which, plan.effort)
    } catch (error) {
      wrong = true
      fail(id, error)
      await stop(id)
      return undefined
    }
  }
  const record = (which: Case, { id }: Variant, round: number, all: ReadonlyArray<Sample>) => {
    if (all.length === 0) return
    const average = (pick: (sample: Sample) => number) => all.reduce((sum, one) => sum + pick(one), 0) / all.length
    of(which, id).set(round, {
      value: average(({ value }) => value),
      others: average(({ others }) => others),
      seconds: all.reduce((sum, { seconds }) => sum + seconds, 0),
      note: all.find(({ note }) => note !== undefined)?.note
    })
  }
  const together = async (order: ReadonlyArray<Variant>, round: number) => {
    // Two at a time, since there are two cores.
    for (let i = 0; i < order.length; i += 2) await Promise.all(order.slice(i, i + 2).map(open))
    for (const which of cases) {
      const taken = new Map<Variant, Array<Sample>>(order.map((variant) => [variant, []]))
      for (let window = 0; window < plan.windows; window++) {
        for (const variant of window % 2 === 0 ? order : order.toReversed()) {
          const one = await sample(which, variant)
          if (one !== undefined) taken.get(variant)!.push(one)
        }
      }
      for (const [variant, all] of taken) record(which, variant, round, all)
    }
    if (plan.fresh) for (const { id } of order) await stop(id)
  }
  const alone = async (order: ReadonlyArray<Variant>, round: number) => {
    for (const variant of order) {
      await open(variant)
      for (const which of cases) {
        const one = await sample(which, variant)
        if (one !== undefined) record(which, variant, round, [one])
      }
      await stop(variant.id)
    }
  }

  let round = 0
  try {
    const [least, most] = plan.rounds
    while (round < most && (round < least || performance.now() < plan.until) && failures.size < variants.length) {
      const order = round % 2 === 0 ? variants : variants.toReversed()
      await (bench.alone === true ? alone(order, round) : together(order, round))
      round++
    }
  } finally {
    for (const { id } of variants) await stop(id)
  }
  return { samples: of, rounds: round, failures, wrong }
}

/** The load, started when it is needed, and again after it has failed. */
export const makeLoader = (root: string): { readonly load: Loader; readonly stop: () => Promise<void> } => {
  let load: Started | undefined
  const stop = async () => {
    await load?.stop()
    load = undefined
  }
  return {
    stop,
    load: async (task, seconds) => {
      load ??= start({
        program: process.execPath,
        args: [`${root}/packages/bench/src/loads/main.ts`],
        core: loadCore,
        ipc: true
      })
      try {
        return await load.ask(task, seconds * 1000)
      } catch (error) {
        await stop()
        throw error
      }
    }
  }
}
