/** A `Map` of what comes and goes is a `Map` in all but its tables. */
import { assert, describe, it } from "@effect/vitest"
import * as Remote from "@socketserver/core/Remote"

/** Numbers from 0 to 1, the same ones for a seed. */
const randomOf = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

describe("what comes and goes", () => {
  it.each(Array.from({ length: 50 }, (_, seed) => seed))("is as in a Map (seed %i)", (seed) => {
    const random = randomOf(seed)
    const map = new Map<number, number>()
    const passing = new Remote.Passing<number, number>()
    for (let at = 0; at < 2_000; at++) {
      const key = Math.floor(random() * (seed + 1) * 4)
      const dice = random()
      if (dice < 0.5) {
        map.set(key, at)
        passing.set(key, at)
      } else if (dice < 0.999) assert.strictEqual(passing.delete(key), map.delete(key))
      else {
        map.clear()
        passing.clear()
      }
      assert.strictEqual(passing.size, map.size)
      assert.strictEqual(passing.get(key), map.get(key))
      assert.strictEqual(passing.has(key), map.has(key))
      if (at % 100 > 0) continue
      assert.deepStrictEqual([...passing], [...map])
      assert.deepStrictEqual([...passing.keys()], [...map.keys()])
      assert.deepStrictEqual([...passing.values()], [...map.values()])
    }
  })

  it("may go while somebody goes through it", () => {
    const passing = new Remote.Passing(Array.from({ length: 100 }, (_, key) => [key, key] as const))
    const seen: Array<number> = []
    for (const [key] of passing) {
      seen.push(key)
      passing.delete(key)
      passing.delete(key + 1)
    }
    assert.deepStrictEqual(
      seen,
      Array.from({ length: 50 }, (_, i) => 2 * i)
    )
    assert.strictEqual(passing.size, 0)
  })
})
