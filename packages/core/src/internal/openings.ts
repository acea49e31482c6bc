import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Census } from "./census.ts"
import type { ServerContext } from "./context.ts"
import { peerKeyOf } from "./peerKey.ts"
import type { Occupant } from "./room.ts"

/** Peers that are not ready yet: what comes before a connection is bounded, and ends with the server. */
export class Openings {
  private readonly context: Pick<ServerContext<never, never>, "limits" | "now" | "run">
  private readonly onChange: () => void
  private readonly census: Census
  /** Each, and how it is broken off. */
  private readonly all = new Map<Arrival, () => void>()

  constructor(
    context: Pick<ServerContext<never, never>, "limits" | "now" | "run">,
    census: Census,
    onChange: () => void
  ) {
    this.context = context
    this.census = census
    this.onChange = onChange
  }

  get size(): number {
    return this.all.size
  }

  get arrivals(): Iterable<Arrival> {
    return this.all.keys()
  }

  /**
   * Begins one. `until` makes of what has to happen before, which takes a minute at
   * most, what is done after. It calls `leave`, which says whether the peer was
   * still there: it is not when the server stops, and `stopped` was called.
   */
  begin<A>(
    arrival: Arrival,
    ready: Effect.Effect<A, Outcome.Refused>,
    stopped: () => void,
    until: (ready: Effect.Effect<A, Outcome.Refused>, leave: () => boolean) => Effect.Effect<void>
  ): void {
    const { openingMillis } = this.context.limits
    const bounded = Effect.timeoutOrElse(ready, {
      duration: openingMillis,
      orElse: () => Effect.fail(Outcome.refused(`it was not ready within ${openingMillis} ms`, "Opening"))
    })
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      fiber?.interruptUnsafe()
      stopped()
    }
    this.all.set(arrival, end)
    this.census.came("opening", arrival)
    this.onChange()
    fiber = this.context.run(until(bounded, () => this.leave(arrival)))
  }

  private leave(arrival: Arrival): boolean {
    const was = this.all.delete(arrival)
    if (was) this.gone(arrival)
    this.onChange()
    return was
  }

  private gone(arrival: Arrival): void {
    arrival.isSpare = false
    this.census.left("opening", arrival)
  }

  /** It is known now who one is. */
  introduce(arrival: Arrival, peer: Peer.Peer): void {
    const isThere = this.all.has(arrival)
    if (isThere) this.census.left("opening", arrival)
    arrival.peer = peer
    if (isThere) this.census.came("opening", arrival)
  }

  /** Takes one out that makes room for another; how it is broken off, if it is still there. */
  takeOut(arrival: Arrival): (() => void) | undefined {
    const end = this.all.get(arrival)
    return this.leave(arrival) ? end : undefined
  }

  /** The server stops: nothing of theirs has been received yet. */
  breakOff(): void {
    const all = [...this.all]
    this.all.clear()
    for (const [arrival] of all) this.gone(arrival)
    for (const [, end] of all) end()
  }
}

/** Somebody who has asked for nothing yet. */
export class Arrival implements Occupant {
  /** Who it is, as far as is known by now. */
  peer: Peer.Peer
  readonly requestedAt: number
  /** Whether it is there, and no datagram, which makes no room for others. */
  isSpare: boolean
  readonly giveWay: Occupant["giveWay"]

  constructor(peer: Peer.Peer, at: number, giveWay?: (arrival: Arrival, refused: Outcome.Refused) => void) {
    this.peer = peer
    this.requestedAt = at
    this.isSpare = giveWay !== undefined
    this.giveWay = (refused) => giveWay?.(this, refused)
  }

  get peerKey(): string {
    return peerKeyOf(this.peer)
  }
}
