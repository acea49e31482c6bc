import { assert, describe, it, vi } from "@effect/vitest"
import type * as Roundses from "../src/internal/rounds.ts"

// Not exported, as it should be: a test alone looks at it.
const { Rounds } = await vi.importActual<typeof Roundses>("../src/internal/rounds.ts")

const of = (name: string) => ({ name, peerKey: name.slice(0, 1) })

describe("rounds of peers", () => {
  it("give each peer a turn, and in it what is its own in order", () => {
    const rounds = new Rounds<ReturnType<typeof of>>()
    for (const name of ["a1", "a2", "a3", "b1", "a4", "c1", "c2"]) rounds.push(of(name))
    assert.strictEqual(rounds.size, 7)
    const order = Array.from({ length: 4 }, () => rounds.shift().name)
    assert.deepStrictEqual(order, ["a1", "b1", "c1", "a2"])
    // One that comes again comes last.
    rounds.push(of("b2"))
    const rest: Array<string> = []
    while (rounds.size > 0) rest.push(rounds.shift().name)
    assert.deepStrictEqual(rest, ["c2", "a3", "b2", "a4"])
  })

  it("lose nothing, and keep what is of a peer in its order, whatever comes and goes", () => {
    // Each of six comes from one of three, and after it none or one goes: all there are of these.
    for (let code = 0; code < 6 ** 6; code++) {
      const rounds = new Rounds<{ readonly peerKey: string; readonly n: number }>()
      const out: Array<{ readonly peerKey: string; readonly n: number }> = []
      for (let n = 0, left = code; n < 6; n++, left = Math.floor(left / 6)) {
        rounds.push({ peerKey: "abc"[left % 3]!, n })
        if (left % 6 > 2) out.push(rounds.shift())
      }
      while (rounds.size > 0) out.push(rounds.shift())
      const ordered = out.every(({ n, peerKey }, i) =>
        out.slice(0, i).every((each) => each.peerKey !== peerKey || each.n < n)
      )
      if (out.length !== 6 || !ordered) assert.fail(`run ${code}: ${JSON.stringify(out)}`)
    }
  })
})
