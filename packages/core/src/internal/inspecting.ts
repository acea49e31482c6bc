import type * as Connection from "../Connection.ts"
import type { Engine } from "./engine.ts"
import type { Incoming } from "./incoming.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** What a request waits for: see the table of `waits.ts`. */
export interface Waiting {
  /** The number of the request. */
  readonly request: number
  /** Whether its handler has begun. */
  readonly begun: boolean
  readonly waitsFor: "place" | "handler" | "turn" | "reader"
  /** The request before it, where it waits for its turn. */
  readonly behind: number | undefined
}

/** What a server holds for a connection. */
export class Holding {
  readonly connection: Connection.Info
  private readonly on: ServerConnection<unknown, unknown>

  constructor(on: ServerConnection<unknown, unknown>) {
    this.connection = on
    this.on = on
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
    return this.on.held(false)
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
    const turn: Waiting = {
      request: id,
      begun,
      waitsFor: "turn",
      behind: line.first === request ? undefined : line.first?.id
    }
    if (!begun) {
      if (line.queued) return { ...turn, waitsFor: "place", behind: undefined }
      return outbox.full || line.first === request ? { ...turn, waitsFor: "reader", behind: undefined } : turn
    }
    if (request.response !== undefined || request.isHeld) return turn
    const waitsFor = outbox.blocked && line.parked > 0 && this.on.isNext(request) ? "reader" : "handler"
    return { ...turn, waitsFor, behind: undefined }
  }
}

/** What a server holds for each of its connections. */
export const holdings = <In, Out>(engine: Engine<In, Out>): ReadonlyArray<Holding> => {
  const all: Array<Holding> = []
  for (const connection of engine.gate.connections.values()) all.push(new Holding(connection as never))
  return all
}
