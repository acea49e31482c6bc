import * as Outcome from "@socketserver/core/Outcome"
import type * as Peer from "@socketserver/core/Peer"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { constants } from "node:crypto"
import * as fs from "node:fs"
import type * as net from "node:net"
import * as tls from "node:tls"
import type { Pem, TlsOptions } from "../TlsServer.ts"
import { invalid, messageOf, type Pair, pathOf, readIdentity, subjectOf, untimely } from "./pem.ts"
import type { Secured } from "./socketWire.ts"
import { boundKeys } from "./newKeys.ts"
import * as reloads from "./reloads.ts"
import { reasonOf } from "./tlsFailures.ts"
import { time } from "./times.ts"
import { type Checked, check } from "./tlsOptions.ts"
import { certificateOf, secured } from "./tlsPeer.ts"

/** Everything that is in files, read once. */
interface Material {
  readonly own: Pair
  /** That, and those of other names. */
  readonly pairs: ReadonlyArray<Pair>
  readonly options: tls.SecureContextOptions
  readonly names: ReadonlyMap<string, tls.SecureContext>
  readonly certificates: ReadonlyArray<Peer.Certificate>
  /** What the files were when they were read. */
  readonly stamps: string
  /** Whether any of it is in a file. */
  readonly isInFiles: boolean
}

type Settle = (result: Effect.Effect<tls.TLSSocket, Outcome.Refused>) => void

/** Who waits for a handshake, and whose it is. */
interface Waiting {
  readonly settle: Settle
  readonly peer: Peer.Peer
}

/** Reads the credentials of a server, or says what is wrong with them. */
export const make = (options: TlsOptions): Effect.Effect<Credentials, ServerError> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<never>()
    const lookedAt = Number(yield* Clock.monotonicTimeNanos) / 1_000_000
    const made = Result.gen(function* () {
      const handshakeMillis = yield* time("handshakeTimeout", options.handshakeTimeout ?? "10 seconds")
      const reloadMillis = yield* time("reloadAfter", options.reloadAfter ?? "10 seconds", { zero: true })
      const checked = yield* check(options)
      const material = yield* load(options)
      const credentials = new Credentials(
        options,
        checked,
        material,
        { handshakeMillis, reloadMillis, lookedAt },
        services
      )
      if (material.isInFiles) reloads.add(credentials)
      return credentials
    })
    return yield* Effect.tap(Effect.fromResult(made), ({ tellUntimely }) => tellUntimely)
  })

/**
 * A server's side of TLS handshakes, with the certificates that it shows.
 *
 * Sockets are handed to a `tls.Server` that listens nowhere, which documents
 * that. Making a `TLSSocket` of one would be simpler, but it is the server in
 * Node that looks whether a client's certificate was verified.
 */
export class Credentials {
  private readonly options: TlsOptions
  readonly handshakeMillis: number
  private readonly reloadMillis: number
  private readonly server: tls.Server
  private readonly optional: boolean
  private readonly waiting = new Map<net.Socket, Waiting>()
  private material: Material
  /** The files of the last look, which may have been of no use. */
  private seen: string
  private lookedAt: number
  /** Reads the files now, whether or not they seem to have changed. */
  readonly reload: Effect.Effect<void>

  constructor(
    options: TlsOptions,
    { alpn }: Checked,
    material: Material,
    times: { readonly handshakeMillis: number; readonly reloadMillis: number; readonly lookedAt: number },
    services: Context.Context<never>
  ) {
    const { handshakeMillis, lookedAt, reloadMillis } = times
    this.options = options
    this.handshakeMillis = handshakeMillis
    this.reloadMillis = reloadMillis
    this.lookedAt = lookedAt
    this.material = material
    this.seen = material.stamps
    this.optional = options.clientCertificate === "optional"
    this.server = tls.createServer({
      ...material.options,
      requestCert: options.ca !== undefined,
      rejectUnauthorized: !this.optional,
      ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
      // Node's own is a time of silence, which a byte now and then prolongs.
      handshakeTimeout: Math.min(handshakeMillis + 1_000, 2_147_483_647),
      SNICallback: (name, answer) => answer(null, this.contextOf(name.toLowerCase()))
    })
    this.reload = Effect.provideContext(
      Effect.suspend(() => this.read(stampsOf(options))),
      services
    )
    this.server.on("secureConnection", this.onSecure)
    this.server.on("tlsClientError", this.onFailed)
  }

