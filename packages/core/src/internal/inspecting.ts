import type * as Connection from "../Connection.ts"
import type { Engine } from "./engine.ts"
import type { Incoming } from "./incoming.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { type Wait, waits } from "./waits.ts"

/** What a request waits for: see the table of `waits.ts`. */
export interface Waiting {
  /** The number of the request. */
  readonly request: number
  /** Whether its handler has begun. */
  readonly begun: boolean
  readonly waitsFor: "place" | "handler" | "turn" | "reader"
  /** What ends the wait: a limit by its name, those before it, or its author. */
  readonly bound: Wait["bound"]
  /** The request before it, where it waits for its turn. */
  readonly behind: number | undefined
}

/** What a server holds for a connection. */
export class Holding {
  readonly connection: Connection.Info
  private readonly on: ServerConnection<unknown, unknown>
  /** Whether a place is kept by who waits for a reader. */
  private readonly isExclusive: boolean

  constructor(on: ServerConnection<unknown, unknown>, isExclusive: boolean) {
    this.connection = on
    this.on = on
    this.isExclusive = isExclusive
  }

  /** Bytes of replies that the system has not taken. */
  get unsent(): number {
    return this.on.outbox.unsent
  }

  /** Bytes of replies that wait for those before them. */
  get parked(): number {
    return this.on.line.parkedBytes
  }

  /** All bytes that it holds: what has arrived and is not answered, too. */
  get bytes(): number {
    return this.on.holding.bytes(false)
  }

  /** What that takes in memory, as it was last counted for `maxMemory`. */
  get memory(): number {
    return Math.max(0, this.on.holding.charged)
  }

  /** Whether a request of it is in turn for a place. */
  get isQueued(): boolean {
    return this.on.line.queued && this.on.line.hasWaiting
  }

  /** What each of its requests waits for, in their order. */
  get waits(): ReadonlyArray<Waiting> {
    const all: Array<Waiting> = []
    for (let request = this.on.line.first; request !== undefined; request = request.next) all.push(this.waitOf(request))
    return all
  }

  private waitOf(request: Incoming<unknown, unknown>): Waiting {
    const { line, outbox } = this.on
    const { begun, id } = request
    const wait = (row: Wait, behind?: number): Waiting => ({
      request: id,
      begun,
      waitsFor: row.waitsFor as Waiting["waitsFor"],
      bound: row.bound,
      behind
    })
    const turn = () => wait(rows.turn, line.first === request ? undefined : line.first?.id)
    const reader = this.isExclusive ? rows.exclusiveReader : rows.reader
    if (!begun) {
      if (line.queued) return wait(rows.place)
      return outbox.full || line.first === request ? wait(rows.reader) : turn()
    }
    if (request.response !== undefined || request.streaming?.isHeld === true) return turn()
    const isRead = !outbox.blocked || line.parked === 0 || !this.on.replies.isNext(request)
    return wait(isRead ? rows.handler : reader)
  }
}

const rowOf = (waitsFor: Wait["waitsFor"], bound: Wait["bound"]): Wait =>
  waits.find((row) => row.waitsFor === waitsFor && row.bound === bound) as Wait

/** Those of requests, of the table of all. */
const rows = {
  place: rowOf("place", "turns"),
  handler: rowOf("handler", "author"),
  turn: rowOf("turn", "turns"),
  reader: rowOf("reader", "writeTimeout"),
  exclusiveReader: rowOf("reader", "placeTimeout")
}

/** What a server holds for each of its connections. */
export const holdings = <In, Out>(engine: Engine<In, Out>): ReadonlyArray<Holding> => {
  const all: Array<Holding> = []
  const isExclusive = engine.onParked === undefined
  for (const connection of engine.gate.connections.inOrder()) all.push(new Holding(connection as never, isExclusive))
  return all
}
