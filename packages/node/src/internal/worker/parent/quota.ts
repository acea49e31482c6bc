/** When a worker is to be replaced: for `recycle`, and those that stop by themselves. */
import type { Affinity } from "./affinity.ts"
import type { WorkerHandle } from "./workerHandle.ts"

/** How many calls each worker is to handle before it is replaced (recycling), and which take nothing more. */
export class Quota {
  private readonly recycle: number
  private readonly affinity: Affinity
  private readonly exhausted = new WeakSet<WorkerHandle>()

  constructor(recycle: number, affinity: Affinity) {
    this.recycle = recycle
    this.affinity = affinity
  }

  /** A worker takes nothing more, though it has not been told to end. */
  exhaust(worker: WorkerHandle): void {
    this.exhausted.add(worker)
  }

  isExhausted(worker: WorkerHandle): boolean {
    return this.exhausted.has(worker)
  }

  /** Whether a worker has handled all that it is to handle, counting what it has. */
  isDone(worker: WorkerHandle): boolean {
    if (this.exhausted.has(worker)) return true
    // Who has the state of connections goes on for them.
    return this.roomOf(worker) <= 0 && this.affinity.countOf(worker) === 0
  }

  /** How many more a worker is to handle, beside what it has. */
  roomOf({ calls }: WorkerHandle): number {
    return this.recycle - calls.done - calls.taken
  }
}
