import { GCProfiler, getHeapSpaceStatistics } from "node:v8"

const parts = 5

/**
 * How many bytes each of `total` leaves in the old generation, where only a full collection finds them.
 *
 * A scavenge moves there what has survived one before. With a new space of 4 MB there are many, and nothing of a request
 * should be alive in two.
 */
export const leftByEach = async (total: number, pass: (count: number) => Promise<void>): Promise<number> => {
  await pass(total / parts)
  let left = 0
  for (let part = 0; part < parts; part++) {
    globalThis.gc!()
    const collections = new GCProfiler()
    collections.start()
    const before = oldGeneration()
    await pass(total / parts)
    left += oldGeneration() - before
    const full = collections.stop()!.statistics.filter(({ gcType }) => gcType !== "Scavenge")
    if (full.length > 0) throw new Error("the old generation was collected before it was looked at")
  }
  return Math.round(left / total)
}

/** With what is too large for the new space, and is allocated there at once. */
const oldGeneration = (): number =>
  getHeapSpaceStatistics()
    .filter(({ space_name }) => space_name === "old_space" || space_name === "large_object_space")
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0)
