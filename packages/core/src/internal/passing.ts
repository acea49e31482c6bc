/**
 * A `Map` of what comes and goes.
 *
 * When as many have come as there is room for, V8 makes a new table; the outgrown one
 * leads to it and keeps what stood in it. Once one of these has got into the old
 * generation, all that passes afterwards survives with it until the next full
 * collection. So a table is left before it is outgrown by what has gone.
 *
 * https://github.com/v8/v8/blob/main/src/objects/ordered-hash-table.cc
 */
export class Passing<K, V> {
  private map: Map<K, V>
  private gone = 0

  constructor(entries?: Iterable<readonly [K, V]>) {
    this.map = new Map(entries)
  }

  get size(): number {
    return this.map.size
  }

  get(key: K): V | undefined {
    return this.map.get(key)
  }

  has(key: K): boolean {
    return this.map.has(key)
  }

  /** Who goes through it at that time sees those that were there. */
  set(key: K, value: V): void {
    if (this.gone >= fewest && this.gone > this.map.size) {
      this.map = new Map(this.map)
      this.gone = 0
    }
    this.map.set(key, value)
  }

  delete(key: K): boolean {
    const was = this.map.delete(key)
    if (was) this.gone++
    return was
  }

  clear(): void {
    this.map = new Map()
    this.gone = 0
  }

  keys(): MapIterator<K> {
    return this.map.keys()
  }

  values(): MapIterator<V> {
    return this.map.values()
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.map.entries()
  }
}

/** What a table has room for at least is soon copied. */
const fewest = 32
