import type * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import { located, type ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { NodeServerOptions } from "../NodeServer.ts"
import { defined } from "./defined.ts"
import * as query from "./query.ts"

/**
 * The listener that an endpoint names: the options of its transport, and over
 * them those of the URL. A transport that no endpoint names is not loaded.
 */
export const listenerOf = (
  endpoint: Endpoint.Endpoint,
  options: NodeServerOptions
): Effect.Effect<Transport.Listen, ServerError> =>
  Effect.flatMap(
    Effect.fromResult(Result.flatMap(query.ofServer(endpoint), () => query.identified(endpoint, options))),
    () => Effect.map(ofKind(endpoint, options), (listen) => saying(String(endpoint), listen))
  )

/** What is wrong with an option of a listener is said with its endpoint. */
const saying =
  (of: string, listen: Transport.Listen): Transport.Listen =>
  (sink) =>
    Effect.mapError(listen(sink), (error) => located(error, { of }))

const ofKind = (
  endpoint: Endpoint.Endpoint,
  options: NodeServerOptions
): Effect.Effect<Transport.Listen, ServerError> => {
  switch (endpoint._tag) {
    case "Tcp":
      return using(
        query.ofServer(endpoint),
        () => import("../TcpServer.ts"),
        ({ listen }, set) => listen({ ...options.tcp, ...set, host: endpoint.host, port: endpoint.port })
      )
    case "Tls":
      return using(
        query.ofServer(endpoint),
        () => import("../TlsServer.ts"),
        ({ listen }, set) =>
          listen({ cert: "", key: "", ...options.tls, ...set, host: endpoint.host, port: endpoint.port })
      )
    case "Udp":
      return using(
        query.ofServer(endpoint),
        () => import("../UdpServer.ts"),
        ({ listen }, set) => listen({ ...options.udp, ...set, host: endpoint.host, port: endpoint.port })
      )
    case "Unix":
      return using(
        query.ofServer(endpoint),
        () => import("../UnixServer.ts"),
        ({ listen }, set) => listen({ ...options.unix, ...set, path: endpoint.path })
      )
    case "Fd":
      return using(
        query.ofServer(endpoint),
        () => import("../FdServer.ts"),
        ({ listen }, { allow, keepAlive, peers, proxyProtocol, proxyTimeout, ...tls }) =>
          listen({
            ...options.fd,
            ...defined({ allow, keepAlive, peers, proxyProtocol, proxyTimeout }),
            ...(Object.keys(tls).length > 0 && { tls: { cert: "", key: "", ...options.fd?.tls, ...tls } }),
            fd: Number(endpoint.fd)
          })
      )
    case "Unixgram":
      return using(
        query.ofServer(endpoint),
        () => import("../UnixDatagramServer.ts"),
        ({ listen }, set) => listen({ ...options.unixgram, ...set, path: endpoint.path })
      )
    case "Memory":
      return Effect.succeed(MemoryServer.listen(endpoint.name))
  }
}

const using = <Set, Module>(
  set: Result.Result<Set, ServerError>,
  load: () => Promise<Module>,
  listen: (module: Module, set: Set) => Transport.Listen
): Effect.Effect<Transport.Listen, ServerError> =>
  Effect.flatMap(Effect.fromResult(set), (set) => Effect.map(Effect.promise(load), (module) => listen(module, set)))
