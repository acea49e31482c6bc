/** What has its place among others. */
interface Placed {
  readonly id: number
  /** Its place, or -1 where it has none. */
  slot: number
}

/**
 * Connections, each of which knows its place in an array.
 *
 * No `Map`: V8 makes a new table each time as many have come as there is room for,
 * and the outgrown one leads to it and keeps what stood in it. Where one of these
 * has got into the old generation, everything that comes and goes afterwards
 * survives with it until the next full collection: of datagrams that was a third of
 * what they cost.
 */
export class Connections<C extends Placed> {
  private readonly items: Array<C> = []

  get size(): number {
    return this.items.length
  }

  /** All of them in no order, for who only looks. */
  get all(): ReadonlyArray<C> {
    return this.items
  }

  /** Those that are here now, in the order in which they came. Who leaves meanwhile is left out, and who comes. */
  *values(): Generator<C, void> {
    for (const connection of this.items.toSorted(byId)) if (this.has(connection)) yield connection
  }

  has(connection: C): boolean {
    return connection.slot >= 0
  }

  /** It is looked for: nobody asks often. */
  get(id: number): C | undefined {
    return this.items.find((connection) => connection.id === id)
  }

  add(connection: C): void {
    connection.slot = this.items.length
    this.items.push(connection)
  }

  /** Whether it was here. */
  delete(connection: C): boolean {
    const { slot } = connection
    if (slot < 0) return false
    connection.slot = -1
    const last = this.items.pop() as C
    if (last === connection) return true
    this.items[slot] = last
    last.slot = slot
    return true
  }
}

const byId = (a: Placed, b: Placed): number => a.id - b.id
