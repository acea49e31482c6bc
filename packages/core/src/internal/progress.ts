import type * as Wire from "../Wire.ts"

/** Whether what was written goes on to be taken, in any measure that grows with it. */
export const takenOf = (wire: Wire.Wire): number => wire.bytesTaken ?? wire.bytesWritten - wire.bytesUnsent

/**
 * Looks now and then whether a peer goes on to take what was written. What is
 * known of that may come late: four looks see what two would not.
 */
export class Progress {
  private readonly wire: Wire.Wire
  private readonly millis: number
  private taken: number
  /** For how many looks nothing has been taken. */
  private still = 0

  constructor(wire: Wire.Wire, millis: number) {
    this.wire = wire
    this.millis = millis
    this.taken = takenOf(wire)
  }

  /** When to look next, in milliseconds. */
  get next(): number {
    const { millis, still } = this
    return Math.floor((millis * (still + 1)) / looks) - Math.floor((millis * still) / looks)
  }

  /** Whether nothing was taken in all of the time. It begins again then, and whenever something was. */
  look(): boolean {
    const taken = takenOf(this.wire)
    // Where all of it was taken, whoever waits is to be told; nothing comes after that.
    this.still = taken === this.taken || this.wire.bytesUnsent === 0 ? this.still + 1 : 0
    this.taken = taken
    if (this.still < looks) return false
    this.still = 0
    return true
  }
}

const looks = 4
