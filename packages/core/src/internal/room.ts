import * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"

/** A connection that may have to make room, or what is going to be one. */
export interface Occupant {
  /** Who it is, whatever its port. */
  readonly peerKey: string
  /** When it has last sent a complete request; before that, when it has come. */
  readonly requestedAt: number
  /** Whether it may make room: nothing was sent to it that it had not asked for, and nothing is to be done for it. */
  readonly isSpare: boolean
  /** Makes room, at once. */
  readonly giveWay: (refused: Outcome.Refused) => void
}

/**
 * Who makes room when a server is full: the peer that has most connections, with
 * the one that has been of no use for longest.
 *
 * Who is to go is found for several newcomers at once, since everybody is looked
 * at for that, and after a look in vain nobody is for a moment.
 */
export class Room {
  private readonly context: Pick<ServerContext<never, never>, "ledger" | "now">
  private readonly occupants: () => Iterable<Occupant>
  private spare: Array<Occupant> = []
  private most = 0
  private looksAgainAt = 0

  constructor(context: Room["context"], occupants: () => Iterable<Occupant>) {
    this.context = context
    this.occupants = occupants
  }

  /** Makes room for one more; whether there was some to make. `kind` says what there is too little of. */
  make(kind: "MadeRoom" | "Scarcity" = "MadeRoom"): boolean {
    const now = this.context.now()
    if (this.evictOne(now, kind)) return true
    if (now < this.looksAgainAt) return false
    this.look(now)
    return this.evictOne(now, kind)
  }

  private evictOne(now: number, kind: "MadeRoom" | "Scarcity"): boolean {
    for (let occupant = this.spare.pop(); occupant !== undefined; occupant = this.spare.pop()) {
      const millis = now - occupant.requestedAt
      if (millis < leastMillis || !occupant.isSpare) continue
      this.context.ledger.timeouts.evicted++
      const why = `it made room for another: no request in ${millis} ms, of a peer with ${this.most} connections`
      occupant.giveWay(Outcome.refused(why, kind))
      return true
    }
    return false
  }

  private look(now: number): void {
    const byPeer = new Map<string, Array<Occupant>>()
    this.most = 0
    for (const occupant of this.occupants()) {
      const all = byPeer.get(occupant.peerKey)
      if (all === undefined) byPeer.set(occupant.peerKey, [occupant])
      else all.push(occupant)
      this.most = Math.max(this.most, all?.length ?? 1)
    }
    const spare: Array<Occupant> = []
    let soonest = now + restMillis
    for (const all of byPeer.values()) {
      if (all.length < this.most) continue
      for (const occupant of all) {
        if (!occupant.isSpare) continue
        if (now - occupant.requestedAt >= leastMillis) spare.push(occupant)
        else soonest = Math.min(soonest, occupant.requestedAt + leastMillis)
      }
    }
    if (spare.length === 0) this.looksAgainAt = soonest
    // The longest without a request is taken first, from the end.
    this.spare = spare.sort((a, b) => b.requestedAt - a.requestedAt).slice(-atOnce)
  }
}

/** A peer that has just asked for something is not idle. */
const leastMillis = 1_000
/** How many are chosen at once. */
const atOnce = 32
/** How long nobody is looked at after a look in vain. */
const restMillis = 10
