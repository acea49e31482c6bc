/** A queue whose first can become its last. */
export class Deque<T> {
  private items: Array<T> = []
  private head = 0

  get size(): number {
    return this.items.length - this.head
  }

  get first(): T | undefined {
    return this.items[this.head]
  }

  push(item: T): void {
    this.items.push(item)
  }

  /** Removes and returns the first: there has to be one. */
  shift(): T {
    const item = this.items[this.head] as T
    this.items[this.head++] = undefined as never
    if (this.head === this.items.length) {
      this.items.length = 0
      this.head = 0
    } else if (this.head > 1_024 && this.head > this.size) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  rotate(): void {
    if (this.size < 2) return
    this.items.push(this.items[this.head] as T)
    this.shift()
  }

  /** Removes and returns all. */
  clear(): Array<T> {
    const items = this.items.slice(this.head)
    this.items = []
    this.head = 0
    return items
  }
}
