/** What waits for something until a certain moment. */
export interface Timed {
  /** When it is looked at; {@link never} while nothing is waited for. Kept by {@link Deadlines}. */
  dueAt: number
  /** Where it stands among those that wait. Kept by {@link Deadlines}. */
  queuedAt: number
  /** Ends what has taken too long; returns when to look again. */
  look(now: number): number
}

/** What deadlines need of their server. */
export interface Setting {
  readonly now: () => number
  readonly after: (millis: number, f: () => void) => () => void
  readonly troubles: { readonly attempt: (what: string, f: () => void) => void }
}

/** No moment at all. A small integer, as all moments are: they cost no memory of their own. */
export const never = -1

/**
 * When what has to be looked at: one heap and one timer for a whole server.
 *
 * Nothing is done while a connection is busy but to note a moment: what is due is
 * found out by looking, and whoever has been active since is looked at again when
 * it would be due by then. So a connection costs a place in the heap for each time
 * that it might have been too slow, and a request nothing.
 */
export class Deadlines {
  private readonly context: Setting
  private readonly heap: Array<Timed> = []
  private firesAt = never
  private cancel: () => void = noop

  constructor(context: Setting) {
    this.context = context
  }

  /** Looks at something at `moment` or before. */
  by(timed: Timed, moment: number): void {
    if (timed.dueAt !== never && timed.dueAt <= moment) return
    if (moment === Infinity) return
    if (timed.dueAt === never) {
      timed.queuedAt = this.heap.length
      this.heap.push(timed)
    }
    timed.dueAt = moment
    this.rise(timed, timed.queuedAt)
    this.arm()
  }

  /** It waits for nothing any more. */
  forget(timed: Timed): void {
    if (timed.dueAt === never) return
    this.remove(timed)
    // A program whose servers wait for nothing may end.
    if (this.heap.length === 0) this.disarm()
  }

  private remove(timed: Timed): void {
    const { heap } = this
    const last = heap.pop() as Timed
    if (last !== timed) {
      if (this.rise(last, timed.queuedAt) === timed.queuedAt) this.sink(last, timed.queuedAt)
    }
    timed.dueAt = timed.queuedAt = never
  }

  private arm(): void {
    const first = this.heap[0]
    if (first === undefined) return this.disarm()
    if (this.firesAt !== never && this.firesAt <= first.dueAt) return
    this.cancel()
    this.firesAt = first.dueAt
    this.cancel = this.context.after(Math.max(1, first.dueAt - this.context.now()), this.fire)
  }

  private disarm(): void {
    this.firesAt = never
    this.cancel()
    this.cancel = noop
  }

  private readonly fire = (): void => {
    const { context } = this
    const now = context.now()
    // The loop was held up: what has arrived meanwhile is to be read first.
    if (now - this.firesAt > lateMillis) {
      this.firesAt = now
      this.cancel = context.after(1, this.fire)
      return
    }
    // Nobody arms it meanwhile.
    this.firesAt = now
    this.cancel = noop
    for (let first = this.heap[0]; first !== undefined && first.dueAt <= now; first = this.heap[0]) {
      const timed = first
      this.remove(timed)
      context.troubles.attempt("what was due was not ended as it should be", () =>
        this.by(timed, Math.max(now + 1, timed.look(now)))
      )
    }
    this.firesAt = never
    this.arm()
  }

  private rise(timed: Timed, from: number): number {
    const { heap } = this
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above] as Timed
      if (parent.dueAt <= timed.dueAt) break
      this.put(parent, at)
      at = above
    }
    this.put(timed, at)
    return at
  }

  private sink(timed: Timed, from: number): void {
    const { heap } = this
    let at = from
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      const [left, right] = [heap[below] as Timed, heap[below + 1]]
      if (right !== undefined && right.dueAt < left.dueAt) below++
      const child = heap[below] as Timed
      if (child.dueAt >= timed.dueAt) break
      this.put(child, at)
      at = below
    }
    this.put(timed, at)
  }

  private put(timed: Timed, at: number): void {
    this.heap[at] = timed
    timed.queuedAt = at
  }
}

/** From when on a timer is late: the loop has not read what arrived before it. */
const lateMillis = 50

const noop = () => {}
