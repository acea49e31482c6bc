/**
 * A typed client of a declared server, by URL.
 *
 * @since 0.1.0
 */
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import { ServerError, UnsupportedEndpoint } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as query from "./internal/query.ts"

/**
 * Connects to a server of the given declaration.
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
 * @category clients
 * @since 0.1.0
 */
export const connect = <In, Out, Send, Receive>(
  tag: { readonly protocol: Protocol.Duplex<In, Out, Send, Receive> },
  endpoint: string | Endpoint.Endpoint
): Effect.Effect<Client.Client<Send, Receive>, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(wire(endpoint), (wire) => Client.make(wire, tag.protocol))

/**
 * Connects to anything, in raw bytes.
 *
 * @category clients
 * @since 0.1.0
 */
export const connectBytes = (
  endpoint: string | Endpoint.Endpoint
): Effect.Effect<Connection.Connection<Uint8Array, Uint8Array>, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(wire(endpoint), (wire) => Client.make(wire, Protocol.bytes()))

const wire = (
  endpoint: string | Endpoint.Endpoint
): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> =>
  Effect.flatMap(
    typeof endpoint === "string" ? Effect.fromResult(Endpoint.parse(endpoint)) : Effect.succeed(endpoint),
    (endpoint): Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope> => {
      switch (endpoint._tag) {
        case "Tcp":
          return using(
            query.ofClient(endpoint),
            () => import("./TcpClient.ts"),
            ({ wire }, set) => wire({ ...set, host: endpoint.host, port: endpoint.port })
          )
        case "Tls":
          return using(
            query.ofClient(endpoint),
            () => import("./TlsClient.ts"),
            ({ wire }, set) => wire({ ...set, host: endpoint.host, port: endpoint.port })
          )
        case "Udp":
          return using(
            query.ofClient(endpoint),
            () => import("./UdpClient.ts"),
            ({ wire }) => wire({ host: endpoint.host, port: endpoint.port })
          )
        case "Unix":
          return using(
            query.ofClient(endpoint),
            () => import("./UnixClient.ts"),
            ({ wire }, set) => wire({ ...set, path: endpoint.path })
          )
        case "Unixgram":
          return using(
            query.ofClient(endpoint),
            () => import("./UnixDatagramClient.ts"),
            ({ wire }, set) => wire({ ...set, path: endpoint.path })
          )
        case "Memory":
          return MemoryServer.connect(endpoint.name)
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

const using = <Set, Module>(
  set: Result.Result<Set, ServerError>,
  load: () => Promise<Module>,
  connect: (module: Module, set: Set) => Effect.Effect<Wire.Wire, Connection.ConnectFailed | ServerError, Scope.Scope>
) =>
  Effect.flatMap(Effect.fromResult(set), (set) =>
    Effect.flatMap(Effect.promise(load), (module) => connect(module, set))
  )
