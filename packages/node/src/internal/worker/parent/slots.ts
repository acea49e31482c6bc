/** Claims, on the parent's side: what can be taken back from a worker, and what it may have begun. */
import * as Remote from "@socketserver/core/Remote"
import type { Claims } from "../channel/claims.ts"

/** The claims of a worker's calls: each has a slot from when it is given until it is heard that it has ended or was dropped. */
export class Slots {
  private readonly claims: Claims | undefined
  private readonly free: Array<number>
  private readonly taken = new Remote.Passing<number, number>()

  constructor(claims: Claims | undefined, slots: number) {
    this.claims = claims
    this.free = claims === undefined ? [] : Array.from({ length: slots }, (_, slot) => slot)
  }

  get hasFree(): boolean {
    return this.free.length > 0
  }

  /** Takes a slot for a call, if there is one, and returns its claim: one more than the slot, or 0. */
  take(id: number): number {
    const slot = this.free.pop()
    if (slot === undefined) return 0
    this.taken.set(id, slot)
    return slot + 1
  }

  has(id: number): boolean {
    return this.taken.has(id)
  }

  release(id: number): void {
    const slot = this.taken.get(id)
    if (slot !== undefined) this.free.push(slot)
    this.taken.delete(id)
  }

  /** Whether the worker has not begun a call, and will not. Its slot is free when the worker has heard of it. */
  revoke(id: number): boolean {
    const slot = this.taken.get(id)
    return slot !== undefined && this.claims?.revoke(slot, id) === true
  }

  /** Whether the worker may have begun a call. */
  mayHaveBegun(id: number): boolean {
    const slot = this.taken.get(id)
    return slot === undefined || this.claims?.isClaimed(slot, id) !== false
  }
}
