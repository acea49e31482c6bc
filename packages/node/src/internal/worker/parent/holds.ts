/** Replies that hold a worker because they cannot leave, and for how long they may. */
import type { Tick } from "../channel/tick.ts"
import type { Call } from "./call.ts"
import type { WorkerHandle } from "./workerHandle.ts"

/** A call whose worker waits until more of its reply is taken. */
interface Hold {
  readonly worker: WorkerHandle
  /** Since when it holds its worker while somebody waits for that; `undefined` while it does not, or nobody does. */
  from: number | undefined
  /** How long it did before. */
  total: number
  /** When its reader was last seen to read, and how much it had read by then. */
  movedAt: number
  read: number
}

/** How many times as long a reader may take that does read. */
const inAll = 6

/**
 * How long a reply that nobody reads may keep a worker that others wait for: so
 * long without progress of its reader, and six times that in all. A worker that
 * nobody waits for may be held for as long as its reader likes.
 */
export class Holds {
  private readonly tick: Tick
  private readonly millis: () => number
  private readonly isWanted: (worker: WorkerHandle, call: Call) => boolean
  private readonly onExpired: (call: Call) => void
  private readonly holds = new Map<Call, Hold>()
  private callOff: (() => void) | undefined = undefined
  private due = Infinity

  constructor(
    tick: Tick,
    options: {
      readonly millis: () => number
      /** Whether another connection than that of a call waits for a worker. */
      readonly isWanted: (worker: WorkerHandle, call: Call) => boolean
      readonly onExpired: (call: Call) => void
    }
  ) {
    this.tick = tick
    this.millis = options.millis
    this.isWanted = options.isWanted
    this.onExpired = options.onExpired
  }

  /** A call cannot go on until more of its reply is taken. */
  wait(call: Call, worker: WorkerHandle): void {
    const hold = this.holds.get(call) ?? { worker, from: undefined, total: 0, movedAt: 0, read: 0 }
    this.holds.set(call, hold)
    if (this.isWanted(worker, call)) this.start(call, hold)
  }

  /** It goes on. */
  goOn(call: Call): void {
    const hold = this.holds.get(call)
    if (hold !== undefined) this.pause(hold)
    // What has held its worker for a while is remembered: a reader may read little again and again.
    if (hold?.total === 0) this.holds.delete(call)
  }

  /** Its worker has let go of it. */
  forget(call: Call): void {
    this.holds.delete(call)
    if (this.holds.size === 0) this.stop()
  }

  /** Somebody waits who did not, or does so no more. */
  wantedChanged(): void {
    for (const [call, hold] of this.holds) {
      const isWanted = call.isHeld && this.isWanted(hold.worker, call)
      if (isWanted && hold.from === undefined) this.start(call, hold)
      else if (!isWanted) this.pause(hold)
    }
  }

  stop(): void {
    this.callOff?.()
    this.callOff = undefined
    this.due = Infinity
  }

  private start(call: Call, hold: Hold): void {
    hold.from = hold.movedAt = this.tick.now()
    hold.read = call.read
    this.lookAt(hold.movedAt + Math.min(this.millis(), inAll * this.millis() - hold.total))
  }

  private pause(hold: Hold): void {
    if (hold.from === undefined) return
    hold.total += this.tick.now() - hold.from
    hold.from = undefined
  }

  private lookAt(time: number): void {
    if (time >= this.due) return
    this.stop()
    this.due = time
    // Times are no whole numbers: what is left of one may be too little for any time to pass.
    this.callOff = this.tick.after(Math.max(1, time - this.tick.now()), () => this.look())
  }

  private look(): void {
    this.stop()
    const now = this.tick.now()
    const expired: Array<Call> = []
    for (const [call, hold] of this.holds) {
      if (hold.from === undefined) continue
      // Where the peer has read all there is, it is another request that it waits for.
      if (call.read !== hold.read || !call.isUnread) {
        hold.read = call.read
        hold.movedAt = now
      }
      const due = Math.min(hold.movedAt + this.millis(), hold.from + inAll * this.millis() - hold.total)
      if (due <= now) expired.push(call)
      else this.lookAt(due)
    }
    for (const call of expired) {
      this.forget(call)
      this.onExpired(call)
    }
  }
}
