import type { TlsOptions } from "@socketserver/node/TlsServer"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Socket from "effect/socket/Socket"
import type { Upgrade } from "./bridgedSocket.ts"

/** What Effect's socket says of a handshake, to what our transports take. They are loaded when somebody asks for it. */

type Options = Socket.TlsUpgradeOptions
type Pem = string | Uint8Array

/** A module that is loaded when it is first asked for. After that it is at hand, so that nothing is written while it is waited for. */
const once = <A>(load: () => Promise<A>): Effect.Effect<A> => {
  let loaded: A | undefined
  return Effect.suspend(() =>
    loaded === undefined ? Effect.map(Effect.promise(load), (module) => (loaded = module)) : Effect.succeed(loaded)
  )
}

export const nodeClient = once(() => import("@socketserver/node/NodeClient"))
const tlsServer = once(() => import("@socketserver/node/TlsServer"))

const problem = (cause: unknown): Socket.SocketUpgradeError => new Socket.SocketUpgradeError({ cause })

/** The server's side of a handshake. */
export const ofServer: Upgrade = (connection, options) =>
  Effect.gen(function* () {
    const { cert, key } = identityOf(options)
    if (cert === undefined || key === undefined) {
      return yield* Effect.fail(problem(new Error("a server shows a certificate: give cert and key")))
    }
    const { credentials, upgrade } = yield* tlsServer
    const asks = options.requestCert === true
    const own: TlsOptions = {
      cert,
      key,
      ...passphraseOf(options),
      ...(asks && { ca: pemsOf(options.ca) ?? [] }),
      ...(asks && { clientCertificate: options.rejectUnauthorized === false ? "optional" : "required" }),
      ...(options.alpnProtocols !== undefined && { alpn: options.alpnProtocols })
    }
    yield* Effect.mapError(
      Effect.flatMap(credentials(own), (credentials) => upgrade(connection, credentials)),
      problem
    )
  })

/** The client's side. It always verifies. */
export const ofClient: Upgrade = (connection, options) =>
  Effect.gen(function* () {
    if (options.rejectUnauthorized === false) {
      return yield* Effect.fail(problem(new Error("the server is always verified: give its certificate as ca")))
    }
    const { upgrade } = yield* nodeClient
    const { servername } = options
    if (servername === undefined) {
      return yield* Effect.fail(problem(new Error("the server's certificate is for somebody: give servername")))
    }
    const trust = {
      serverName: servername,
      ...identityOf(options),
      ...passphraseOf(options),
      ...(options.ca !== undefined && { ca: pemsOf(options.ca) }),
      ...(options.alpnProtocols !== undefined && { alpn: options.alpnProtocols })
    }
    yield* Effect.mapError(upgrade(connection, trust), problem)
  })

const identityOf = (options: Options): { readonly cert?: Pem | undefined; readonly key?: Pem | undefined } => {
  const key = options.key === undefined ? undefined : [options.key].flat()[0]
  const cert = pemsOf(options.cert)
  return {
    // The certificate, and after it those that lead to its authority, in one text.
    ...(cert !== undefined && { cert: cert.length === 1 ? cert[0] : cert.map(textOf).join("\n") }),
    ...(key !== undefined && { key: Redacted.value(key) })
  }
}

const passphraseOf = ({ passphrase }: Options) =>
  passphrase === undefined ? {} : { passphrase: Redacted.value(passphrase) }

const pemsOf = (pems: Options["ca"]): ReadonlyArray<Pem> | undefined =>
  pems === undefined ? undefined : typeof pems === "string" || pems instanceof Uint8Array ? [pems] : pems

const textOf = (pem: Pem): string => (typeof pem === "string" ? pem : new TextDecoder().decode(pem))
