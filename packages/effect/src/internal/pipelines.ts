import type { Visit, Waiting } from "./visit.ts"

/** How long requests that waited may take of a turn of the event loop, in milliseconds. */
const turnMillis = 5

/**
 * Requests that came before the one ahead of them was answered. `node:http` begins
 * all that a chunk holds at once, and whoever pipelines would keep all others
 * waiting; here they begin one by one, connection by connection, and what else has
 * arrived is looked at in between.
 */
export class Pipelines {
  /** Connections whose next request may begin, in their order. */
  private readonly ready = new Set<Visit>()
  private isScheduled = false
  /** How many requests of a connection are at work. */
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  /** It begins when it is its turn; until then the connection is not read. */
  add(visit: Visit, request: Waiting): void {
    visit.push(request, () => this.look(visit))
    this.look(visit)
  }

  /** A request has ended: the next may have room. */
  look(visit: Visit): void {
    if (!visit.mayBegin(this.most)) return
    this.ready.add(visit)
    this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(this.turn)
  }

  private readonly turn = (): void => {
    this.isScheduled = false
    const until = performance.now() + turnMillis
    // Those that are added meanwhile come last.
    for (const visit of this.ready) {
      this.ready.delete(visit)
      visit.beginNext()
      this.look(visit)
      if (performance.now() >= until) break
    }
    if (this.ready.size > 0) this.schedule()
  }
}
