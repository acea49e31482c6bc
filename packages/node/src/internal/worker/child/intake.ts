/** When a worker begins what it was given: claims, and places. */
import type { Claims } from "../channel/claims.ts"
import { type FrameWriter, Tell } from "../channel/frames.ts"
import type { Link } from "../channel/link.ts"
import type { Tick } from "../channel/tick.ts"
import type { Call } from "./call.ts"

/**
 * The calls that a worker has been given and has not begun. It claims each as
 * soon as there is a place for it: until then its parent may take it back.
 */
export class Intake {
  private readonly each: number
  private readonly claims: Claims
  private readonly link: Link
  private readonly writer: FrameWriter
  private readonly tick: Tick
  private readonly begin: (call: Call) => void
  private readonly waiting: Array<Call> = []
  /** A call that could not be claimed: nothing begins until the parent has cancelled it. */
  private unclaimed: number | undefined = undefined
  /** How many that have begun take a place. */
  private occupied = 0
  private nextIsDue = false
  private stopped = false

  constructor(options: {
    /** How many begin at a time. */
    readonly each: number
    readonly claims: Claims
    readonly link: Link
    readonly writer: FrameWriter
    readonly tick: Tick
    readonly begin: (call: Call) => void
  }) {
    this.each = options.each
    this.claims = options.claims
    this.link = options.link
    this.writer = options.writer
    this.tick = options.tick
    this.begin = options.begin
  }

  add(call: Call): void {
    // Without a claim it cannot be taken back, and has nothing to wait for.
    if (call.facts.claim === 0) return this.begin(call)
    if (this.stopped) return this.writer.add(Tell.returned, call.id)
    this.waiting.push(call)
    this.next()
  }

  /** A call that waits. */
  get(id: number): Call | undefined {
    return this.waiting.find((call) => call.id === id)
  }

  /** A call is not to be begun here, or nobody waits for it any more; whether it is still here. */
  cancel(id: number): boolean {
    if (id === this.unclaimed) {
      this.unclaimed = undefined
      this.next()
    }
    const index = this.waiting.findIndex((call) => call.id === id)
    if (index === -1) return false
    this.waiting.splice(index, 1)
    this.writer.add(Tell.dropped, id)
    return true
  }

  /** A call has begun. */
  began({ kind }: Call): void {
    if (kind.occupies) this.occupied++
  }

  /** A call that had begun has ended. */
  ended({ kind }: Call): void {
    if (kind.occupies) this.occupied--
    this.next()
  }

  /** What has not begun is for others: this server takes nothing any more. */
  stop(): void {
    this.stopped = true
    for (const { id } of this.waiting.splice(0)) this.writer.add(Tell.returned, id)
  }

  /** Begins what waits here as soon as there is a place for it. */
  private next(): void {
    if (this.nextIsDue || this.unclaimed !== undefined || this.waiting.length === 0 || this.occupied >= this.each)
      return
    this.nextIsDue = true
    // Its handler begins in the next turn of the loop, however soon the last one has ended.
    this.tick.soon(() => {
      // Whatever becomes of the next, the answer of the last is safe.
      this.writer.flush()
      this.link.whenSent(() => {
        this.nextIsDue = false
        this.claimNext()
      })
    })
  }

  private claimNext(): void {
    if (this.unclaimed !== undefined || this.occupied >= this.each) return
    const call = this.waiting.shift()
    if (call === undefined) return
    if (this.claims.claim(call.facts.claim - 1, call.id)) {
      this.begin(call)
      return this.next()
    }
    // The parent has it, and its cancelling is on the way; or both wanted it and neither has it. Then what comes
    // after it on its connection must not begin before it does: the parent takes that back before it cancels this.
    this.writer.add(Tell.dropped, call.id)
    this.unclaimed = call.id
  }
}
