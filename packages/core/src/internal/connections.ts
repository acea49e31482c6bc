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
  /** By their ids, from when one is asked for until somebody new comes. */
  private index: Map<number, C> | undefined = undefined

  get size(): number {
    return this.items.length
  }

  /** All of them in no order, for who only looks. */
  get all(): ReadonlyArray<C> {
    return this.items
  }

  /** Those that are here now. Who leaves meanwhile is left out, and who comes. */
  *values(): Generator<C, void> {
    for (const connection of this.items.slice()) if (this.has(connection)) yield connection
  }

  /** The same, in the order in which they came. */
  inOrder(): ReadonlyArray<C> {
    const { items } = this
    // Where nobody has left they are.
    return items.every(({ id }, at) => at === 0 || id > (items[at - 1] as C).id) ? [...items] : items.toSorted(byId)
  }

  has(connection: C): boolean {
    return connection.slot >= 0
  }

  get(id: number): C | undefined {
    return (this.index ??= new Map(this.items.map((connection) => [connection.id, connection]))).get(id)
  }

  add(connection: C): void {
    this.index = undefined
    connection.slot = this.items.length
    this.items.push(connection)
  }

  /** Whether it was here. */
  delete(connection: C): boolean {
    const { slot } = connection
    if (slot < 0) return false
    connection.slot = -1
    this.index?.delete(connection.id)
    const last = this.items.pop() as C
    if (last === connection) return true
    this.items[slot] = last
    last.slot = slot
    return true
  }
}

const byId = (a: Placed, b: Placed): number => a.id - b.id
