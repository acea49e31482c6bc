/** Ours: the default policy, a handler that yields once. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.as(Effect.yieldNow, Response.make(request.body)))

const Announce = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* Echo
    yield* Console.log(`listening on ${String(address)}`)
  })
)

Layer.mergeAll(EchoLive, Announce).pipe(
  Layer.provide(TcpServer.layer(Echo, { host: "127.0.0.1", port: 0 })),
  Layer.launch,
  NodeRuntime.runMain
)
