import type { Holding, Place } from "@socketserver/core/Simulation"
import type { PeerState } from "../Laws.ts"

type Waiting = Holding["waits"][number]

/** A request, and whose it is. */
interface Node extends Waiting {
  readonly peer: string
}

/**
 * Who waits for whom: of each peer that has not got everything, the chain from
 * what it waits for to what nobody can go on without, or round a cycle.
 */
export const waits = (
  peers: ReadonlyArray<PeerState>,
  holdings: ReadonlyArray<Holding>,
  places: ReadonlyArray<Place>
): ReadonlyArray<string> => {
  const graph = new Graph(holdings, places)
  return peers
    .filter((peer) => peer.open && peer.length < peer.expected.length)
    .map((peer) => {
      const { name } = peer.script
      const has = `${name}${peer.reads ? "" : " (does not read)"} has ${peer.length} of ${peer.expected.length} bytes`
      return [has, ...graph.from(name)].join(" ← ")
    })
}

/** What everything in a server waits for now, by the words of its table. */
export const kindsOf = (holdings: ReadonlyArray<Holding>): ReadonlyArray<string> =>
  holdings.flatMap(({ waits }) => waits.map(({ begun, waitsFor }) => `${begun ? "begun" : "not begun"}: ${waitsFor}`))

class Graph {
  private readonly holdings: ReadonlyArray<Holding>
  private readonly places: ReadonlyArray<Place>
  private readonly requests = new Map<number, Node>()

  constructor(holdings: ReadonlyArray<Holding>, places: ReadonlyArray<Place>) {
    this.holdings = holdings
    this.places = places
    for (const { connection, waits } of holdings) {
      for (const waiting of waits) this.requests.set(waiting.request, { ...waiting, peer: connection.peer.name })
    }
  }

  /** The chain that a peer waits at the end of. */
  from(peer: string): ReadonlyArray<string> {
    const holding = this.holdings.find(({ connection }) => connection.peer.name === peer)
    if (holding === undefined) return ["the server does not know it"]
    const [first] = holding.waits
    if (first === undefined) return [`nothing in flight, ${holding.unsent} bytes unsent`]
    const steps: Array<string> = []
    const seen = new Set<number>()
    for (let at = this.requests.get(first.request); at !== undefined;) {
      if (seen.has(at.request)) return [...steps, `request ${at.request} again: a cycle`]
      seen.add(at.request)
      const [text, next] = this.step(at)
      steps.push(`request ${at.request} of ${at.peer} ${text}`)
      at = next
    }
    return steps
  }

  /** What a request waits for, and who is in its way. */
  private step(request: Node): readonly [text: string, next: Node | undefined] {
    switch (request.waitsFor) {
      case "turn":
        return ["waits for its turn", request.behind === undefined ? undefined : this.requests.get(request.behind)]
      case "reader":
        return [`waits for its reader, at most ${request.bound}`, undefined]
      case "place":
        return ["waits for a place", this.holder(request, (other) => other.begun && other.waitsFor !== "turn")]
      case "handler":
        return this.elsewhere(request)
    }
  }

  /** A request whose handler may be in a worker. */
  private elsewhere(request: Node): readonly [text: string, next: Node | undefined] {
    if (this.places.length === 0) return ["waits for its handler", undefined]
    const id = request.request
    const mine = this.places.find(({ has, next }) => has.includes(id) || next.includes(id))
    if (mine === undefined) {
      const busy = this.places.flatMap(({ has }) => has)
      return ["waits for a worker", this.holder(request, (other) => busy.includes(other.request))]
    }
    if (mine.has.includes(id)) return [`waits for its handler in ${mine.name}`, undefined]
    return [
      `waits for ${mine.name}, ahead of its turn`,
      this.holder(request, (other) => mine.has.includes(other.request))
    ]
  }

  /** Somebody who has what a request waits for: one of its own peer first, which may be waiting for it. */
  private holder(request: Node, has: (other: Node) => boolean): Node | undefined {
    const holders = [...this.requests.values()].filter((other) => other.request !== request.request && has(other))
    return holders.find(({ peer }) => peer === request.peer) ?? holders[0]
  }
}
