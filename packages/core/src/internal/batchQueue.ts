import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"

type NonEmpty<A> = readonly [A, ...Array<A>]

/**
 * Hands batches from the event loop to fibers, whole and without a queue
 * between them when a fiber is waiting. Its producers bound it: each connection
 * has a limited number of requests in flight.
 */
export class BatchQueue<A, E> {
  private items: Array<A | Fault<E>> = []
  /** How many of the items are faults. */
  private faults = 0
  /** Where the items begin: `shift` copies an array of more than 50,000. */
  private head = 0
  private takers: Array<{
    readonly one: boolean
    readonly resume: (exit: Exit.Exit<NonEmpty<A>, E | Cause.Done>) => void
  }> = []
  private exit: Exit.Exit<never, E | Cause.Done> | undefined
  /** How many were handed over together, the last time. */
  handed = 0

  get size(): number {
    return this.items.length - this.head
  }

  /** Hands over a batch; `false` after the end. */
  offer(batch: Array<A>): boolean {
    if (this.exit !== undefined) return false
    const taker = this.takers[0]
    if (taker !== undefined && !taker.one && this.size === 0) {
      this.takers.shift()
      this.handed = batch.length
      taker.resume(Exit.succeed(batch as [A, ...Array<A>]))
      return true
    }
    for (const item of batch) this.items.push(item)
    this.serve()
    return true
  }

  /** Fails whoever takes next, once, in its turn; what comes after it can be taken again. */
  offerFault(error: E): void {
    if (this.exit !== undefined) return
    this.items.push(new Fault(error))
    this.faults++
    this.serve()
  }

  /** No more will come; what is there can still be taken. */
  end(exit: Exit.Exit<never, E | Cause.Done> = ended): void {
    if (this.exit !== undefined) return
    this.exit = exit
    this.dismiss(exit)
  }

  /** Tells whoever waits that nothing will come, once what has come is taken. */
  private dismiss(exit: Exit.Exit<never, E | Cause.Done>): void {
    if (this.size > 0) return
    const takers = this.takers
    this.takers = []
    for (const taker of takers) taker.resume(exit)
  }

  /** Removes and returns what nobody has taken. */
  private clear(): Array<A> {
    const items = this.rest()
    this.items = []
    this.head = 0
    return items as Array<A>
  }

  private rest(): Array<A | Fault<E>> {
    return this.head === 0 ? this.items : this.items.slice(this.head)
  }

  /** Everything there is, waiting for something. */
  readonly takeAll: Pull.Pull<NonEmpty<A>, E> = this.taking(false)

  /** One element, in an array. Nothing else is taken, so nothing is lost if the taker stops. */
  readonly takeOne: Pull.Pull<NonEmpty<A>, E> = this.taking(true)

  private taking(one: boolean): Pull.Pull<NonEmpty<A>, E> {
    // A fiber may yield between looking and waiting: whoever waits looks again.
    const wait: Pull.Pull<NonEmpty<A>, E> = Effect.callback((resume) => Effect.sync(this.taken(one, resume)))
    return Effect.suspend(() => {
      // Whoever is resumed with one element, and takes again at once, has no right to another's.
      if (this.takers.length > 0) return wait
      if (this.size > 0) return this.next(one)
      return this.exit ?? wait
    })
  }

  /** Whether somebody waits for more. */
  get isAwaited(): boolean {
    return this.takers.length > 0
  }

  /** Hands the next element to `resume`, after whoever waits already; it is not called any more once the returned function was. */
  take(resume: (exit: Exit.Exit<NonEmpty<A>, E | Cause.Done>) => void): () => void {
    return this.taken(true, resume)
  }

  private taken(one: boolean, resume: (exit: Exit.Exit<NonEmpty<A>, E | Cause.Done>) => void): () => void {
    if (this.takers.length === 0 && (this.size > 0 || this.exit !== undefined)) {
      resume(this.size > 0 ? this.next(one) : (this.exit as Exit.Exit<never, E | Cause.Done>))
      return () => {}
    }
    const taker = { one, resume }
    this.takers.push(taker)
    return () => {
      this.takers = this.takers.filter((other) => other !== taker)
    }
  }

  private next(one: boolean): Exit.Exit<NonEmpty<A>, E> {
    if (this.faults > 0 || one) {
      const item = this.items[this.head] as A | Fault<E>
      this.items[this.head++] = undefined as never
      if (this.head === this.items.length || this.head > 10_000) {
        this.items = this.rest()
        this.head = 0
      }
      this.handed = 1
      if (!(item instanceof Fault)) return Exit.succeed([item])
      this.faults--
      return Exit.fail(item.error)
    }
    this.handed = this.size
    return Exit.succeed(this.clear() as [A, ...Array<A>])
  }

  private serve(): void {
    while (this.size > 0) {
      const taker = this.takers.shift()
      if (taker === undefined) return
      taker.resume(this.next(taker.one))
    }
    // It may have ended meanwhile.
    if (this.exit !== undefined) this.dismiss(this.exit)
  }
}

class Fault<E> {
  readonly error: E
  constructor(error: E) {
    this.error = error
  }
}

const ended: Exit.Exit<never, Cause.Done> = Exit.fail(Cause.Done())
