/** A connection as its parent describes it to a worker, in JSON. */
import type * as Connection from "@socketserver/core/Connection"
import * as Peer from "@socketserver/core/Peer"
import * as NetAddress from "effect/net/NetAddress"

export interface Described {
  readonly peer: DescribedPeer
  readonly openedAt: number
  readonly listener: string
}

interface DescribedPeer {
  readonly transport: string
  readonly name: string
  readonly host?: string | undefined
  readonly port?: number | undefined
}

export const describe = ({ listener, openedAt, peer }: Connection.Info): Described => {
  const { address, name, transport } = peer
  const inet = address !== undefined && "port" in address ? address : undefined
  const host = inet === undefined ? undefined : String(inet.address)
  return { peer: { transport, name, host, port: inet?.port }, openedAt, listener: String(listener) }
}

/** The peer of a description. */
export const peerOf = ({ host, name, port, transport }: DescribedPeer): Peer.Peer =>
  Peer.make({
    transport,
    name,
    address: () => (host === undefined ? undefined : NetAddress.inetAddressFromNativeUnsafe(host, port ?? 0))
  })
