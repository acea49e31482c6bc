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
export class Mailbox<A, E> {
  private items: Array<A> = []
  /** Where the items begin: `shift` copies an array of more than 50,000. */
  private head = 0
  private takers: Array<{
    readonly one: boolean
    readonly resume: (exit: Exit.Exit<NonEmpty<A>, E | Cause.Done>) => void
  }> = []
  private exit: Exit.Exit<never, E | Cause.Done> | undefined

  get size(): number {
    return this.items.length - this.head
  }

  /** Hands over a batch; `false` after the end. */
  offer(batch: Array<A>): boolean {
    if (this.exit !== undefined) return false
    const taker = this.takers[0]
    if (taker !== undefined && !taker.one && this.size === 0) {
      this.takers.shift()
      taker.resume(Exit.succeed(batch as never))
      return true
    }
    for (const item of batch) this.items.push(item)
    this.serve()
    return true
  }

  /** No more will come; what is there can still be taken. */
  end(exit: Exit.Exit<never, E | Cause.Done> = ended): void {
    if (this.exit !== undefined) return
    this.exit = exit
    if (this.size > 0) return
    const takers = this.takers
    this.takers = []
    for (const taker of takers) taker.resume(exit)
  }

  /** Removes and returns what nobody has taken. */
  clear(): Array<A> {
    const items = this.head === 0 ? this.items : this.items.slice(this.head)
    this.items = []
    this.head = 0
    return items
  }

  /** Lets go of what does not pass. */
  retain(passes: (item: A) => boolean): void {
    this.items = this.clear().filter(passes)
  }

  /** Everything there is, waiting for something. */
  readonly takeAll: Pull.Pull<NonEmpty<A>, E> = this.taking(false)

  /** One element, in an array. Nothing else is taken, so nothing is lost if the taker stops. */
  readonly takeOne: Pull.Pull<NonEmpty<A>, E> = this.taking(true)

  private taking(one: boolean): Pull.Pull<NonEmpty<A>, E> {
    const wait: Pull.Pull<NonEmpty<A>, E> = Effect.callback((resume) => {
      const taker = { one, resume }
      this.takers.push(taker)
      return Effect.sync(() => {
        this.takers = this.takers.filter((other) => other !== taker)
      })
    })
    return Effect.suspend(() => {
      if (this.size > 0) return Exit.succeed(this.next(one))
      return this.exit ?? wait
    })
  }

  private next(one: boolean): NonEmpty<A> {
    if (one) {
      const item = this.items[this.head] as A
      this.items[this.head++] = undefined as never
      if (this.head === this.items.length || this.head > 10_000) this.items = this.clear()
      return [item]
    }
    return this.clear() as never
  }

  private serve(): void {
    while (this.size > 0) {
      const taker = this.takers.shift()
      if (taker === undefined) return
      taker.resume(Exit.succeed(this.next(taker.one)))
    }
  }
}

const ended: Exit.Exit<never, Cause.Done> = Exit.fail(Cause.Done())
