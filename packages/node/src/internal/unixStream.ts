import type { ConnectFailed } from "@socketserver/core/Connection"
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Wire from "@socketserver/core/Wire"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import * as netSocket from "./netSocket.ts"
import * as unixPath from "./unixPath.ts"

/** A connection to a Unix socket. */
export const connect = (
  endpoint: Endpoint.Unix,
  options: Pick<netSocket.ConnectOptions, "connectTimeout"> = {}
): Effect.Effect<Wire.Wire, ConnectFailed, Scope.Scope> =>
  netSocket.connect(
    endpoint,
    { path: unixPath.native(endpoint.path) },
    options.connectTimeout ?? netSocket.connectMillis
  )

/**
 * What differs for stream sockets in the file system: how they are asked
 * whether they are alive, and how a server leaves.
 */
export const kind: Pick<unixPath.Kind<net.Server>, "knock" | "leave"> = {
  knock: (path) =>
    Effect.callback((resume) => {
      const socket = net.connect({ path })
      socket.once("connect", () => {
        socket.destroy()
        resume(Effect.succeed(undefined))
      })
      socket.once("error", (error) => resume(Effect.succeed(error)))
      return Effect.sync(() => socket.destroy())
    }),
  // Node removes whatever is at the path when it closes a server.
  leave: (server, path, own) => unixPath.sparing(path, own, () => void server.close())
}