  /** Says so where clients will not take what it shows, for its time. */
  readonly tellUntimely: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(
      this.material.pairs.flatMap(({ certificate }) => untimely(certificate, Date.now()) ?? []),
      (problem) => Effect.logWarning(`TLS: ${problem}: clients that verify it go away`),
      { discard: true }
    )
  )

  /** What it shows: to clients that ask for no other name first. */
  get certificates(): ReadonlyArray<Peer.Certificate> {
    return this.material.certificates
  }

  /** The protocols that a client in the same program offers. */
  get alpn(): ReadonlyArray<string> | undefined {
    return this.options.alpn
  }

  /** Puts TLS over a connected socket, as its server, within the handshake's time. */
  readonly secure = (socket: net.Socket, peer: Peer.Peer): Effect.Effect<Secured, Outcome.Refused> =>
    Effect.andThen(this.refresh, this.handshake(socket, peer)).pipe(
      Effect.map((done) => ({ socket: done, peer: secured(peer, done, true) })),
      Effect.timeoutOrElse({
        duration: this.handshakeMillis,
        orElse: () => Effect.fail(Outcome.refused(`no TLS handshake within ${this.handshakeMillis} ms`, "Opening"))
      })
    )

  private handshake(socket: net.Socket, peer: Peer.Peer): Effect.Effect<tls.TLSSocket, Outcome.Refused> {
    return Effect.callback((resume) => {
      if (socket.destroyed) return resume(left)
      // Node may have more to say about it, which comes next.
      const closed = () => void setImmediate(() => settle(left))
      const stop = () => {
        this.waiting.delete(socket)
        socket.off("close", closed).off("end", closed)
      }
      const settle: Settle = (result) => {
        stop()
        resume(result)
      }
      this.waiting.set(socket, { settle, peer })
      socket.on("close", closed)
      // Where it has been read before, TLS does not see its end.
      socket.on("end", closed)
      // A client that half-closes now will not end its handshake: Node is to take that for its end.
      socket.allowHalfOpen = false
      this.server.emit("connection", socket)
      socket.allowHalfOpen = true
      return Effect.sync(stop)
    })
  }

  private readonly onSecure = (socket: tls.TLSSocket): void => {
    const waiting = this.take(socket)
    if (waiting === undefined) return void socket.destroy()
    const { peer, settle } = waiting
    // Who may leave the certificate out may not show one that is not trusted.
    if (this.optional && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      return settle(Effect.fail(Outcome.refused(reasonOf(undefined, socket), "Opening")))
    }
    socket.allowHalfOpen = true
    socket.disableRenegotiation()
    boundKeys(socket, below(socket), "client", peer)
    // Here TLS is in the middle of its work: what was written now would be counted late.
    setImmediate(() => settle(Effect.succeed(socket)))
  }

  private readonly onFailed = (error: Error, socket: tls.TLSSocket): void =>
    this.take(socket)?.settle(Effect.fail(Outcome.refused(reasonOf(error, socket), "Opening")))

  /** Who waits for a socket. */
  private take(socket: tls.TLSSocket): Waiting | undefined {
    const parent = below(socket)
    const waiting = this.waiting.get(parent)
    this.waiting.delete(parent)
    return waiting
  }

  private contextOf(name: string): tls.SecureContext | undefined {
    const { names } = this.material
    return names.get(name) ?? names.get(name.replace(/^[^.]+/, "*"))
  }

  /** Looks whether the files have changed, if the last look was long enough ago. */
  readonly refresh: Effect.Effect<void> = Effect.flatMap(Clock.monotonicTimeNanos, (nanos) => {
    const now = Number(nanos) / 1_000_000
    if (now - this.lookedAt < this.reloadMillis) return Effect.void
    this.lookedAt = now
    const stamps = stampsOf(this.options)
    return stamps === this.seen ? Effect.void : this.read(stamps)
  })

  private read(stamps: string): Effect.Effect<void> {
    this.seen = stamps
    return Result.match(
      Result.flatMap(load(this.options), (material) => this.adopt(material)),
      {
        onFailure: (error) =>
          Effect.logWarning(`The certificate stays as it was, as its new files cannot be used. ${error.message}`),
        onSuccess: () =>
          Effect.andThen(
            Effect.logInfo(`The certificate was read anew: ${subjectOf(this.material.own.certificate)}`),
            this.tellUntimely
          )
      }
    )
  }

  private adopt(material: Material): Result.Result<void, ServerError> {
    return Result.map(
      Result.try({
        try: () => this.server.setSecureContext(material.options),
        catch: (cause) => invalid("cert", messageOf(cause))
      }),
      () => {
        this.material = material
      }
    )
  }
}

