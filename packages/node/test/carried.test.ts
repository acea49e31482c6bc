/** How many workers there are where nobody says it. */
import { assert, describe, it } from "@effect/vitest"
import { carried } from "../src/internal/worker/carried.ts"

describe("as many workers as memory carries", () => {
  it.each([
    [40, 24_576, 40],
    [40, 256, 3],
    [2, 256, 2],
    [40, 10, 1],
    [40, -100, 1]
  ])("are of %i, with %i MiB, %i", (most, mib, workers) => {
    assert.strictEqual(carried(most, mib * 2 ** 20), workers)
  })
})
