import type * as Peer from "../Peer.ts"

/**
 * Who a peer is, whatever its port: its IPv4 address, or the network of its IPv6
 * address, of which a single host has 2^64. A process on this machine is its user,
 * where that is known. Others that have no IP address are told apart by their
 * transport alone.
 *
 * It goes by the name: to make the address takes long for one of a link, and
 * throws where its interface is gone.
 */
export const peerKeyOf = ({ credentials, name, transport }: Peer.Peer): string => {
  if (credentials !== undefined) return `user ${credentials.uid}`
  // Where senders choose their names.
  if (transport === "unixgram") return transport
  const [, ip4, ip6] = inet.exec(name) ?? []
  return ip4 ?? (ip6 === undefined ? transport : networkOf(ip6))
}

const inet = /^(?:((?:\d+\.){3}\d+)|\[([^\]]*:[^\]]*)\]):\d+$/

/** Whether it is a peer on this machine, or one of which nothing is known. */
export const isLocal = (peerKey: string): boolean =>
  peerKey === loopback || peerKey.startsWith("127.") || !/[.:]/.test(peerKey)

const networkOf = (host: string): string => {
  // An IPv4 address that came to a socket of both families.
  const mapped = /:(\d+\.\d+\.\d+\.\d+)$/.exec(host)?.[1]
  if (mapped !== undefined) return mapped
  const [start = "", end = ""] = host.split("::")
  const left = groupsOf(start)
  const right = groupsOf(end)
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0")
  const groups = [...left, ...zeros, ...right]
  const network = groups.slice(0, 4).join(":")
  if (network === "0:0:0:0") return specialOf(groups)
  // All hosts of a link have that network.
  return linkLocal.test(host) ? host : network
}

/** An IPv4 address in the form of IPv6, or this machine. */
const specialOf = (groups: ReadonlyArray<string>): string => {
  const [, , , , fifth, sixth, high = "0", low = "0"] = groups
  if (fifth !== "0") return "0:0:0:0"
  if (sixth === "0" && high === "0" && low === "1") return loopback
  if (sixth !== "ffff") return "0:0:0:0"
  return [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]).join(".")
}

const groupsOf = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split(":"))

const loopback = "::1"
const linkLocal = /^fe[89ab]/
