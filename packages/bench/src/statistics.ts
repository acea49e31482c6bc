/** Medians, and how sure one can be of them. */

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * What one costs as a multiple of what another does. Where they took turns it is what each costs in the quicker half of
 * them: what comes in between, a function that is compiled again or another program, only adds.
 */
export const ratioOf = (
  mine: { readonly value: number; readonly turns?: ReadonlyArray<number> },
  theirs: { readonly value: number; readonly turns?: ReadonlyArray<number> }
): number =>
  mine.turns === undefined || theirs.turns === undefined || mine.turns.length !== theirs.turns.length
    ? mine.value / theirs.value
    : quickerHalf(mine.turns) / quickerHalf(theirs.turns)

/**
 * Turns count two in a row: one of the two went through the programs backwards. Who goes on where it has stopped is quicker,
 * by some per cent, than who has to find its caches again, and in two turns that has come upon each as often.
 */
const quickerHalf = (turns: ReadonlyArray<number>): number => {
  const inTwos = turns.length < 2 ? turns : turns.slice(1).map((value, turn) => (value + turns[turn]!) / 2)
  return mean(inTwos.toSorted((a, b) => a - b).slice(0, Math.ceil(inTwos.length / 2)))
}

export const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Numbers from 0 to 1, the same ones each time. */
const random = () => {
  let state = 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const resamples = 2_000

/** The range that holds the median with 95 %: that of the medians of samples drawn again from the sample. */
export const range = (values: ReadonlyArray<number>): { readonly low: number; readonly high: number } => {
  const next = random()
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(next() * values.length)]!))
  ).sort((a, b) => a - b)
  return { low: medians[Math.floor(resamples * 0.025)]!, high: medians[Math.ceil(resamples * 0.975) - 1]! }
}

export type Verdict = "slower" | "quicker" | "no difference" | "cannot tell" | "not there"

export interface Judged {
  readonly verdict: Verdict
  readonly ratio: number
  readonly low: number
  readonly high: number
  /** The smallest difference that would be seen: 0.05 is 5 %. */
  readonly sees: number
}

/** What two processes of one and the same program may differ in for as long as they live. */
const margin = 0.015
/** With fewer rounds than `enough` chance alone puts all of them on one side too often, so that more is asked for. */
const enough = 5
const largeMargin = 0.05
const tooNoisy = 0.1

/**
 * Whether a cost has grown, from its ratios to what it was, one for each round: only where all of the range lies
 * above what chance makes of an unchanged program. On a machine that others use, few rounds say nothing.
 */
export const judge = (ratios: ReadonlyArray<number>, disturbed: boolean): Judged => {
  const none = Number.NaN
  if (ratios.length === 0) return { verdict: "not there", ratio: none, low: none, high: none, sees: none }
  const ratio = median(ratios)
  const { high, low } = range(ratios)
  const least = ratios.length < enough ? largeMargin : margin
  const sees = Math.max(high / ratio - 1, 1 - low / ratio) + least
  const tooFew = ratios.length < 3 || (ratios.length < enough && disturbed)
  const verdict = tooFew
    ? "cannot tell"
    : low > 1 + least
      ? "slower"
      : high < 1 / (1 + least)
        ? "quicker"
        : sees > tooNoisy
          ? "cannot tell"
          : "no difference"
  return { verdict, ratio, low, high, sees }
}
