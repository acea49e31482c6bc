/**
 * Clients by URL, for programs that talk to a server: a typed client of a
 * declaration, bytes, or a wire.
 *
 * A transport that the URL does not name is not loaded.
 *
 * @since 0.1.0
 */
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import { UpgradeFailed } from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Protocol from "@socketserver/core/Protocol"
import { ServerError, UnsupportedEndpoint } from "@socketserver/core/ServerError"
import type * as Settings from "@socketserver/core/Settings"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as query from "./internal/query.ts"
import { time } from "./internal/times.ts"
import type { Pem } from "./TlsServer.ts"

/**
 * The options of each transport, which hold if the URL names it. `udp://` has none.
 *
 * **Details**
 *
 * An option of the URL (`tcp://127.0.0.1:9000?noDelay=false`) wins over the one
 * of the same name here.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeClientOptions {
  /** What holds for `tcp://`. */
  readonly tcp?: TcpClientOptions | undefined
  /** What holds for `tls://`. */
  readonly tls?: (TcpClientOptions & TlsTrustOptions) | undefined
  /** What holds for `unix:`. */
  readonly unix?: Pick<TcpClientOptions, "connectTimeout"> | undefined
  /** What holds for `unixgram:`. */
  readonly unixgram?: UnixDatagramClientOptions | undefined
}

/**
 * The options of a connection over TCP, and over TLS.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpClientOptions {
  /** Sends small writes at once (TCP_NODELAY). Default: `true`. */
  readonly noDelay?: boolean | undefined
  /**
   * How long connecting may take, the handshake of TLS included. Default: 10
   * seconds; then `ConnectFailed` with kind `TimedOut`.
   */
  readonly connectTimeout?: Settings.Time | undefined
}

/**
 * Whom a client trusts over TLS, and what it shows.
 *
 * **Gotchas**
 *
 * There is no way to switch the verification off. For a self-signed certificate
 * give it as `ca`.
 *
 * With TLS 1.3 a server looks at a client's certificate when the client is
 * connected already: one that it refuses ends as a `ConnectionError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsTrustOptions {
  /**
   * Who may have signed the server's certificate: PEM files, or what is in
   * them. A self-signed certificate is its own. Default: the authorities that
   * Node knows.
   */
  readonly ca?: Pem | ReadonlyArray<Pem> | undefined
  /**
   * The client's certificate, for a server that asks for one, and after it
   * those that lead to its authority. Default: none.
   */
  readonly cert?: Pem | undefined
  readonly key?: Pem | undefined
  /** Opens an encrypted key. */
  readonly passphrase?: string | undefined
  /**
   * Whom the server's certificate must be for, and the name that is asked for
   * (SNI). Default: the host that is connected to.
   */
  readonly serverName?: string | undefined
  /** The protocols that are offered, the best one first (ALPN). Default: none. */
  readonly alpn?: ReadonlyArray<string> | undefined
  /** The oldest version that is accepted. Default: `"TLSv1.2"`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
}

/**
 * The options of a client of a Unix datagram socket.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixDatagramClientOptions {
  /**
   * The client's own path or abstract `@name`, where the server sends its
   * answers. Default: an abstract name that the kernel chooses. A server in
   * another network namespace (a container) does not see abstract names: give
   * it a path.
   */
  readonly bind?: string | undefined
  /**
   * The mode of the client's own path; the server needs write permission to
   * answer. Default: `0o600`, the owner only.
   */
  readonly mode?: number | undefined
  /**
   * How long a message waits while the server's queue is full. Default: 10
   * seconds; then the connection ends with reason `Reset`.
   */
  readonly sendTimeout?: Settings.Time | undefined
  /** The largest answer, in bytes. Default: 64 KiB. One that is longer ends the connection with reason `Reset`. */
  readonly maxDatagramBytes?: number | undefined
}

