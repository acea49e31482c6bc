import type * as tls from "node:tls"
import { messageOf } from "./pem.ts"

/** Why a handshake with a client failed, for the ledger. */
export const reasonOf = (
  error: (Error & { readonly code?: string; readonly reason?: string }) | undefined,
  socket: tls.TLSSocket
): string => {
  const verification = socket.authorizationError as Error | string | null | undefined
  if (verification) return `TLS: the client's certificate is not trusted (${String(verification)})`
  // What OpenSSL says in full has a thread's number in it, and ends with a line's.
  return `TLS: ${problems[error?.code ?? ""] ?? `the handshake failed (${error?.reason ?? messageOf(error)})`}`
}

const plain = "the client does not speak TLS"
const version = "no TLS version in common with the client"
const left = "the client left before the handshake was done"
const distrusted = "the client does not trust the certificate of this server"

const problems: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: plain,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: plain,
  ERR_SSL_HTTP_REQUEST: `${plain}, but HTTP`,
  ERR_SSL_HTTPS_PROXY_REQUEST: `${plain}, but HTTP`,
  ERR_SSL_UNKNOWN_PROTOCOL: plain,
  ERR_SSL_BAD_RECORD_TYPE: plain,
  ERR_SSL_UNSUPPORTED_PROTOCOL: version,
  ERR_SSL_VERSION_TOO_LOW: version,
  ERR_SSL_NO_SHARED_CIPHER: "no cipher in common with the client",
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: "no signature algorithm in common with the client",
  ERR_SSL_NO_APPLICATION_PROTOCOL: "no application protocol (ALPN) in common with the client",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "the client has shown no certificate",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: distrusted,
  "ERR_SSL_SSL/TLS_ALERT_UNKNOWN_CA": distrusted,
  ECONNRESET: left,
  EPIPE: left
}
