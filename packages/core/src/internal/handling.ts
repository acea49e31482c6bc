/** How long requests have taken, in buckets. */
import * as Result from "effect/Result"
import { InvalidOption } from "../ServerError.ts"

/** What is known of them all, in seconds. */
export interface Handled {
  /** How many took at most so long, for each boundary. */
  readonly buckets: ReadonlyArray<[boundary: number, count: number]>
  readonly count: number
  readonly min: number
  readonly max: number
  readonly sum: number
}

/** Counts how long requests take. It knows whole milliseconds, as its server's clock does. */
export class Handling {
  private readonly boundaries: ReadonlyArray<number>
  private readonly counts: Float64Array
  private count = 0
  private millis = 0
  private least = Infinity
  private most = 0

  /** `boundaries` are in seconds, and ascend. */
  constructor(boundaries: ReadonlyArray<number>) {
    this.boundaries = boundaries
    this.counts = new Float64Array(boundaries.length)
  }

  add(millis: number): void {
    const seconds = millis / 1_000
    this.count++
    this.millis += millis
    if (seconds < this.least) this.least = seconds
    if (seconds > this.most) this.most = seconds
    const { boundaries, counts } = this
    // Most are short, and there are few buckets: a search would not find it sooner.
    for (let i = 0; i < boundaries.length; i++) {
      if (seconds > (boundaries[i] as number)) continue
      counts[i] = (counts[i] as number) + 1
      return
    }
  }

  get state(): Handled {
    let sum = 0
    const buckets = this.boundaries.map((boundary, i): [number, number] => [
      boundary,
      (sum += this.counts[i] as number)
    ])
    const { count } = this
    return { buckets, count, min: count === 0 ? 0 : this.least, max: this.most, sum: this.millis / 1_000 }
  }
}

/** The boundaries that an option asks for, if it does. */
export const boundariesOf = (
  asked: boolean | ReadonlyArray<number> | undefined
): Result.Result<ReadonlyArray<number> | undefined, InvalidOption> => {
  if (asked === undefined || asked === false) return Result.succeed(undefined)
  const boundaries = asked === true ? defaultBoundaries : asked
  const isUsable =
    boundaries.length > 0 &&
    boundaries.length <= mostBoundaries &&
    boundaries.every((boundary, i) => boundary > (boundaries[i - 1] ?? 0) && Number.isFinite(boundary))
  if (isUsable) return Result.succeed(boundaries)
  const problem = `it must be 1 to ${mostBoundaries} seconds that ascend, not [${boundaries.join(", ")}]`
  return Result.fail(new InvalidOption({ option: "durations", problem }))
}

/** Where nobody says which: from a millisecond to ten seconds. */
const defaultBoundaries: ReadonlyArray<number> = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Each is a series of its own. */
const mostBoundaries = 64
