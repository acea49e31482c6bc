import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import { Buckets } from "./buckets.ts"
import type { ServerContext } from "./context.ts"
import { peerKeyOf } from "./peerKey.ts"

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

  /** Whether anything is bounded. */
  get isOn(): boolean {
    const { maxAmplification, maxRepliesPerNetwork } = this.context.limits
    return maxAmplification < Infinity || maxRepliesPerNetwork < Infinity
  }

  /** Why a reply is not sent to a sender of so many bytes, to whom so many have gone already. */
  withholds(peer: Peer.Peer, heard: number, before: number, bytes: number): Outcome.Undelivered | undefined {
    const { maxAmplification, maxRepliesPerNetwork } = this.context.limits
    const network = networkOf(peer)
    if (network === undefined) return undefined
    if (before + bytes > maxAmplification * heard) {
      return this.withheld("maxAmplification", maxAmplification, peer)
    }
    if (maxRepliesPerNetwork < Infinity && this.bucketsOf(maxRepliesPerNetwork).take(network, this.context.now()) < 0) {
      return this.withheld("maxRepliesPerNetwork", maxRepliesPerNetwork, peer)
    }
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
