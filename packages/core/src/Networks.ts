/**
 * Which networks a peer comes from: for servers that let only some in.
 *
 * It is a module of its own so that a server that asks nobody where they come
 * from loads no arithmetic of addresses.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type * as Peer from "./Peer.ts"

/**
 * A network: one of `effect/net`, its text (`"10.0.0.0/8"`, `"2001:db8::/32"`),
 * or the text of a single address.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = IpNetwork.IpNetworkInput

/**
 * A text is no network.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidNetwork extends Data.TaggedError("InvalidNetwork")<{
  /** As it was written. */
  readonly network: string
}> {
  override get message(): string {
    return `"${this.network}" is no network; write it as 10.0.0.0/8, 2001:db8::/32 or a single address`
  }
}

/**
 * Says whether a peer comes from one of the networks, or which of them is none.
 *
 * **When to use**
 *
 * In `verify`. Where peers of these networks are all that may come in, the option
 * `allow` of a transport takes networks as they are.
 *
 * **Details**
 *
 * An IPv4 peer of a dual-stack listener (`::ffff:192.0.2.1`) is looked up as the
 * IPv4 address that it is, and a network may be written in either form.
 *
 * **Gotchas**
 *
 * A peer without an IP address, on a Unix socket or in memory, comes from none.
 *
 * **Example** (Letting only a private network in)
 *
 * ```ts
 * import { MemoryServer, Networks, Protocol, Server } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const inside = Result.getOrThrow(Networks.within("10.0.0.0/8", "::1"))
 *
 * const EchoTransport = MemoryServer.layer(Echo, { verify: inside })
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const within = (
  ...networks: ReadonlyArray<Input>
): Result.Result<(peer: Peer.Peer) => boolean, InvalidNetwork> =>
  Result.map(parseAll(networks), (parsed) => (peer) => includes(parsed, peer))

/**
 * Reads networks, or says which of them is none.
 *
 * **Example** (Reading a single address)
 *
 * ```ts
 * import { Networks } from "@socketserver/core"
 * import { Result } from "effect"
 *
 * const wrong = Networks.parseAll(["10.0.0.0/8", "10.0.0.0/33"])
 * Result.isFailure(wrong) && wrong.failure.message // => '"10.0.0.0/33" is no network; write it as 10.0.0.0/8, 2001:db8::/32 or a single address'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parseAll = (
  networks: ReadonlyArray<Input>
): Result.Result<ReadonlyArray<IpNetwork.IpNetwork>, InvalidNetwork> => {
  const all: Array<IpNetwork.IpNetwork> = []
  for (const network of networks) {
    const parsed =
      typeof network === "string" && !network.includes("/")
        ? Result.flatMap(NetAddress.ipFromString(network), (address) =>
            IpNetwork.fromAddress(address, NetAddress.width(address))
          )
        : IpNetwork.fromInput(network)
    if (Result.isFailure(parsed)) {
      return Result.fail(
        new InvalidNetwork({ network: typeof network === "string" ? network : JSON.stringify(network) })
      )
    }
    all.push(canonical(parsed.success))
  }
  return Result.succeed(all)
}

/** A network of IPv4 addresses that is written as one of IPv6: its peers are looked up as those of IPv4. */
const canonical = (network: IpNetwork.IpNetwork): IpNetwork.IpNetwork => {
  const address = NetAddress.toCanonical(network.address)
  return NetAddress.width(address) === NetAddress.width(network.address) || network.prefixLength < 96
    ? network
    : IpNetwork.fromAddressUnsafe(address, network.prefixLength - 96)
}

/**
 * Whether a peer comes from one of the networks.
 *
 * @category guards
 * @since 0.1.0
 */
export const includes = (networks: ReadonlyArray<IpNetwork.IpNetwork>, peer: Peer.Peer): boolean => {
  const { address } = peer
  if (address === undefined || !NetAddress.isInetAddress(address)) return false
  const ip = NetAddress.toCanonical(address.address)
  return networks.some((network) => IpNetwork.contains(network, ip))
}
