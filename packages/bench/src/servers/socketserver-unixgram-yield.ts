/** Ours over Unix datagrams: the default policy, a handler that yields once. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as UnixDatagramServer from "@socketserver/node/UnixDatagramServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.as(Effect.yieldNow, Response.make(request.body)))

Layer.merge(EchoLive, Echo.announce).pipe(
  Layer.provide(UnixDatagramServer.layer(Echo, { path: `@bench-${process.pid}` })),
  Layer.launch,
  NodeRuntime.runMain
)
