import type * as net from "node:net"
import { acknowledged, socketOf, type Unacknowledged } from "./acknowledged.ts"
import { takenOf } from "./presence.ts"

/** What the system has taken of what was written to a socket; and its peer, once that seems not to read. */
export class Uptake {
  private readonly raw: net.Socket
  private before: number | undefined = undefined
  /** Null where nothing tells it. */
  private unacknowledged: Unacknowledged | null | undefined = undefined

  constructor(raw: net.Socket) {
    this.raw = raw
  }

  /** It grows with what the peer acknowledges, too, where it was the same when it was last asked for. */
  bytes(): number | undefined {
    const { raw, unacknowledged } = this
    const taken = takenOf(raw)
    const isSame = taken === this.before
    this.before = taken
    if (taken === undefined || (unacknowledged === undefined && !isSame)) return taken
    const asked = (this.unacknowledged ??= raw.destroyed ? null : (socketOf(raw) ?? null))
    if (asked === null) return taken
    if (isSame) acknowledged.ask(asked)
    return taken + (asked.first ?? 0) - asked.last
  }
}