/**
 * Connects to a server of the given declaration, or to any that speaks the given protocol.
 *
 * **Details**
 *
 * When the scope closes, what was written is sent and the socket is destroyed,
 * within a second. Over TLS the server is always verified.
 *
 * **Details**
 *
 * In raw bytes it takes a protocol in place of a declaration:
 * `NodeClient.connect({ protocol: Protocol.bytes() }, "tcp://127.0.0.1:9000")`.
 *
 * **Gotchas**
 *
 * Over UDP nothing is sent before the first message, so it also "connects"
 * where nobody listens. A message that does not fit into a datagram fails as
 * `EncodeFailed`. What nobody reads waits, up to 1,024 datagrams; more are
 * dropped, as the kernel would.
 *
 * Over Unix datagrams it fails if nobody has the server's path open. A message
 * waits while the server's queue is full. What nobody reads stays in the
 * kernel, and holds the server's answers back. These sockets need Linux and the
 * package `koffi`; elsewhere it fails with `UnsupportedEndpoint`, which says
 * what to do.
 *
 * **Example** (Asking a server)
 *
 * ```ts no-run
 * import { NodeClient } from "@socketserver/node"
 * import { Protocol, Server } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const ask = Effect.gen(function*() {
 *   const client = yield* NodeClient.connect(Echo, "tcp://127.0.0.1:9000")
 *   return yield* client.send("Hello, world")
 * }).pipe(Effect.scoped)
 * ```
 *
 * **Example** (Trusting an authority of your own)
 *
 * ```ts no-run
 * import { NodeClient } from "@socketserver/node"
 * import { Protocol, Server } from "@socketserver/core"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const client = NodeClient.connect(Echo, "tls://10.0.0.7:9443", {
 *   tls: { ca: "/etc/echo/ca.pem", serverName: "echo.example.org" }
 * })
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const connect = <In, Out, Send, Receive>(
  tag: { readonly protocol: Protocol.Protocol<In, Out, Send, Receive> },
  endpoint: string | Endpoint.Endpoint,
  options: NodeClientOptions = {}
): Effect.Effect<Client.Client<Send, Receive>, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(wire(endpoint, options), (wire) => Client.make(wire, tag.protocol))

/**
 * The options of {@link upgrade}.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpgradeOptions extends TlsTrustOptions {
  /** Whom the server's certificate must be for. */
  readonly serverName: string
  /** How long the handshake may take. Default: 10 seconds. */
  readonly handshakeTimeout?: Settings.Time | undefined
}

/**
 * Goes on encrypted on a connection that began in clear, as STARTTLS has it,
 * from the client's side. See `TlsServer.upgrade` for the other.
 *
 * **When to use**
 *
 * When the server has said that it is ready. Afterwards `stream`, `write` and
 * `peer` of the same connection are the encrypted ones.
 *
 * **Gotchas**
 *
 * What the server has sent in clear after its consent is an error. After any
 * error the connection is broken off: nothing goes on in clear.
 *
 * **Example** (Asking a mail server for encryption)
 *
 * ```ts no-run
 * import { Protocol } from "@socketserver/core"
 * import { NodeClient } from "@socketserver/node"
 * import { Effect } from "effect"
 *
 * const protocol = Protocol.text(Protocol.delimited("\r\n"))
 *
 * const greet = Effect.gen(function*() {
 *   const client = yield* NodeClient.connect({ protocol }, "tcp://mail.example.org:587")
 *   yield* client.take
 *   yield* client.send("STARTTLS")
 *   yield* NodeClient.upgrade(client, { serverName: "mail.example.org" })
 *   return yield* client.send("EHLO example.org")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const upgrade = <In, Out>(
  connection: Connection.Connection<In, Out>,
  options: UpgradeOptions
): Effect.Effect<void, Connection.UpgradeFailed | ServerError> =>
  Effect.flatMap(
    Effect.fromResult(time("handshakeTimeout", options.handshakeTimeout ?? "10 seconds", { forever: true })),
    (handshakeMillis) =>
      Effect.mapError(
        Client.upgrade(connection, {
          problemOf: ({ problem }: { readonly problem: string }) => problem,
          // What TLS needs is loaded and read once nothing more leaves in clear.
          change: (wire) =>
            Effect.flatMap(
              Effect.promise(() => import("./internal/tlsClient.ts")),
              ({ upgrade }) => upgrade(wire, options, handshakeMillis)
            )
        }),
        (failed) => {
          const { failure } = (failed.cause ?? {}) as { readonly failure?: unknown }
          if (failure instanceof ServerError) return failure
          return new UpgradeFailed({ peer: failed.peer, problem: failed.problem, cause: failure })
        }
      )
  )

/**
 * The wire below a client: bytes or datagrams, and what happens to them.
 *
 * **When to use**
 *
 * To write a client of your own, as `Client.make` is one. Others take {@link connect}.
 *
 * @category clients
 * @since 0.1.0
 */
