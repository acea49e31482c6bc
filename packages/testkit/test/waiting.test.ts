import { assert, describe, it, vi } from "@effect/vitest"
import type { Holding, Place } from "@socketserver/core/Simulation"
import type { PeerState } from "../src/Laws.ts"
import type * as Waiting from "../src/internal/waiting.ts"

const { waits } = await vi.importActual<typeof Waiting>("../src/internal/waiting.ts")

type Wait = readonly [request: number, waitsFor: Holding["waits"][number]["waitsFor"], begun?: boolean, behind?: number]

const holding = (name: string, ...all: ReadonlyArray<Wait>): Holding =>
  ({
    connection: { peer: { name } },
    unsent: 7,
    waits: all.map(([request, waitsFor, begun = true, behind]) => ({
      request,
      waitsFor,
      begun,
      behind,
      bound: "writeTimeout"
    }))
  }) as never

const peer = (name: string, reads = true): PeerState =>
  ({ script: { name }, open: true, reads, length: 2, expected: "0123456789" }) as never

describe("who waits for whom", () => {
  it("ends at who computes or does not read", () => {
    const holdings = [
      holding("a", [1, "handler"], [3, "turn", true, 1]),
      holding("b", [2, "place", false]),
      holding("c", [4, "reader"])
    ]
    assert.deepStrictEqual(waits([peer("a"), peer("b"), peer("c", false), peer("d")], holdings, []), [
      "a has 2 of 10 bytes ← request 1 of a waits for its handler",
      "b has 2 of 10 bytes ← request 2 of b waits for a place ← request 1 of a waits for its handler",
      "c (does not read) has 2 of 10 bytes ← request 4 of c waits for its reader, at most writeTimeout",
      "d has 2 of 10 bytes ← the server does not know it"
    ])
  })

  it("shows a cycle through a turn, what was given ahead and a worker", () => {
    const holdings = [holding("a", [8, "handler"], [9, "turn", true, 8], [10, "turn", true, 8])]
    const places: ReadonlyArray<Place> = [
      { name: "worker-1", has: [9], next: [] },
      { name: "worker-2", has: [10], next: [8] }
    ]
    assert.deepStrictEqual(waits([peer("a")], holdings, places), [
      "a has 2 of 10 bytes ← request 8 of a waits for worker-2, ahead of its turn ← request 10 of a waits for its turn ← request 8 again: a cycle"
    ])
  })

  it("names a worker that computes, and who waits for any", () => {
    const holdings = [holding("a", [1, "handler"]), holding("b", [2, "handler"]), holding("c")]
    assert.deepStrictEqual(
      waits([peer("a"), peer("b"), peer("c")], holdings, [{ name: "worker-1", has: [1], next: [] }]),
      [
        "a has 2 of 10 bytes ← request 1 of a waits for its handler in worker-1",
        "b has 2 of 10 bytes ← request 2 of b waits for a worker ← request 1 of a waits for its handler in worker-1",
        "c has 2 of 10 bytes ← nothing in flight, 7 bytes unsent"
      ]
    )
  })
})
