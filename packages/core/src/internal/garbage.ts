interface Surroundings {
  readonly now: () => number
  readonly limits: { readonly maxMemory: number; readonly collectGarbage: (() => void) | undefined }
}

/**
 * What was let go of, and no less memory before it is collected. Left to itself V8 does so late: peers that
 * come again and again would have a server take several times as much as it may hold.
 */
export class Garbage {
  private readonly context: Surroundings
  /** How much there is since it was collected, and when that may be again. */
  private bytes = 0
  private collectsAt = 0
  /** Whether one is being reset, with others to come: it is collected after them. */
  private isLate = false

  constructor(context: Surroundings) {
    this.context = context
  }

  /** One has ended that held so much, as most do: V8 finds what was little, of which there is much, by itself. */
  left(bytes: number): void {
    if (bytes < largeBytes || this.context.limits.maxMemory > ownBytes) return
    this.bytes += bytes
    if (!this.isLate) this.collect()
  }

  /** One is reset that holds so much. */
  reset(bytes: number, evict: () => void): void {
    const before = this.bytes
    this.isLate = true
    evict()
    this.isLate = false
    // One that left with much has been counted.
    if (this.bytes === before) this.bytes += Math.max(0, bytes)
  }

  /** Has it collected, where there is much. */
  collect(): void {
    const { context } = this
    const { limits } = context
    const began = context.now()
    if (limits.collectGarbage === undefined || this.bytes <= limits.maxMemory / 2 || began < this.collectsAt) return
    this.bytes = 0
    limits.collectGarbage()
    const ended = context.now()
    const took = ended - began
    this.collectsAt = ended + took * (took > longMillis ? longRest : 1)
  }
}

// Less than this is found among other garbage soon.
const largeBytes = 16 * 1024

// With more memory V8 comes first: it collects buffers once they are 64 MB.
const ownBytes = 128 * 1024 * 1024

// It is collected for half of the time at most, and where that takes longer than this for a tenth.
const longMillis = 50
const longRest = 9