export const wire = (
  endpoint: string | Endpoint.Endpoint,
  options: NodeClientOptions = {}
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(
    typeof endpoint === "string" ? Effect.fromResult(Endpoint.parse(endpoint)) : Effect.succeed(endpoint),
    (endpoint): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> => {
      switch (endpoint._tag) {
        case "Tcp":
          return using(
            query.ofClient(endpoint),
            () => import("./internal/netSocket.ts"),
            ({ connectInet }, set) =>
              inTime({ ...options.tcp, ...set }, (options) =>
                connectInet(Endpoint.tcp(endpoint.host, endpoint.port), options)
              )
          )
        case "Tls":
          return using(
            query.ofClient(endpoint),
            () => import("./internal/tlsClient.ts"),
            ({ connect }, set) =>
              inTime({ ...options.tls, ...set }, (options) =>
                connect(Endpoint.tls(endpoint.host, endpoint.port), options)
              )
          )
        case "Udp":
          return using(
            query.ofClient(endpoint),
            () => import("./internal/udpClient.ts"),
            ({ connect }) => connect(Endpoint.udp(endpoint.host, endpoint.port))
          )
        case "Unix":
          return using(
            query.ofClient(endpoint),
            () => import("./internal/unixStream.ts"),
            ({ connect }, set) =>
              inTime({ ...options.unix, ...set }, (options) => connect(Endpoint.unix(endpoint.path), options))
          )
        case "Unixgram":
          return using(
            query.ofClient(endpoint),
            () => import("./internal/unixgramClient.ts"),
            ({ open }, set) => open(Endpoint.unixgram(endpoint.path), { ...options.unixgram, ...set })
          )
        case "Memory":
          return Effect.flatMap(
            Effect.promise(() => import("@socketserver/core/MemoryServer")),
            ({ wire }) => wire(endpoint.name)
          )
        default:
          return Effect.fail(
            new ServerError({
              reason: new UnsupportedEndpoint({
                endpoint: String(endpoint),
                problem: "a client cannot connect to it",
                accepted: Endpoint.forms
              })
            })
          )
      }
    }
  )

/** Connects, if the time that this may take is one. */
const inTime = <Options extends Pick<TcpClientOptions, "connectTimeout">, E>(
  options: Options,
  connect: (options: Options & { readonly connectTimeout: number }) => Effect.Effect<Wire.Wire, E, Scope.Scope>
): Effect.Effect<Wire.Wire, E | ServerError, Scope.Scope> =>
  Effect.flatMap(
    Effect.fromResult(time("connectTimeout", options.connectTimeout ?? "10 seconds", { forever: true })),
    (connectTimeout) => connect({ ...options, connectTimeout })
  )

const using = <Set, Module>(
  set: Result.Result<Set, ServerError>,
  load: () => Promise<Module>,
  connect: (module: Module, set: Set) => Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope>
) =>
  Effect.flatMap(Effect.fromResult(set), (set) =>
    Effect.flatMap(Effect.promise(load), (module) => connect(module, set))
  )
