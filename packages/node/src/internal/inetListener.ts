import type * as Endpoint from "@socketserver/core/Endpoint"
import { InvalidOption, ServerError } from "@socketserver/core/ServerError"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as net from "node:net"
import type { TcpListenOptions } from "../TcpServer.ts"
import { isLocalhost, onLocalhost } from "./localhost.ts"
import * as netServer from "./netServer.ts"
import { keepAliveOf } from "./times.ts"
import { peerOf } from "./peers.ts"
import { accepting, type Secure } from "./streamListener.ts"

/** Listens on a TCP address, for what is in clear and for what `secure` encrypts. */
export const listenInet = (
  options: TcpListenOptions,
  sink: Transport.Sink,
  kind: Kind
): Effect.Effect<Transport.Listening, ServerError, Scope.Scope> => {
  const { host = "" } = options
  if (!isLocalhost(host)) return listenOn(options, sink, kind)
  const named: Kind = { ...kind, endpoint: (_, port) => kind.endpoint(host, port) }
  return onLocalhost(options.port ?? 0, (host, port) => listenOn({ ...options, host, port }, sink, named))
}

interface Kind {
  readonly endpoint: (host: string, port: number) => Endpoint.Tcp | Endpoint.Tls
  readonly secure?: Secure
  readonly connect: (host: string, port: number) => Transport.Listening["connect"]
}

const listenOn = (options: TcpListenOptions, sink: Transport.Sink, kind: Kind) =>
  Effect.gen(function* () {
    const { backlog = 511, host = "127.0.0.1", ipv6Only = false, noDelay = true, reusePort = false } = options
    if (host === "") {
      const problem = 'it is empty; "0.0.0.0" and "::" listen everywhere'
      return yield* Effect.fail(new ServerError({ reason: new InvalidOption({ option: "host", problem }) }))
    }
    const accept = yield* accepting(options, kind.secure)
    const asked = kind.endpoint(host, options.port ?? 0)
    const keepAlive = yield* Effect.fromResult(keepAliveOf(options.keepAlive))
    const bind = netServer.listen(
      String(asked),
      { noDelay, ...keepAlive },
      { host, port: asked.port, backlog, ipv6Only, reusePort }
    )
    const server = yield* Effect.acquireRelease(bind, (server) => Effect.sync(() => server.close()))
    const { port } = server.address() as net.AddressInfo
    const address = kind.endpoint(host, port)
    const transport = asked._tag.toLowerCase()
    server.on("connection", (socket: net.Socket) => accept(sink, socket, peerOf(socket, transport), address))
    server.on("error", netServer.sort(sink))
    return { address, close: () => server.close(), queues: true, connect: kind.connect(host, port) }
  })
