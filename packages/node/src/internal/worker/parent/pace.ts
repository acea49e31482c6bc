/** Which workers are late: for what they were given ahead. */
import type { WorkerHandle } from "./workerHandle.ts"

/**
 * Who takes much longer than others, by counting what those have done meanwhile
 * rather than by a clock: what is slow for one service is fast for another.
 */
export class Pace {
  /** How many calls others may each do meanwhile. */
  private readonly slack: number
  private total = 0
  /** How many were done when a worker last did one, or began after it had nothing to do. */
  private readonly since = new Map<WorkerHandle, number>()

  constructor(slack: number) {
    this.slack = slack
  }

  /** A worker begins after it had nothing to do. */
  begins(worker: WorkerHandle): void {
    this.since.set(worker, this.total)
  }

  /** A worker has done a call. */
  did(worker: WorkerHandle): void {
    this.since.set(worker, ++this.total)
  }

  drop(worker: WorkerHandle): void {
    this.since.delete(worker)
  }

  /** Whether those who have done anything since it has have each done as much as they may. */
  isLate(worker: WorkerHandle): boolean {
    const mine = this.since.get(worker) ?? 0
    const since = this.total - mine
    if (since <= this.slack) return false
    let others = 0
    for (const other of this.since.values()) if (other > mine) others++
    return since > this.slack * others
  }
}
