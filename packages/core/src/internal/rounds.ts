import { Deque } from "./deque.ts"
import { Passing } from "./passing.ts"

/** A queue in which peers have turns, and in those of a peer what is its own. */
export class Rounds<T extends { readonly peerKey: string }> {
  private readonly groups = new Deque<Deque<T>>()
  private readonly byKey = new Passing<string, Deque<T>>()
  private count = 0

  get size(): number {
    return this.count
  }

  push(item: T): void {
    const { peerKey } = item
    this.count++
    const known = this.byKey.get(peerKey)
    if (known !== undefined) return known.push(item)
    const group = new Deque<T>()
    group.push(item)
    this.byKey.set(peerKey, group)
    this.groups.push(group)
  }

  /** Removes and returns the first of the peer whose turn it is: there has to be one. */
  shift(): T {
    const group = this.groups.shift()
    const item = group.shift()
    this.count--
    if (group.size > 0) this.groups.push(group)
    else this.byKey.delete(item.peerKey)
    return item
  }
}
