import type { Limits } from "./limits.ts"

/** One that is being opened, or waits to be. */
export class Slot {
  /** Who wants it; nobody in particular behind a balancer, before it has said who that is. */
  readonly key: string
  state: "waiting" | "taken" | "left" = "waiting"
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
 * over it waits, and gets what becomes free in turn: peer by peer.
 */
export class Slots {
  private readonly context: { readonly limits: Pick<Limits, "maxOpening" | "maxOpeningPerPeer"> }
  private total = 0
  private readonly taken = new Map<string, number>()
  /** Peers in the order of their turns. */
  private readonly waiting = new Map<string, Array<Slot>>()

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
    else {
      const others = this.waiting.get(key)
      if (others === undefined) this.waiting.set(key, [slot])
      else others.push(slot)
    }
    return slot
  }

  /** It is open, or will never be. */
  leave(slot: Slot): void {
    const { key, state } = slot
    slot.state = "left"
    if (state === "left") return
    if (state === "waiting") return this.remove(key, slot)
    this.total--
    const count = this.countOf(key) - 1
    if (count === 0) this.taken.delete(key)
    else this.taken.set(key, count)
    this.give()
  }

  /** Gives what is free to those that wait. */
  give(): void {
    while (this.total < this.context.limits.maxOpening) {
      const key = this.next()
      if (key === undefined) return
      const slots = this.waiting.get(key) as Array<Slot>
      const slot = slots.shift() as Slot
      // It has had its turn.
      this.waiting.delete(key)
      if (slots.length > 0) this.waiting.set(key, slots)
      this.take(slot)
      slot.onTaken()
    }
  }

  /** The first that waits and has not its share. Few have it: they hold what there is. */
  private next(): string | undefined {
    for (const key of this.waiting.keys()) if (this.isFree(key)) return key
    return undefined
  }

  private isFree(key: string): boolean {
    const { maxOpening, maxOpeningPerPeer } = this.context.limits
    return this.total < maxOpening && (key === anybody || this.countOf(key) < maxOpeningPerPeer)
  }

  private take(slot: Slot): void {
    slot.state = "taken"
    this.total++
    this.taken.set(slot.key, this.countOf(slot.key) + 1)
  }

  private remove(key: string, slot: Slot): void {
    const slots = (this.waiting.get(key) ?? []).filter((other) => other !== slot)
    if (slots.length === 0) this.waiting.delete(key)
    // A place in the order of turns is kept.
    else this.waiting.set(key, slots)
  }

  private countOf(key: string): number {
    return this.taken.get(key) ?? 0
  }
}
