/** What a benchmark is: programs that do the same work, the cases in which each is measured, and which is compared with which. */
import type { Task } from "./loads/load.ts"
import type { Command } from "./processes.ts"

/** One measurement. */
export interface Sample {
  readonly value: number
  /** The same turn by turn, where it was measured in turns with others. */
  readonly turns?: ReadonlyArray<number>
  /** Cores that were busy with neither the program nor its load. */
  readonly others: number
  /** How long that was, in seconds. */
  readonly seconds: number
  readonly note?: string | undefined
}

/** A program that is ready to be measured. */
export interface Subject {
  readonly sample: (which: Case, effort: Effort) => Promise<Sample>
  /** The load of a case, where it can be measured in turns with others. */
  readonly task?: (which: Case, effort: Effort) => Task
  readonly stop: () => Promise<void>
}

export interface Program {
  readonly name: string
  /** Whether it runs code of these packages, so that it changes with a commit. */
  readonly ours: boolean
  /** The program, of a tree whose root directory is given. */
  readonly command: (root: string) => Command
  /** Why it is not here; else it is. */
  readonly missing?: string | undefined
  /** Made before the first of them starts. */
  readonly prepare?: (root: string) => Promise<void>
}

export interface Case {
  readonly row: string
  readonly depth: number
  readonly unit: string
  /** What the kind of the benchmark wants to know. */
  readonly [option: string]: unknown
}

/** How much time a measurement may take. */
export interface Effort {
  readonly seconds: number
  /** In how many turns with others these are taken. */
  readonly turns: number
  readonly warmUp: number
  /** Seconds of CPU until a new process is taken as compiled. */
  readonly cold: number
  /** Idle connections that are opened. */
  readonly idle: number
}

export interface Bench {
  readonly name: string
  readonly programs: ReadonlyArray<Program>
  readonly cases: ReadonlyArray<Case>
  /** Server and baseline, by name. */
  readonly compare: ReadonlyArray<readonly [server: string, baseline: string]>
  readonly open: (program: Program, root: string, load: Loader) => Promise<Subject>
  /** Whether more is better, as of requests per second. */
  readonly more?: boolean
  /** How often it is measured in a full run and in a quick one, where that is not as often as all the others. */
  readonly rounds?: { readonly full?: number; readonly quick?: number }
  /** Whether its code is that of other rows, so that another commit is not measured by it again. */
  readonly repeats?: boolean
  /** Whether each of its programs is alone while it is measured; else all are alive at once. */
  readonly alone?: boolean
}

/** Gives a task to the load, and starts the load where there is none. */
export type Loader = <A>(task: object | string, seconds: number) => Promise<A>
