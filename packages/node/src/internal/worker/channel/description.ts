/**
 * A connection as its parent describes it to a worker, in JSON: the peer whole,
 * so that a handler in a worker sees the one that the server saw.
 */
import type * as Connection from "@socketserver/core/Connection"
import * as Peer from "@socketserver/core/Peer"
import * as NetAddress from "effect/net/NetAddress"

export interface Described {
  readonly kind: Connection.Info["kind"]
  readonly peer: DescribedPeer
  readonly openedAt: number
  readonly listener: string
}

interface DescribedPeer {
  readonly transport: string
  readonly name: string
  readonly address?: DescribedAddress | undefined
  readonly tls?: DescribedTls | undefined
  readonly credentials?: Peer.Credentials | undefined
}

type DescribedAddress = { readonly host: string; readonly port: number } | { readonly path: string }

type DescribedTls = Omit<Peer.Tls, "certificate"> & { readonly certificate?: DescribedCertificate | undefined }

/** Its DER form is in Base64. */
type DescribedCertificate = Omit<Peer.Certificate, "raw"> & { readonly raw: string }

export const describe = ({ kind, listener, openedAt, peer }: Connection.Info): Described => ({
  kind,
  peer: describePeer(peer),
  openedAt,
  listener: String(listener)
})

const describePeer = ({ address, credentials, name, tls, transport }: Peer.Peer): DescribedPeer => ({
  transport,
  name,
  address: address && describeAddress(address),
  tls: tls && { ...tls, certificate: tls.certificate && describeCertificate(tls.certificate) },
  credentials
})

const describeAddress = (address: NetAddress.SocketAddress): DescribedAddress =>
  address._tag === "UnixPathAddress"
    ? { path: address.path }
    : { host: NetAddress.formatHost(address), port: address.port }

const describeCertificate = (certificate: Peer.Certificate): DescribedCertificate => ({
  ...certificate,
  raw: Buffer.from(certificate.raw).toString("base64")
})

/** The peer of a description. */
export const peerOf = ({ address, credentials, name, tls, transport }: DescribedPeer): Peer.Peer =>
  Peer.make({
    transport,
    name,
    address: address && (() => addressOf(address)),
    tls: tls && tlsOf(tls),
    credentials
  })

const addressOf = (address: DescribedAddress): NetAddress.SocketAddress =>
  "path" in address
    ? NetAddress.unixPathAddress(address.path)
    : NetAddress.inetAddressFromNativeUnsafe(address.host, address.port)

// What is undefined is left out of JSON, and is a field all the same.
const tlsOf = ({ alpn, certificate, cipher, protocol, serverName }: DescribedTls): Peer.Tls => ({
  protocol,
  cipher,
  serverName,
  alpn,
  certificate: certificate && certificateOf(certificate)
})

const certificateOf = (certificate: DescribedCertificate): Peer.Certificate => ({
  ...certificate,
  subjectAltName: certificate.subjectAltName,
  raw: Buffer.from(certificate.raw, "base64")
})
