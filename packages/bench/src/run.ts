/** Rounds: every program of a benchmark in turn, in each of its cases. */
import type { Bench, Case, Effort, Loader, Program, Sample, Subject } from "./bench.ts"
import type { Broken, Turned } from "./loads/load.ts"
import { loadCore, start, type Started } from "./processes.ts"
import { median } from "./statistics.ts"

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
  /** New processes for each round: what one and the same program differs in from start to start is then part of the spread. */
  readonly fresh: boolean
  /** Which programs are measured in which cases. Default: all in all. */
  readonly wanted?: (which: Case, program: Program) => boolean
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

/** Those of a group are measured together, one group after the other. */
export const measure = async (
  bench: Bench,
  groups: ReadonlyArray<ReadonlyArray<Variant>>,
  cases: ReadonlyArray<Case>,
  plan: Plan,
  loader: Loader
): Promise<Results> => {
  const variants = groups.flat()
  const { wanted = () => true } = plan
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
  /** All of them in turns: their loads are open at once, and one of them runs at a time. */
  const inTurns = async (which: Case, some: ReadonlyArray<Variant>, round: number) => {
    const { turns } = plan.effort
    const tasks = some.map(({ id }) => alive.get(id)!.task!(which, plan.effort))
    const patience = tasks.reduce((sum, { cold, seconds, warmUp }) => sum + warmUp + 5 * cold + 4 * seconds + 10, 60)
    const reports = await loader<ReadonlyArray<Turned | Broken>>({ tasks, turns }, patience)
    for (const [index, { id }] of some.entries()) {
      const report = reports[index]!
      if ("broken" in report) {
        wrong = true
        fail(id, report.broken)
        await stop(id)
        continue
      }
      const { costs, othersCpu, seconds } = report
      of(which, id).set(round, { value: median(costs), turns: costs, others: othersCpu / seconds, seconds })
    }
  }
  const together = async (order: ReadonlyArray<Variant>, round: number) => {
    // Two at a time, since there are two cores.
    for (let i = 0; i < order.length; i += 2) await Promise.all(order.slice(i, i + 2).map(open))
    for (const which of cases) {
      const some = order.filter(({ id, program }) => alive.has(id) && wanted(which, program))
      if (some.length === 0) continue
      if (some.every(({ id }) => alive.get(id)!.task !== undefined)) {
        await inTurns(which, some, round)
      } else {
        for (const variant of some) {
          const one = await sample(which, variant)
          if (one !== undefined) of(which, variant.id).set(round, one)
        }
      }
    }
    if (plan.fresh) for (const { id } of order) await stop(id)
  }
  const alone = async (order: ReadonlyArray<Variant>, round: number) => {
    for (const variant of order) {
      await open(variant)
      for (const which of cases) {
        const one = wanted(which, variant.program) ? await sample(which, variant) : undefined
        if (one !== undefined) of(which, variant.id).set(round, one)
      }
      await stop(variant.id)
    }
  }

  let round = 0
  try {
    const [least, most] = plan.rounds
    while (round < most && (round < least || performance.now() < plan.until) && failures.size < variants.length) {
      const some = groups.filter((group) => group.some(({ program }) => cases.some((which) => wanted(which, program))))
      const inOrder = <A>(all: ReadonlyArray<A>) => (round % 2 === 0 ? all : all.toReversed())
      for (const group of inOrder(some)) {
        await (bench.alone === true ? alone(inOrder(group), round) : together(inOrder(group), round))
      }
      round++
    }
  } finally {
    for (const { id } of variants) await stop(id)
  }
  return { samples: of, rounds: round, failures, wrong }
}

/** What was measured first, and what after that. */
export const followed = (first: Results, second: Results): Results => ({
  samples: (which, id) =>
    new Map([
      ...first.samples(which, id),
      ...[...second.samples(which, id)].map(([round, sample]) => [first.rounds + round, sample] as const)
    ]),
  rounds: first.rounds + second.rounds,
  failures: new Map([...first.failures, ...second.failures]),
  wrong: first.wrong || second.wrong
})

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
