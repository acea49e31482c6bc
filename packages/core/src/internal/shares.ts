import type { Incoming } from "./incoming.ts"
import type { LimitLog } from "./limitLog.ts"
import type { Limits } from "./limits.ts"
import type { Line } from "./line.ts"
import { Passing } from "./passing.ts"

type AnyLine = Line<never, never>

/** What one peer has at work, and its connections that wait for less of it. */
interface Share {
  count: number
  waiting: Set<AnyLine>
}

/**
 * How many requests of each peer are at work, over all its connections, where that
 * is bounded. One more waits on its connection, in nobody's way.
 */
export class Shares {
  private readonly context: {
    readonly limits: Pick<Limits, "maxRequestsPerPeer">
    readonly limitLog: LimitLog
  }
  private readonly atWork = new Passing<object, true>()
  private readonly byPeer = new Passing<string, Share>()

  constructor(context: Shares["context"]) {
    this.context = context
  }

  /** Whether any is counted: what is not has nothing to {@link leave}. */
  get counts(): boolean {
    return this.atWork.size > 0
  }

  /** Whether a request may begin where there is a bound, which then counts. Otherwise its connection is offered again. */
  take<In, Out>(line: Line<In, Out>, request: Incoming<In, Out>): boolean {
    const max = this.context.limits.maxRequestsPerPeer
    const { peerKey } = line
    const share = this.shareOf(peerKey)
    if (share.count >= max) {
      this.context.limitLog.reached("maxRequestsPerPeer", max, "held back", peerKey)
      share.waiting.add(line as never)
      return false
    }
    this.count(peerKey, request)
    return true
  }

  private count(peerKey: string, request: object): void {
    this.shareOf(peerKey).count++
    this.atWork.set(request, true)
  }

  private shareOf(peerKey: string): Share {
    const known = this.byPeer.get(peerKey)
    if (known !== undefined) return known
    const share: Share = { count: 0, waiting: new Set() }
    this.byPeer.set(peerKey, share)
    return share
  }

  /** A request has its outcome. */
  leave<In, Out>({ peerKey }: Line<In, Out>, request: Incoming<In, Out>): void {
    if (!this.atWork.delete(request)) return
    const share = this.byPeer.get(peerKey) as Share
    if (--share.count === 0) this.byPeer.delete(peerKey)
    this.offer(share)
  }

  /** Other limits hold. Until now there was no bound: what is at work counts from now on. */
  bounded(lines: Iterable<AnyLine>): void {
    for (const line of lines)
      for (const request of line.atWork) if (!this.atWork.has(request)) this.count(line.peerKey, request)
  }

  /** Other limits hold. */
  limited(): void {
    for (const share of this.byPeer.values()) this.offer(share)
  }

  /** All of them: one alone might have nothing by now that may begin. */
  private offer(share: Share): void {
    if (share.waiting.size === 0) return
    const { waiting } = share
    share.waiting = new Set()
    for (const line of waiting) line.offer()
  }
}
