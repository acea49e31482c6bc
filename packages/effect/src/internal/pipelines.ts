import type { Visit, Waiting } from "./visit.ts"

/** When so many wait of all connections, Node's parser gets what arrives on any of them in pieces. */
const many = 256

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
  private readonly visits = new Set<Visit>()
  /** How many wait of all connections. */
  private count = 0
  private isCrowded = false
  /** How many requests of a connection are at work. */
  private readonly mostNow: () => number

  constructor(mostNow: () => number) {
    this.mostNow = mostNow
  }

  /** A connection has come. */
  came(visit: Visit): void {
    this.visits.add(visit)
    visit.socket.once("close", () => this.left(visit))
    if (this.isCrowded) this.cut(visit)
  }

  /** It has closed, or somebody else has its socket: what waits does not begin. */
  left(visit: Visit): void {
    this.visits.delete(visit)
    this.changed(-visit.drop())
  }

  /** A request begins when it is its turn; until then the connection is not read. */
  add(visit: Visit, request: Waiting): void {
    visit.push(request)
    this.cut(visit)
    this.changed(1)
    this.look(visit)
  }

  private cut(visit: Visit): void {
    visit.inPieces(() => this.look(visit))
  }

  /** A chunk of many connections at once would be tens of thousands of requests. */
  private changed(delta: number): void {
    this.count += delta
    if (this.count === 0) this.isCrowded = false
    if (this.count < many || this.isCrowded) return
    this.isCrowded = true
    for (const visit of this.visits) this.cut(visit)
  }

  /** A request has ended: the next may have room. */
  look(visit: Visit): void {
    if (!visit.mayBegin(this.mostNow())) return
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
      if (visit.beginNext()) this.changed(-1)
      this.look(visit)
      if (performance.now() >= until) break
    }
    if (this.ready.size > 0) this.schedule()
  }
}
