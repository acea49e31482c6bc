import { assert, describe, it } from "@effect/vitest"
import { figures } from "./figures.ts"
import { allocated, promoted } from "./support/measure.ts"

const handlers = ["atOnce", "yields"] as const

describe("a request of 16 outstanding", () => {
  for (const handler of handlers) {
    const figure = figures.allocated[handler]
    it(`allocates about ${figure} bytes (${handler})`, () => hold(`allocated.${handler}`, figure, allocated(handler)))
  }
})

for (const what of ["datagrams", "connections"] as const) {
  describe(`each of 100,000 short-lived ${what}`, () => {
    for (const handler of handlers) {
      const figure = figures.promoted[what][handler]
      it(`leaves about ${figure} bytes in the old generation (${handler})`, () =>
        hold(`promoted.${what}.${handler}`, figure, promoted(what, handler), 16))
    }
  })
}

/** `slack` is what chance may add where the figure is near nothing: what happens to be on its way at a collection. */
const hold = (name: string, figure: number, found: number, slack = 0): void => {
  const change = `change ${name} in packages/bench/test/figures.ts, or what this commit allocates`
  assert.isAtMost(found, figure * 1.03 + slack, `it was ${figure} bytes and is ${found}: ${change}`)
  assert.isAtLeast(found, figure * 0.9 - slack, `it has become less: write ${found} to ${name} in figures.ts`)
}
