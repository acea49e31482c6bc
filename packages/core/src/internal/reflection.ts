import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import { Buckets } from "./buckets.ts"
import type { ServerContext } from "./context.ts"
import { peerKeyOf } from "./peerKey.ts"

/** Who has sent datagrams. */
interface Receiver {
  readonly peer: Peer.Peer
  readonly bytesRead: number
  /** What was let through to it, where that is bounded. */
  sentBytes: number | undefined
}

/**
 * How much goes back to those who send datagrams. Anybody can forge the address of
 * another, who is then sent what he has not asked for: many small questions
 * of a few become a flood of large replies to one.
 */
export class Reflection {
  private readonly context: Pick<ServerContext<never, never>, "limitLog" | "limits" | "now">
  private rate = Infinity
  private buckets: Buckets | undefined = undefined

  constructor(context: Reflection["context"]) {
    this.context = context
  }

  /** Why so many bytes are not sent, if they are not; otherwise they count. */
  withholds(to: Receiver, bytes: number): Outcome.Undelivered | undefined {
    const { maxAmplification, maxRepliesPerNetwork } = this.context.limits
    if (maxAmplification === Infinity && maxRepliesPerNetwork === Infinity) return undefined
    const { bytesRead, peer, sentBytes = 0 } = to
    const network = networkOf(peer)
    if (network === undefined) return undefined
    if (sentBytes + bytes > maxAmplification * bytesRead) {
      return this.withheld("maxAmplification", maxAmplification, peer)
    }
    if (maxRepliesPerNetwork < Infinity && this.bucketsOf(maxRepliesPerNetwork).take(network, this.context.now()) < 0) {
      return this.withheld("maxRepliesPerNetwork", maxRepliesPerNetwork, peer)
    }
    to.sentBytes = sentBytes + bytes
    return undefined
  }

  private withheld(limit: string, value: number, peer: Peer.Peer): Outcome.Undelivered {
    this.context.limitLog.reached(limit, value, "not answered", peer.name)
    return Outcome.undelivered("Limited", new Error(`${limit} is ${value}`))
  }

  private bucketsOf(rate: number): Buckets {
    if (this.buckets === undefined || this.rate !== rate) {
      this.rate = rate
      this.buckets = new Buckets(1_000 / rate, rate, 0, mostNetworks)
    }
    return this.buckets
  }
}

/** The network that an address is of, as large as those that are handed out: 256 addresses of IPv4, 2^72 of IPv6. None without an IP address. */
export const networkOf = (peer: Peer.Peer): string | undefined => {
  const key = peerKeyOf(peer)
  if (key.includes(".")) return key.slice(0, key.lastIndexOf("."))
  const [, before, last] = /^([^:]+:[^:]+:[^:]+):([\da-f]{1,4})$/.exec(key) ?? []
  if (before !== undefined) return `${before}:${(Number.parseInt(last as string, 16) >> 8).toString(16)}`
  return key.includes(":") ? key : undefined
}

const mostNetworks = 65_536
