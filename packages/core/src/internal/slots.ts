import type { Limits } from "./limits.ts"

/** One that is being opened, or waits to be. */
export class Slot {
  /** Who wants it; nobody in particular behind a balancer, before it has said who that is. */
  readonly key: string
  state: "waiting" | "taken" | "left" = "waiting"
  /** Whether it was taken once, and given up for others without a word. */
  isSecond = false
  /** Reads on, where it is not read since it has given its slot up. */
  readOn: (() => void) | undefined = undefined
  /** Called when it is taken that had to wait. */
  onTaken: () => void = () => {}

  constructor(key: string) {
    this.key = key
  }
}

/** Whoever a balancer brings, before its header is read. */
export const anybody = ""

/**
 * What may be opened at a time: so much in all, and so much of one peer. What is
 * over it waits, and gets what becomes free in turn: peer by peer. Whoever has said
 * nothing, and given one up for others, comes after all the rest.
 */
export class Slots {
  private readonly context: { readonly limits: Pick<Limits, "maxOpening" | "maxOpeningPerPeer"> }
  private total = 0
  private readonly taken = new Map<string, number>()
  private readonly first = new Waiting()
  private readonly second = new Waiting()

  constructor(context: Slots["context"]) {
    this.context = context
  }

  /** Whether all are taken: not one peer alone has to wait. */
  get isFull(): boolean {
    return this.total >= this.context.limits.maxOpening
  }

  /** A slot, which is taken where one is free. Whoever asks has to {@link leave} it. */
  ask(key: string): Slot {
    const slot = new Slot(key)
    if (this.isFree(key)) this.take(slot)
    else this.first.add(slot)
    return slot
  }

  /** Whether anybody waits. */
  get isAwaited(): boolean {
    return this.first.size + this.second.size > 0
  }

  /** Who would get a slot if it were given up: somebody who has had none yet, or one that has. */
  heirOf(slot: Slot): "first" | "second" | undefined {
    // Other limits may hold by now.
    if (this.total > this.context.limits.maxOpening) return undefined
    const isHeir = (key: string) => this.hasShare(key, key === slot.key ? 1 : 0)
    return this.first.find(isHeir) !== undefined
      ? "first"
      : this.second.find(isHeir) !== undefined
        ? "second"
        : undefined
  }

  /** One that is taken goes to others that wait, and waits behind them: also behind who comes later, if it is `second`. */
  giveUp(slot: Slot, second: boolean): void {
    slot.state = "waiting"
    slot.isSecond = second
    ;(second ? this.second : this.first).add(slot)
    this.free(slot.key)
  }

  /** It is open, or will never be. */
  leave(slot: Slot): void {
    const { key, state } = slot
    slot.state = "left"
    if (state === "left") return
    if (state === "waiting") return (slot.isSecond ? this.second : this.first).remove(slot)
    this.free(key)
  }

  private free(key: string): void {
    this.total--
    const count = this.countOf(key) - 1
    if (count === 0) this.taken.delete(key)
    else this.taken.set(key, count)
    this.give()
  }

  /** Gives what is free to those that wait. */
  give(): void {
    while (this.total < this.context.limits.maxOpening) {
      const slot = this.next()
      if (slot === undefined) return
      this.take(slot)
      slot.onTaken()
    }
  }

  /** The first that waits and has not its share. Few have it: they hold what there is. */
  private next(): Slot | undefined {
    const isFree = (key: string) => this.isFree(key)
    return this.first.take(isFree) ?? this.second.take(isFree)
  }

  private isFree(key: string): boolean {
    return this.total < this.context.limits.maxOpening && this.hasShare(key, 0)
  }

  /** Whether its peer may have one more, with so many less. */
  private hasShare(key: string, less: 0 | 1): boolean {
    return key === anybody || this.countOf(key) - less < this.context.limits.maxOpeningPerPeer
  }

  private take(slot: Slot): void {
    slot.state = "taken"
    this.total++
    this.taken.set(slot.key, this.countOf(slot.key) + 1)
  }

  private countOf(key: string): number {
    return this.taken.get(key) ?? 0
  }
}

/** Slots that wait, peer by peer. Unlike those of `Rounds` peers may be passed over, and slots leave that have had no turn. */
class Waiting {
  /** Peers in the order of their turns. */
  private readonly waiting = new Map<string, Array<Slot>>()

  /** How many peers have some that wait. */
  get size(): number {
    return this.waiting.size
  }

  add(slot: Slot): void {
    const others = this.waiting.get(slot.key)
    if (others === undefined) this.waiting.set(slot.key, [slot])
    else others.push(slot)
  }

  remove(slot: Slot): void {
    const slots = (this.waiting.get(slot.key) ?? []).filter((other) => other !== slot)
    if (slots.length === 0) this.waiting.delete(slot.key)
    // A place in the order of turns is kept.
    else this.waiting.set(slot.key, slots)
  }

  /** The first peer for which it holds. */
  find(isIt: (key: string) => boolean): string | undefined {
    for (const key of this.waiting.keys()) if (isIt(key)) return key
    return undefined
  }

  /** The slot whose turn it is, of a peer for which it holds. */
  take(isIt: (key: string) => boolean): Slot | undefined {
    const key = this.find(isIt)
    if (key === undefined) return undefined
    const slots = this.waiting.get(key) as Array<Slot>
    const slot = slots.shift() as Slot
    // It has had its turn.
    this.waiting.delete(key)
    if (slots.length > 0) this.waiting.set(key, slots)
    return slot
  }
}
