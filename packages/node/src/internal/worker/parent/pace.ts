/** How quick workers are: which are late, and how much each is given ahead. */
import type { WorkerHandle } from "./workerHandle.ts"

/** How much a worker is given ahead: at least, however long it takes; and at most, where it is done in a moment. */
export interface Ahead {
  readonly least: number
  readonly most: number
}

/**
 * Who takes much longer than others, by counting what those have done meanwhile
 * rather than by a clock: what is slow for one service is fast for another. And how
 * much of it a worker does in a moment: what waits there waits no longer than that.
 */
export class Pace {
  private readonly bounds: Ahead
  private readonly now: () => number
  private total = 0
  /** How many were done when a worker last did one, or began after it had nothing to do; and when that was. */
  private readonly since = new Map<WorkerHandle, { total: number; at: number }>()
  /** What a call takes a worker, in milliseconds, of late. */
  private each: number | undefined = undefined

  constructor(bounds: Ahead, now: () => number) {
    this.bounds = bounds
    this.now = now
  }

  /** How many calls a worker is given ahead. */
  get ahead(): number {
    const { bounds, each } = this
    if (each === undefined) return bounds.least
    return Math.max(bounds.least, Math.min(bounds.most, Math.floor(momentMillis / each)))
  }

  /** A worker begins after it had nothing to do. */
  begins(worker: WorkerHandle): void {
    this.since.set(worker, { total: this.total, at: this.now() })
  }

  /** A worker has done a call. */
  did(worker: WorkerHandle): void {
    this.total++
    const at = this.now()
    const since = this.since.get(worker)
    if (since === undefined) return void this.since.set(worker, { total: this.total, at })
    const took = at - since.at
    this.each = this.each === undefined ? took : this.each + (took - this.each) / remembered
    since.total = this.total
    since.at = at
  }

  drop(worker: WorkerHandle): void {
    this.since.delete(worker)
  }

  /** Whether those who have done anything since it has have each done as much as they may. */
  isLate(worker: WorkerHandle): boolean {
    const { ahead } = this
    const mine = this.since.get(worker)?.total ?? 0
    const since = this.total - mine
    if (since <= ahead) return false
    let others = 0
    for (const other of this.since.values()) if (other.total > mine) others++
    return since > ahead * others
  }
}

/** What a worker has ahead, it should have done within this. */
const momentMillis = 1

/** Of how many calls it is known what they take. */
const remembered = 32
