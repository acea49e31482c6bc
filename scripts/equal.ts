import { AssertionError, deepStrictEqual } from "node:assert"

/** What `expr // => value` in a fence becomes. `at` is the line of the fence's document. */
export const equal = (actual: unknown, expected: unknown, at: string): void => {
  try {
    deepStrictEqual(actual, expected)
  } catch (cause) {
    const message = cause instanceof AssertionError ? cause.message : String(cause)
    throw new AssertionError({ message: `${at}: ${message}`, actual, expected, operator: "deepStrictEqual" })
  }
}
