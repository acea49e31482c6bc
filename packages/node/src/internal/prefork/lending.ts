/** What comes to a place that has no copy: the kernel goes on sending peers there, who would wait for one. */
import type { CopyHandle } from "./copyHandle.ts"
import type { Asked } from "./messages.ts"
import type { Slot } from "./slot.ts"

/** A socket of a place, and how copies ask for it. */
export interface Lent {
  readonly asked: Asked
  readonly socket: { readonly close: () => void }
}

/** The sockets of places without a copy, each with the copy of another place until its own has one again. */
export class Lending {
  private readonly slots: ReadonlyArray<Slot>
  private readonly socketsOf: (place: number) => ReadonlyArray<Lent>
  private readonly borrowers = new Map<number, CopyHandle>()

  constructor(slots: ReadonlyArray<Slot>, socketsOf: Lending["socketsOf"]) {
    this.slots = slots
    this.socketsOf = socketsOf
  }

  /** Who serves has changed. */
  look(): void {
    for (const [place, slot] of this.slots.entries()) {
      const before = this.borrowers.get(place)
      const borrower = slot.isVacant ? this.borrowerOf(place, before) : undefined
      if (borrower === before) continue
      before?.giveBack(place)
      this.borrowers.delete(place)
      if (borrower === undefined) continue
      this.borrowers.set(place, borrower)
      borrower.borrow(place, this.socketsOf(place))
    }
  }

  /** Who has them already, or the copy of the next place that has one. */
  private borrowerOf(place: number, before: CopyHandle | undefined): CopyHandle | undefined {
    if (before !== undefined && this.slots.some(({ serving }) => serving === before)) return before
    const { length } = this.slots
    for (let i = 1; i < length; i++) {
      const { serving } = this.slots[(place + i) % length] as Slot
      if (serving !== undefined) return serving
    }
    return undefined
  }
}
