/** How long a test may wait for something. */
import { TestRunner } from "vitest"

/** Until shortly before the test's own limit, which would say nothing of what it waited for. */
export const patience = (): number => {
  const test = TestRunner.getCurrentTest()
  const start = test?.result?.startTime
  // What a hook starts has no test yet.
  if (test === undefined || start === undefined) return inHooks
  return Math.max(least, start + test.timeout - Date.now() - margin)
}

const inHooks = 40_000
const margin = 6_000
const least = 1_000

/** A promise that is kept while there is patience; then it says what has come instead. */
export const inTime = <A>(promise: Promise<A>, what: () => string): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what())), patience())
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
