import * as Effect from "effect/Effect"
import * as Outcome from "../Outcome.ts"
import type { Capacity } from "./capacity.ts"
import type { Census } from "./census.ts"
import type { ServerContext } from "./context.ts"
import type { Arrival } from "./openings.ts"

type Surroundings = Pick<ServerContext<never, never>, "limitLog" | "limits">

/**
 * Connections over what their peer may have that wait, accepted and not read, until
 * one of its others has ended (`maxPeerWait`). They wait as they have come, and each for
 * its own peer alone. They are few, and go first where others need room.
 */
export class PeerQueue {
  private readonly context: Surroundings
  private readonly census: Census
  private readonly capacity: Capacity
  /** Those of each peer, as they have come. */
  private readonly byPeer = new Map<string, Set<Arrival>>()
  private readonly all = new Set<Arrival>()

  constructor(context: Surroundings, census: Census, capacity: Capacity) {
    this.context = context
    this.census = census
    this.capacity = capacity
  }

  get size(): number {
    return this.all.size
  }

  /** Whether one more of a peer may wait; `itself` is 1 where it is counted already. */
  takes(peerKey: string, itself: 0 | 1): boolean {
    if (this.context.limits.peerWaitMillis === 0 || this.all.size >= most) return false
    return (this.byPeer.get(peerKey)?.size ?? 0) < mostOfPeer && this.capacity.canWait(itself)
  }

  /** One waits from now on, and is none of its peer's connections meanwhile. */
  enter(arrival: Arrival): void {
    const { peerKey } = arrival
    arrival.queue = this
    this.all.add(arrival)
    const others = this.byPeer.get(peerKey)
    if (others === undefined) this.byPeer.set(peerKey, new Set([arrival]))
    else others.add(arrival)
  }

  /** It waits no longer, whatever becomes of it. */
  leave(arrival: Arrival): void {
    const { peerKey } = arrival
    arrival.queue = undefined
    this.all.delete(arrival)
    const others = this.byPeer.get(peerKey)
    others?.delete(arrival)
    if (others?.size === 0) this.byPeer.delete(peerKey)
  }

  /** Waits for its turn, after {@link enter}; `over` is what it would have been refused with. */
  wait(
    arrival: Arrival,
    over: Outcome.Refused,
    hold: (() => () => void) | undefined
  ): Effect.Effect<void, Outcome.Refused> {
    return Effect.suspend(() => {
      const { limitLog, limits } = this.context
      const { maxConnectionsPerPeer, peerWaitMillis: millis } = limits
      limitLog.reached("maxConnectionsPerPeer", maxConnectionsPerPeer, "held back", arrival.peer.name)
      const readOn = hold?.()
      const given = Effect.callback<void>((resume) => {
        arrival.onGiven = () => resume(Effect.void)
        // Before its fiber came to here.
        if (arrival.queue === undefined) arrival.onGiven()
      })
      const bounded = Effect.timeoutOrElse(given, {
        duration: millis,
        orElse: () =>
          Effect.fail(Outcome.refused(`${over.reason}, and none of them ended within ${millis} ms`, over.kind))
      })
      // Also where it is told that it may not: it has to read that.
      return Effect.onExit(bounded, () => Effect.sync(() => readOn?.()))
    })
  }

  /** A peer has less than before: those of its own that wait get that. */
  left(one: { readonly peerKey: string }): void {
    if (this.all.size > 0) this.offer(one.peerKey)
  }

  private offer(peerKey: string): void {
    // None comes in while nobody may.
    if (this.capacity.isSuspended) return
    for (const arrival of this.byPeer.get(peerKey) ?? []) {
      if (this.capacity.ofPeer(arrival.peer, 0, "connections") !== undefined) return
      this.leave(arrival)
      this.census.came("opening", arrival)
      arrival.onGiven()
    }
  }

  /** Other limits hold, or accepting goes on. */
  limited(): void {
    for (const peerKey of this.byPeer.keys()) this.offer(peerKey)
  }

  /** The one that has come last goes, since somebody else needs its room; whether there was one. */
  makeRoom(): boolean {
    const { size } = this.all
    const { maxConnectionsPerPeer: max } = this.context.limits
    const why = `more than ${max} connections of one peer, and others needed the room of those that waited`
    if (size > 0) [...this.all].at(-1)?.giveWay(Outcome.refused(why, "MaxConnectionsPerPeer"))
    return this.all.size < size
  }
}

/** How many wait at a time, and of one peer: each is a descriptor, and nothing more. */
const most = 64
const mostOfPeer = 16
