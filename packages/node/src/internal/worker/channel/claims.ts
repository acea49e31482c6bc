/**
 * Settles who has a call that was given to a worker: the worker, which claims it
 * before it begins, or the parent, which revokes it. A worker that computes reads
 * no frames meanwhile, and one that was killed never will, so that neither can
 * ask the other.
 *
 * Each call has two cells. Who wants it writes its id into one, and only then
 * reads the other: of the two, at least the later one sees the earlier. So never
 * do both have a call; at the worst neither has, and the worker gives it back.
 * It is Dekker's algorithm, and takes only that a read sees what was written
 * before it: `Atomics` has that, and POSIX asks it of files.
 */
export class Claims {
  private readonly cells: Cells

  constructor(cells: Cells) {
    this.cells = cells
  }

  /** For the worker: whether it may begin the call. */
  claim(slot: number, id: number): boolean {
    this.cells.write(2 * slot, id)
    if (this.cells.read(2 * slot + 1) !== id) return true
    // The parent has at most seen that it was wanted. It was not begun.
    this.cells.write(2 * slot, none)
    return false
  }

  /** For the parent: whether the worker has not begun the call, and will not. */
  revoke(slot: number, id: number): boolean {
    this.cells.write(2 * slot + 1, id)
    return this.cells.read(2 * slot) !== id
  }

  /** Whether the worker has claimed the call. */
  isClaimed(slot: number, id: number): boolean {
    return this.cells.read(2 * slot) === id
  }
}

/** No call has this id. */
const none = 0

/** Numbers of 32 bits that a parent and its worker both see; 0 at first. */
export interface Cells {
  readonly read: (index: number) => number
  readonly write: (index: number, value: number) => void
}

export const cellBytes = 4

/** Of so many bytes are the cells of this many calls. */
export const bytesOf = (slots: number): number => 2 * slots * cellBytes

/** Cells in memory that two threads share. */
export const memoryCells = (memory: SharedArrayBuffer): Cells => {
  const cells = new Int32Array(memory)
  return {
    read: (index) => Atomics.load(cells, index) >>> 0,
    write: (index, value) => void Atomics.store(cells, index, value | 0)
  }
}
