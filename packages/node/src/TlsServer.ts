/**
 * TLS, for programs that say so in code; `NodeServer` chooses it by URL.
 *
 * It runs over TCP, from the first byte, or on a connection that began in clear,
 * as STARTTLS has it: see {@link upgrade}.
 *
 * @since 0.1.0
 */
import * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { Credentials as Impl, make } from "./internal/credentials.ts"
import { listenInet } from "./internal/inetListener.ts"
import { securing } from "./internal/tlsListener.ts"
import { impossible, upgrading } from "./internal/tlsUpgrade.ts"
import type * as TcpServer from "./TcpServer.ts"
import { bounded, connectionBytes } from "./internal/machine.ts"

/**
 * The path of a PEM file, or what is in one, as text or bytes. Files are read
 * when the layer is built, and again when they have changed.
 *
 * @category models
 * @since 0.1.0
 */
export type Pem = string | Uint8Array

/**
 * A certificate, and the key that proves it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  /** The certificate, and after it those that lead to its authority. */
  readonly cert: Pem
  readonly key: Pem
  /** Opens an encrypted key. */
  readonly passphrase?: string | undefined
}

/**
 * What a server shows to its clients, and what it asks of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsOptions extends Identity {
  /**
   * Who may have signed a client's certificate. Where it is given, clients are
   * asked for one, and it is on `peer.tls.certificate` once it is verified.
   * Default: nobody is asked.
   */
  readonly ca?: Pem | ReadonlyArray<Pem> | undefined
  /**
   * Whether a client that shows no certificate is refused. One that shows a
   * certificate that is not trusted always is. Default: `"required"`, where there
   * is a `ca`.
   */
  readonly clientCertificate?: "required" | "optional" | undefined
  /**
   * Certificates by the name that a client asks for (SNI):
   * `{ "example.org": …, "*.example.org": … }`. Default: none; other names, and
   * clients without one, get `cert`. A handler that goes by `peer.tls.serverName`
   * needs `minVersion: "TLSv1.3"`: a resumed session of TLS 1.2 has none.
   */
  readonly sni?: Readonly<Record<string, Identity>> | undefined
  /**
   * The protocols that are spoken, the best one first (ALPN). A client that offers
   * only others is refused; one that offers none is let in. Default: none.
   */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** The oldest version that is accepted. Default: `"TLSv1.2"`; there is no older one. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /**
   * How long a handshake may take, from its turn to its last byte. Default: 10
   * seconds; then the connection is closed and counts as `Refused`. While others wait for
   * a turn (`maxOpening`), who sends nothing for a second waits for another one meanwhile.
   */
  readonly handshakeTimeout?: Settings.Time | undefined
  /**
   * For how long a look at the PEM files is good: the next client after that has
   * them looked at again, and read if they have changed. Connections stay as they
   * are. New files that cannot be used are logged, once, and the old certificate
   * stays. Default: 10 seconds.
   */
  readonly reloadAfter?: Settings.Time | undefined
}

/**
 * The options of a TLS server.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsServerOptions extends Transport.ServerOptions, TlsListenOptions {}

/**
 * The options of a TLS listener.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsListenOptions extends TcpServer.TcpListenOptions, TlsOptions {}

/**
 * A TLS server.
 *
 * **Details**
 *
 * `verify`, `allow` and the PROXY header come before the handshake, which runs
 * beside those of others and counts as a connection. One that fails is refused,
 * with the reason in the ledger. What was agreed on is `request.peer.tls`.
 *
 * A server on other certificates than it can use is not built: `ServerError`
 * with reason `InvalidOption` says which file, and what is wrong with it.
 *
 * **Gotchas**
 *
 * `Tag.client` trusts exactly the server's own certificate. It has none to
 * show, so it cannot connect where client certificates are required.
 *
 * Node does not tell a regular end of a client's input from one that was cut
 * off by somebody between (a missing `close_notify`). A protocol whose messages
 * show their own end, as all framings here do, is safe from that;
 * `Protocol.lines` is with `unterminated: "malformed"`.
 *
 * **Example** (Serving lines over TLS)
 *
 * ```ts no-run
 * import { Protocol, Response, Server } from "@socketserver/core"
 * import { NodeServer, TlsServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(TlsServer.layer(Echo, { port: 9443, cert: "/etc/echo/cert.pem", key: "/etc/echo/key.pem" })),
 *   NodeServer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  options: TlsServerOptions
): Layer.Layer<Self, ServerError> => Transport.layer(tag, bounded(options, connectionBytes.tls), listen(options))

/**
 * A TLS listener, for `Transport.layer`: one of several of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen =
  (options: TlsListenOptions): Transport.Listen =>
  (sink) =>
    Effect.flatMap(securing(options), (tls) => listenInet(options, sink, { endpoint: Endpoint.tls, ...tls }))

/**
 * Certificates that have been read, for {@link upgrade}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  /** What is shown to clients, as of the last look at the files: the certificate, and those of `sni` after it. */
  readonly certificates: ReadonlyArray<Peer.Certificate>
}

