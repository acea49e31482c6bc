import { assert, describe, it } from "@effect/vitest"
import { figures } from "./figures.ts"
import { allocated, promoted, promotedOver } from "./support/measure.ts"

const handlers = ["atOnce", "yields"] as const

describe("a request of 16 outstanding", () => {
  for (const handler of handlers) {
    const figure = figures.allocated[handler]
    it(`allocates about ${figure} bytes (${handler})`, () => hold(`allocated.${handler}`, figure, allocated(handler)))
  }
})

for (const [what, all] of Object.entries(figures.promoted)) {
  describe(`each of 100,000 short-lived ${what}`, () => {
    for (const [handler, figure] of Object.entries(all)) {
      it(`leaves about ${figure} bytes in the old generation (${handler})`, () =>
        hold(`promoted.${what}.${handler}`, figure, promoted(what, handler), { bytes: 16 }))
    }
  })
}

describe("over the system's sockets", () => {
  for (const [transport, what] of [
    ["udp", "each of 50,000 datagrams"],
    ["unix", "each of 20,000 connections"]
  ] as const) {
    const figure = figures.promotedOver[transport]
    it(`${what} leaves about ${figure} bytes in the old generation (${transport})`, () =>
      hold(`promotedOver.${transport}`, figure, promotedOver(transport), { bytes: 100, share: 0.1 }))
  }
})

/**
 * `share` and `bytes` are what a figure may grow by: what is on its way at a collection is bytes of chance, and over
 * sockets the system says when something comes.
 */
const hold = (name: string, figure: number, found: number, { bytes = 0, share = 0.03 } = {}): void => {
  const change = `change ${name} in packages/bench/test/figures.ts, or what this commit allocates`
  assert.isAtMost(found, figure * (1 + share) + bytes, `it was ${figure} bytes and is ${found}: ${change}`)
  assert.isAtLeast(found, figure * 0.9 - bytes, `it has become less: write ${found} to ${name} in figures.ts`)
}
