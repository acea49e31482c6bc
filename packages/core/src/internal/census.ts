import type * as Transport from "../Transport.ts"
import { Passing } from "./passing.ts"

type Counts = { -readonly [K in keyof Transport.PeerCounts]: Transport.PeerCounts[K] }

/** What counts as a connection of a peer, or is going to be one. */
interface Counted {
  readonly peerKey: string
}

/** Those that are connections. */
interface Standing {
  readonly all: ReadonlyArray<Counted>
}

/**
 * How many connections each peer has, and how many more are being opened.
 *
 * Who a peer is takes longer to find out than to serve a datagram: nobody is
 * counted before somebody asks, and from then on until nobody is there any more.
 */
export class Census {
  private byPeer: Passing<string, Counts> | undefined = undefined
  private readonly connections: Standing
  private readonly openings: () => Iterable<Counted>

  constructor(connections: Standing, openings: () => Iterable<Counted>) {
    this.connections = connections
    this.openings = openings
  }

  of(peerKey: string): Transport.PeerCounts {
    if (this.byPeer === undefined) this.begin()
    return this.byPeer?.get(peerKey) ?? nobody
  }

  came(what: keyof Counts, counted: Counted): void {
    if (this.byPeer !== undefined) this.add(what, counted)
  }

  left(what: keyof Counts, { peerKey }: Counted): void {
    const { byPeer } = this
    const counts = byPeer?.get(peerKey)
    if (byPeer === undefined || counts === undefined) return
    counts[what]--
    if (counts.connections + counts.opening > 0) return
    byPeer.delete(peerKey)
    if (byPeer.size === 0) this.byPeer = undefined
  }

  private begin(): void {
    this.byPeer = new Passing()
    for (const connection of this.connections.all) this.add("connections", connection)
    for (const opening of this.openings()) this.add("opening", opening)
    if (this.byPeer.size === 0) this.byPeer = undefined
  }

  private add(what: keyof Counts, { peerKey }: Counted): void {
    const counts = this.byPeer?.get(peerKey)
    if (counts === undefined) this.byPeer?.set(peerKey, { connections: 0, opening: 0, [what]: 1 })
    else counts[what]++
  }
}

const nobody: Transport.PeerCounts = { connections: 0, opening: 0 }