/**
 * Reads certificates, or says what is wrong with them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const credentials = (options: TlsOptions): Effect.Effect<Credentials, ServerError> => make(options)

/**
 * The options of {@link upgrade}.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeOptions<Out> {
  /**
   * What is still said in clear, such as `"220 Ready to start TLS"`. What the
   * client answers to it is TLS already, however fast it answers. Default:
   * nothing.
   */
  readonly last?: Out | undefined
}

/**
 * Goes on encrypted on a connection that began in clear, as STARTTLS has it.
 *
 * **When to use**
 *
 * In the handler of a `Protocol.connection` over TCP or a Unix socket, when the
 * client has asked for it. Afterwards `stream`, `write` and `peer` of the same
 * connection are the encrypted ones, and `peer.tls` says what was agreed on.
 *
 * **Details**
 *
 * What was written leaves first, in clear, and `last` after it. The handshake
 * has the time that the credentials were made with. Forget what the client has
 * said in clear (RFC 3207, 4.2).
 *
 * **Gotchas**
 *
 * A worker has no socket, so under the policies `thread`, `pool` and `process`
 * it fails, before `last` is said: {@link canUpgrade} tells.
 *
 * What the client has sent in clear after its command is an error, and is never
 * taken as if it had come encrypted (CVE-2011-0411). After any error the
 * connection is broken off; its request ends as `Refused` if the handler
 * returns, and its handler is interrupted if it goes on.
 *
 * **Example** (Offering STARTTLS)
 *
 * ```ts no-run
 * import { Handler, Protocol, Server } from "@socketserver/core"
 * import { NodeServer, TlsServer } from "@socketserver/node"
 * import { Effect, Layer } from "effect"
 *
 * class Mail extends Server.Service<Mail>()("Mail", {
 *   // `lines` would end a command at a bare LF, too.
 *   protocol: Protocol.connection(Protocol.text(Protocol.delimited("\r\n")))
 * }) {}
 *
 * const greeting = (credentials: TlsServer.Credentials) =>
 *   Handler.dialogue((connection: Server.ConnectionOf<typeof Mail>) =>
 *     Effect.gen(function*() {
 *       yield* connection.write("220 example.org")
 *       const command = yield* connection.take
 *       if (command !== "STARTTLS") return yield* connection.write("530 Must issue a STARTTLS command first")
 *       yield* TlsServer.upgrade(connection, credentials, { last: "220 Ready to start TLS" })
 *       yield* connection.write(`250 ${connection.peer.tls?.cipher}`)
 *     })
 *   )
 *
 * Layer.unwrap(
 *   Effect.map(TlsServer.credentials({ cert: "cert.pem", key: "key.pem" }), (all) => Mail.serve(greeting(all)))
 * ).pipe(Layer.provide(NodeServer.layerConfig(Mail)), NodeServer.launch)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const upgrade = <In, Out>(
  connection: Connection.Connection<In, Out>,
  credentials: Credentials,
  options: UpgradeOptions<Out> = {}
): Effect.Effect<void, Connection.UpgradeFailed> =>
  credentials instanceof Impl
    ? upgrading(connection, credentials.secure, options.last)
    : Effect.fail(
        new Connection.UpgradeFailed({
          peer: connection.peer,
          problem: "the credentials are not of TlsServer.credentials"
        })
      )

/**
 * Whether {@link upgrade} can encrypt a connection now: it is over TCP or a Unix
 * socket, in the process that accepted it, open, and not encrypted yet.
 *
 * **When to use**
 *
 * To offer `STARTTLS` only where it works: not on a connection over TLS, and not
 * under a policy of workers.
 *
 * **Example** (Saying what a server can do)
 *
 * ```ts
 * import type { Connection } from "@socketserver/core"
 * import { TlsServer } from "@socketserver/node"
 *
 * const capabilities = (connection: Connection.Connection<string, string>) =>
 *   TlsServer.canUpgrade(connection) ? ["250-example.org", "250 STARTTLS"] : ["250 example.org"]
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const canUpgrade = <In, Out>(connection: Connection.Connection<In, Out>): boolean =>
  Transport.upgradeProblem(connection, impossible) === undefined
