/** The smallest server, of which a start is measured. */
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

Layer.merge(EchoLive, Echo.announce).pipe(
  Layer.provide(TcpServer.layer(Echo, { host: "127.0.0.1", port: 0 })),
  Layer.launch,
  Effect.runFork
)
