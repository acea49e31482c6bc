/** Connections, each of which knows its place: a `Map` by ids in all but its tables. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import type * as ConnectionsModule from "../src/internal/connections.ts"

const { Connections } = await vi.importActual<typeof ConnectionsModule>("../src/internal/connections.ts")

const randomOf = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

describe("connections", () => {
  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    "are those of a Map, whoever comes and goes (seed %i)",
    (seed) => {
      const random = randomOf(seed)
      const map = new Map<number, { readonly id: number; slot: number }>()
      const connections = new Connections<{ readonly id: number; slot: number }>()
      for (let id = 1; id < 500; id++) {
        if (random() < 0.6) {
          const one = { id, slot: -1 }
          map.set(id, one)
          connections.add(one)
        } else {
          const gone = map.get(Math.floor(random() * id)) ?? { id: 0, slot: -1 }
          assert.strictEqual(connections.delete(gone), map.delete(gone.id))
          assert.isFalse(connections.delete(gone))
          assert.isFalse(connections.has(gone))
        }
        const wanted = Math.floor(random() * id)
        if (random() < 0.5) assert.strictEqual(connections.get(wanted), map.get(wanted))
        assert.strictEqual(connections.size, map.size)
        assert.deepStrictEqual(connections.inOrder(), [...map.values()])
        assert.sameMembers([...connections.all], [...map.values()])
        assert.sameMembers([...connections.values()], [...map.values()])
      }
    }
  )

  it("may come and go while somebody goes through them", () => {
    const connections = new Connections<{ readonly id: number; slot: number }>()
    const all = Array.from({ length: 10 }, (_, id) => ({ id, slot: -1 }))
    for (const one of all) connections.add(one)
    const seen: Array<number> = []
    for (const one of connections.values()) {
      seen.push(one.id)
      connections.delete(one)
      connections.delete(all[one.id + 1] as never)
      connections.add({ id: 100 + one.id, slot: -1 })
    }
    assert.deepStrictEqual(seen, [0, 2, 4, 6, 8])
    assert.deepStrictEqual(
      connections.inOrder().map(({ id }) => id),
      [100, 102, 104, 106, 108]
    )
  })
})
