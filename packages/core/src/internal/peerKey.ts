import type * as Peer from "../Peer.ts"

/**
 * Who a peer is, whatever its port: its IPv4 address, or the network of its IPv6
 * address, of which a single host has 2^64. Those that have no IP address are
 * told apart by their transport alone.
 */
export const peerKeyOf = ({ address, name, transport }: Peer.Peer): string => {
  if (address === undefined || address._tag === "UnixPathAddress") return transport
  const port = name.lastIndexOf(":")
  const host = port < 0 ? name : name.slice(0, port)
  return host.startsWith("[") && !host.includes(".") ? networkOf(host.slice(1, -1)) : host
}

const networkOf = (host: string): string => {
  const [start = "", end = ""] = host.split("::")
  const left = groupsOf(start)
  const right = groupsOf(end)
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0")
  return [...left, ...zeros, ...right].slice(0, 4).join(":")
}

const groupsOf = (text: string): ReadonlyArray<string> => (text === "" ? [] : text.split(":"))
