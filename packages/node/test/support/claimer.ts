/** A worker that claims each call in the round of its parent, and says which it got. */
import { workerData } from "node:worker_threads"
import { fileCells } from "../../src/internal/worker/channel/claimFile.ts"
import { Claims, memoryCells } from "../../src/internal/worker/channel/claims.ts"

const { claimed, cells, rounds, slots, turns } = workerData as {
  readonly cells: number | SharedArrayBuffer
  readonly claimed: Int32Array
  readonly rounds: number
  readonly slots: number
  /** The round that the parent is in, and the one that this worker has done. */
  readonly turns: Int32Array
}
const claims = new Claims(typeof cells === "number" ? fileCells(cells) : memoryCells(cells))

for (let id = 1; id <= rounds; id++) {
  while (Atomics.load(turns, 0) < id);
  // Sometimes this one is first, and sometimes the other.
  for (let i = 0; i < (id * 7) % 40; i++) Atomics.load(turns, 0)
  claimed[id] = claims.claim(id % slots, id) ? 1 : 0
  Atomics.store(turns, 1, id)
}
