/** Messages that no request asked for, from a handler to its parent, until that says what has become of them. */
import type * as Connection from "@socketserver/core/Connection"

type Pushed = (reason: Connection.Reason | undefined) => void

/** The pushes of a worker that its parent has not confirmed yet. */
export class Pushes {
  private ids = 0
  private readonly waiting = new Map<number, Pushed>()

  add(pushed: Pushed): number {
    this.ids = (this.ids + 1) >>> 0
    this.waiting.set(this.ids, pushed)
    return this.ids
  }

  forget(id: number): void {
    this.waiting.delete(id)
  }

  /** Its parent says what has become of a push. */
  confirm(id: number, reason: Connection.Reason | undefined): void {
    const pushed = this.waiting.get(id)
    this.waiting.delete(id)
    pushed?.(reason)
  }
}
