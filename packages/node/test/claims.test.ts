import { assert, describe, it } from "@effect/vitest"
import { closeSync } from "node:fs"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { bytesOf, Claims, fileCells, memoryCells, openFile } from "../src/internal/worker/claims.ts"

const slots = 8
const rounds = 3_000

/** Two threads that want the same calls at the same time; for each call, whether either got it. */
const race = async (cells: number | SharedArrayBuffer) => {
  const claims = new Claims(typeof cells === "number" ? fileCells(cells) : memoryCells(cells))
  const claimed = new Int32Array(new SharedArrayBuffer(4 * (rounds + 1)))
  const turns = new Int32Array(new SharedArrayBuffer(8))
  const revoked = new Int32Array(rounds + 1)
  const worker = new Worker(new URL("./support/claimer.ts", import.meta.url), {
    workerData: { cells, claimed, rounds, slots, turns }
  })
  await once(worker, "online")
  for (let id = 1; id <= rounds; id++) {
    Atomics.store(turns, 0, id)
    for (let i = 0; i < (id * 11) % 40; i++) Atomics.load(turns, 0)
    revoked[id] = claims.revoke(id % slots, id) ? 1 : 0
    while (Atomics.load(turns, 1) < id);
  }
  await once(worker, "exit")
  const results = { both: 0, worker: 0, parent: 0, neither: 0, wrong: 0 }
  for (let id = 1; id <= rounds; id++) {
    if (revoked[id] === 1) results[claimed[id] === 1 ? "both" : "parent"]++
    else results[claimed[id] === 1 ? "worker" : "neither"]++
  }
  return results
}

describe.each([
  ["memory", () => new SharedArrayBuffer(bytesOf(slots))],
  ["a file", () => openFile(slots) as number]
] as const)("a call that a worker claims and its parent revokes, in %s", (_, make) => {
  it("is never had by both, in a race of threads", { timeout: 60_000 }, async () => {
    const cells = make()
    const { both, parent, worker } = await race(cells)
    if (typeof cells === "number") closeSync(cells)
    assert.strictEqual(both, 0)
    // Otherwise there was no race.
    assert.isAbove(worker, 0)
    assert.isAbove(parent, 0)
  })

  it("is its that came first, and what was said of another in the same slot does not count", () => {
    const cells = make()
    const claims = new Claims(typeof cells === "number" ? fileCells(cells) : memoryCells(cells))
    assert.isTrue(claims.claim(3, 1))
    assert.isTrue(claims.isClaimed(3, 1))
    assert.isFalse(claims.revoke(3, 1))
    assert.isFalse(claims.isClaimed(3, 4_294_967_295))
    assert.isTrue(claims.revoke(3, 4_294_967_295))
    assert.isFalse(claims.claim(3, 4_294_967_295))
    assert.isTrue(claims.claim(7, 1))
    if (typeof cells === "number") closeSync(cells)
  })
})
