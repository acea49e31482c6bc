import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Census } from "./census.ts"
import type { ServerContext } from "./context.ts"
import { isLocal, peerKeyOf } from "./peerKey.ts"
import * as sizes from "./size.ts"

/** What is turned away when there are too many of it. */
type What = "connections" | "datagrams"

/** How many may come in: in all, and of one peer. */
export class Capacity {
  /** Whether nobody new is let in, though the server goes on. */
  isSuspended = false
  private readonly context: Pick<ServerContext<never, never>, "budget" | "limits">
  private readonly census: Census
  private readonly sizeNow: () => number

  /** `size` is how many there are, those included that are being opened. */
  constructor(context: Capacity["context"], census: Census, size: () => number) {
    this.context = context
    this.census = census
    this.sizeNow = size
  }

  /** Whether no more may be let in. */
  get isFull(): boolean {
    return this.isSuspended || this.context.budget.isTight || this.sizeNow() >= this.context.limits.maxConnections
  }

  /** Whether it is their number, where it is full: fewer make room for another. */
  get isMany(): boolean {
    return !this.isSuspended && !this.context.budget.isTight
  }

  /** Whether one less makes room for another: not where the limit was lowered below what there is. */
  get isOneTooMany(): boolean {
    return this.isMany && this.sizeNow() <= this.context.limits.maxConnections
  }

  /** Whether somebody may wait for a place of its peer, and leave one for somebody else. `itself` is 1 where it is counted already. */
  canWait(itself: 0 | 1): boolean {
    return !this.isFull && this.sizeNow() + 1 - itself < this.context.limits.maxConnections
  }

  /** Why nobody may come in. */
  fullness(what: What): Outcome.Refused {
    const { budget, limits } = this.context
    if (this.isSuspended) return suspended
    if (!budget.isTight) return Outcome.refused(`more than ${limits.maxConnections} ${what}`, "MaxConnections")
    return Outcome.refused(`nearly maxMemory (${sizes.format(limits.maxMemory)}) is held`, "MaxMemory")
  }

  /** Why a peer may not have another one; undefined where it may. `itself` is 1 where that is counted already. */
  ofPeer(peer: Peer.Peer, itself: 0 | 1, what: What): Outcome.Refused | undefined {
    const { boundsLocalPeers, maxConnectionsPerPeer: max } = this.context.limits
    // Nobody has more than there are.
    if (this.sizeNow() - itself < max) return undefined
    const key = peerKeyOf(peer)
    if (!boundsLocalPeers && isLocal(key)) return undefined
    const { connections, opening } = this.census.of(key)
    if (connections + opening - itself < max) return undefined
    return Outcome.refused(`more than ${max} ${what} of one peer`, "MaxConnectionsPerPeer")
  }
}

const suspended = Outcome.refused("accepting is suspended", "Suspended")
