import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { ServerContext } from "./context.ts"
import { peerKeyOf } from "./peerKey.ts"
import type { Occupant } from "./room.ts"

/** Peers that are not ready yet: what comes before a connection is bounded, and ends with the server. */
export class Openings {
  private readonly context: Pick<ServerContext<never, never>, "limits" | "now" | "run">
  private readonly onChange: () => void
  /** How each is broken off, and who it is, where it may have to make room. */
  private readonly all = new Map<() => void, Occupant | undefined>()

  constructor(context: Pick<ServerContext<never, never>, "limits" | "now" | "run">, onChange: () => void) {
    this.context = context
    this.onChange = onChange
  }

  get size(): number {
    return this.all.size
  }

  /** Those that may have to make room. */
  get occupants(): Iterable<Occupant> {
    return [...this.all.values()].filter((occupant) => occupant !== undefined)
  }

  /**
   * Begins one. `until` makes of what has to happen before, which takes a minute at
   * most, what is done after. It calls `leave`, which says whether the peer was
   * still there: it is not when the server stops, and `stopped` was called.
   */
  begin<A>(
    ready: Effect.Effect<A, Outcome.Refused>,
    stopped: () => void,
    until: (ready: Effect.Effect<A, Outcome.Refused>, leave: () => boolean) => Effect.Effect<void>,
    /** Who it is, as far as is known by then; it is refused where it has to make room. */
    who?: { readonly known: () => Peer.Peer; readonly refuse: (refused: Outcome.Refused) => void }
  ): void {
    const { openingMillis } = this.context.limits
    const bounded = Effect.timeoutOrElse(ready, {
      duration: openingMillis,
      orElse: () => Effect.fail(Outcome.refused(`it was not ready within ${openingMillis} ms`))
    })
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      fiber?.interruptUnsafe()
      stopped()
    }
    const evict = (refused: Outcome.Refused) => {
      if (!this.leave(end)) return
      who?.refuse(refused)
      end()
    }
    this.all.set(end, who && new Arrival(who.known, this.context.now(), evict))
    this.onChange()
    fiber = this.context.run(until(bounded, () => this.leave(end)))
  }

  private leave(end: () => void): boolean {
    const was = this.all.delete(end)
    this.onChange()
    return was
  }

  /** The server stops: nothing of theirs has been received yet. */
  breakOff(): void {
    const all = [...this.all.keys()]
    this.all.clear()
    for (const end of all) end()
  }
}

/** Somebody who has asked for nothing yet. */
class Arrival implements Occupant {
  readonly requestedAt: number
  readonly isSpare = true
  readonly giveWay: Occupant["giveWay"]
  private readonly known: () => Peer.Peer

  constructor(known: () => Peer.Peer, at: number, giveWay: Occupant["giveWay"]) {
    this.known = known
    this.requestedAt = at
    this.giveWay = giveWay
  }

  get peerKey(): string {
    return peerKeyOf(this.known())
  }
}
