import type * as Peer from "@socketserver/core/Peer"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as net from "node:net"
import * as tls from "node:tls"
import type { TlsTrustOptions } from "../NodeClient.ts"
import { boundKeys } from "./newKeys.ts"
import { invalid, messageOf, readIdentity } from "./pem.ts"
import type { Secured } from "./socketWire.ts"
import { check } from "./tlsOptions.ts"
import { secured } from "./tlsPeer.ts"

/** Puts TLS over a connected socket, as its client. */
export type Connect = (socket: net.Socket, peer: Peer.Peer) => Effect.Effect<Secured, Error>

/** Resolves the options of a client that connects to `host`, or says what is wrong with one. */
export const connecting = (host: string | undefined, options: TlsTrustOptions): Effect.Effect<Connect, ServerError> =>
  Effect.fromResult(
    Result.gen(function* () {
      const { alpn, ca, minVersion } = yield* check(options)
      const { cert, key, passphrase, serverName } = options
      if (cert === undefined && key !== undefined)
        return yield* Result.fail(invalid("cert", "it is missing, but there is a key"))
      if (cert !== undefined && key === undefined)
        return yield* Result.fail(invalid("key", "it is missing, but there is a cert"))
      if (serverName !== undefined && (serverName === "" || net.isIP(serverName) !== 0)) {
        const problem = `it must be a host name, not ${JSON.stringify(serverName)}; an IP address is never sent (RFC 6066)`
        return yield* Result.fail(invalid("serverName", problem))
      }
      const name = serverName ?? host
      if (name === undefined) {
        return yield* Result.fail(
          invalid("serverName", "it is missing: the server's certificate has to be for somebody")
        )
      }
      const pair = cert === undefined || key === undefined ? undefined : yield* readIdentity({ cert, key, passphrase })
      const secureContext = yield* Result.try({
        try: () =>
          tls.createSecureContext({
            minVersion,
            ...(ca === undefined ? {} : { ca }),
            ...(pair === undefined ? {} : { cert: pair.cert, key: pair.key }),
            ...(passphrase === undefined ? {} : { passphrase })
          }),
        catch: (cause) => invalid(pair === undefined ? "ca" : "cert", `TLS does not take it: ${messageOf(cause)}`)
      })
      return handshake({ secureContext, name, alpn, identity: (cert) => tls.checkServerIdentity(name, cert) })
    })
  )

/** A client that trusts exactly these certificates, whoever has signed them and whomever they are for. */
export const pinned = (
  certificates: ReadonlyArray<Peer.Certificate>,
  alpn: ReadonlyArray<string> | undefined
): Connect =>
  handshake({
    secureContext: tls.createSecureContext({ ca: certificates.map(pemOf), allowPartialTrustChain: true }),
    name: undefined,
    alpn: alpn === undefined ? undefined : [...alpn],
    identity: ({ fingerprint256 }) =>
      certificates.some((pinned) => pinned.fingerprint256 === fingerprint256)
        ? undefined
        : new Error("the certificate is not that of the server in this program")
  })

const pemOf = ({ raw }: Peer.Certificate): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(raw).toString("base64")}\n-----END CERTIFICATE-----\n`

const handshake =
  (options: {
    readonly secureContext: tls.SecureContext
    readonly name: string | undefined
    readonly alpn: Array<string> | undefined
    readonly identity: (certificate: tls.PeerCertificate) => Error | undefined
  }): Connect =>
  (socket, peer) =>
    Effect.callback<Secured, Error>((resume) => {
      if (socket.destroyed) return resume(Effect.fail(new Error("the connection is closed")))
      const { alpn, name } = options
      const client = tls.connect({
        socket,
        secureContext: options.secureContext,
        ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
        ...(name === undefined || net.isIP(name) !== 0 ? {} : { servername: name }),
        checkServerIdentity: (_, certificate) => options.identity(certificate)
      })
      const stop = () => client.off("secureConnect", secure).off("error", failed).off("close", closed)
      const failed = (error: Error) => {
        stop()
        client.on("error", noop)
        resume(Effect.fail(explained(error)))
      }
      const closed = () => failed(new Error("the server has closed the connection"))
      const secure = () => {
        client.disableRenegotiation()
        boundKeys(client, socket, "server", peer)
        // Here TLS is in the middle of its work: what was written now would be counted late.
        setImmediate(() => {
          stop()
          client.on("error", noop)
          resume(Effect.succeed({ socket: client, peer: secured(peer, client, client.authorized) }))
        })
      }
      client.on("secureConnect", secure).on("error", failed).on("close", closed)
      return Effect.sync(() => {
        stop()
        client.on("error", noop)
        client.destroy()
      })
    })

/** What to do about an error, where that can be said. */
const explained = (
  error: Error & { readonly code?: string; readonly library?: string; readonly reason?: string }
): Error => {
  switch (error.code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_GET_ISSUER_CERT":
      // Node's own advice depends on its version.
      return Object.assign(
        new Error(`${error.message.split(";")[0]}; give who has signed it as ca, if it is to be trusted`),
        {
          code: error.code
        }
      )
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return Object.assign(new Error("the server does not speak TLS"), { code: error.code })
    default:
      // What OpenSSL says in full has a thread's number in it, and ends with a line's.
      return error.library === undefined
        ? error
        : Object.assign(new Error(error.reason, { cause: error }), { code: error.code })
  }
}

const noop = () => {}