/** The one that Node keeps as the one below. If it did not, every handshake would time out. */
const below = (socket: tls.TLSSocket): net.Socket => (socket as never as { readonly _parent: net.Socket })._parent

const left = Effect.fail(Outcome.refused("TLS: the client left before the handshake was done", "Opening"))

const load = (options: TlsOptions): Result.Result<Material, ServerError> =>
  Result.gen(function* () {
    // Before they are read, so that what changes meanwhile is seen by the next look.
    const stamps = stampsOf(options)
    const { ca, minVersion } = yield* check(options)
    if (options.clientCertificate !== undefined && ca === undefined) {
      return yield* Result.fail(invalid("clientCertificate", "it needs ca, which says whose certificates are trusted"))
    }
    const { SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_TICKET } = constants
    // Of a session that is resumed OpenSSL verifies no certificate: one that has ended would be let in for ever.
    const shared =
      ca === undefined
        ? { minVersion, secureOptions: SSL_OP_NO_RENEGOTIATION }
        : { minVersion, secureOptions: SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET, ca }
    const own = yield* readIdentity(options)
    const certificates = [certificateOf(own.certificate.toLegacyObject() as tls.PeerCertificate) as Peer.Certificate]
    const optionsOf = ({ cert, key, passphrase }: Pair) => ({
      ...shared,
      cert,
      key,
      ...(passphrase === undefined ? {} : { passphrase })
    })
    const context = (pair: Pair, at: string) =>
      Result.try({
        try: () => tls.createSecureContext(optionsOf(pair)),
        catch: (cause) => invalid(`${at}cert`, `TLS does not take it: ${messageOf(cause)}`)
      })
    yield* context(own, "")
    const names = new Map<string, tls.SecureContext>()
    const pairs = [own]
    for (const [name, identity] of Object.entries(options.sni ?? {})) {
      if (!/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)) {
        const problem = `${JSON.stringify(name)} is no host name, as in "example.org" or "*.example.org"`
        return yield* Result.fail(invalid("sni", problem))
      }
      const at = `sni[${JSON.stringify(name)}].`
      const pair = yield* readIdentity(identity, at)
      names.set(name.toLowerCase(), yield* context(pair, at))
      pairs.push(pair)
      certificates.push(certificateOf(pair.certificate.toLegacyObject() as tls.PeerCertificate) as Peer.Certificate)
    }
    return { own, pairs, options: optionsOf(own), names, certificates, stamps, isInFiles: /[^,]/.test(stamps) }
  })

/** What can be seen of the files without reading them. */
const stampsOf = (options: TlsOptions): string => {
  const all = [options, ...Object.values(options.sni ?? {})].flatMap(({ cert, key }) => [cert, key])
  const pems = [...all, ...((options.ca === undefined ? [] : [options.ca].flat()) as Array<Pem>)]
  return pems.map((pem) => stampOf(pathOf(pem))).join()
}

const stampOf = (path: string | undefined): string => {
  if (path === undefined) return ""
  const stat = Result.getOrUndefined(Result.try(() => fs.statSync(path, { bigint: true })))
  return stat === undefined ? "none" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`
}
