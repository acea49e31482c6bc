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
import type { ServerError } from "@socketserver/core/ServerError"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TcpClient from "./TcpClient.ts"
import * as UnixClient from "./UnixClient.ts"

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
    (endpoint) => {
      switch (endpoint._tag) {
        case "Tcp":
          return TcpClient.wire(endpoint)
        case "Unix":
          return UnixClient.wire(endpoint)
        case "Memory":
          return MemoryServer.connect(endpoint.name)
      }
    }
  )
