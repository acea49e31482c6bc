/** How many workers there are where nobody says it: as many as memory carries. */
import { totalmem } from "node:os"

/** What this process may use: a container's limit, or else half of what the machine has. */
const memory = (): number => {
  const total = totalmem()
  // Without a limit it is none, or more than there is.
  const limit = process.constrainedMemory()
  return limit > 0 && limit < total ? limit : Math.min(total / 2, 4 * 2 ** 30)
}

/** A program of a few modules, once it has handled requests (`pnpm bench`). */
const workerBytes = 80 * 2 ** 20

/** As many workers as memory carries, so many at most and one at least. */
export const carried = (most: number, free = memory() - process.memoryUsage.rss()): number =>
  Math.max(1, Math.min(most, Math.floor(free / workerBytes)))
