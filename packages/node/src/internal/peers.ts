import * as Peer from "@socketserver/core/Peer"
import * as NetAddress from "effect/net/NetAddress"
import type * as net from "node:net"
import { networkInterfaces } from "node:os"

/** A peer with an IP address, as the platform writes it: `127.0.0.1`, `fe80::1%eth0`. */
export const inetPeer = (transport: string, host: string, port: number, tls?: Peer.Tls): Peer.Peer =>
  Peer.make({
    transport,
    name: nameOf(host, port),
    address: () => NetAddress.inetAddressFromNativeUnsafe(host, port, host.includes("%") ? scopeIds() : undefined),
    tls
  })

const nameOf = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

/** Has a socket say who its peer is, where somebody in front of it has said so. */
export const introduce = (socket: net.Socket, peer: Peer.Peer): void => {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress !== undefined && peer.name === nameOf(remoteAddress, remotePort ?? 0)) return
  const { address } = peer
  if (address === undefined || address._tag === "UnixPathAddress") return
  const remoteFamily = address._tag === "InetAddressV4" ? "IPv4" : "IPv6"
  const known = { remoteAddress: NetAddress.formatHost(address), remotePort: address.port, remoteFamily }
  for (const [name, value] of Object.entries(known)) Object.defineProperty(socket, name, { value, configurable: true })
}

/** The other end of a connected socket. */
export const peerOf = (socket: net.Socket, transport: string): Peer.Peer => {
  const { remoteAddress, remotePort } = socket
  // The peer may have left before it was looked at.
  return remoteAddress === undefined || remotePort === undefined
    ? Peer.make({ transport, name: "unknown" })
    : inetPeer(transport, remoteAddress, remotePort)
}

/** A peer on a Unix socket: the path that it is bound to, or what it is called. */
export const unixPeer = (transport: string, name: string, path?: string): Peer.Peer =>
  Peer.make({
    transport,
    name,
    address: path === undefined ? undefined : () => NetAddress.unixPathAddress(path)
  })

/** The address at which a server that listens everywhere is found on this machine. */
export const reachable = (host: string): string => (host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host)

const scopeIds = (): ReadonlyMap<string, number> => {
  const ids = new Map<string, number>()
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { scopeid } of (addresses ?? []) as ReadonlyArray<{ readonly scopeid?: number }>) {
      if (scopeid !== undefined && scopeid > 0) ids.set(name, scopeid)
    }
  }
  return ids
}
