import * as Peer from "@socketserver/core/Peer"
import type * as tls from "node:tls"

/** The same peer, with what a handshake has agreed on. `verified` says whether its certificate may be shown. */
export const secured = (peer: Peer.Peer, socket: tls.TLSSocket, verified: boolean): Peer.Peer =>
  Peer.make({
    transport: peer.transport,
    name: peer.name,
    address: () => peer.address,
    credentials: peer.credentials,
    tls: {
      protocol: socket.getProtocol() ?? "unknown",
      cipher: socket.getCipher().standardName,
      serverName: textOf((socket as { readonly servername?: string | false | null }).servername),
      alpn: textOf(socket.alpnProtocol),
      certificate: verified ? certificateOf(socket.getPeerCertificate()) : undefined
    }
  })

const textOf = (text: string | false | null | undefined): string | undefined =>
  text === false || text === null || text === "" ? undefined : text

/** A certificate as Node has it, which is without fields where there is none. */
export const certificateOf = (certificate: tls.PeerCertificate): Peer.Certificate | undefined =>
  (certificate as Partial<tls.PeerCertificate>).raw === undefined
    ? undefined
    : {
        subject: fieldsOf(certificate.subject),
        issuer: fieldsOf(certificate.issuer),
        subjectAltName: certificate.subjectaltname,
        serialNumber: certificate.serialNumber,
        fingerprint256: certificate.fingerprint256,
        validFrom: Date.parse(certificate.valid_from),
        validTo: Date.parse(certificate.valid_to),
        raw: certificate.raw
      }

/** Node makes them without a prototype; a certificate without a subject has none. */
const fieldsOf = (fields: unknown): Record<string, string | ReadonlyArray<string>> => ({
  ...(fields as Record<string, string>)
})
