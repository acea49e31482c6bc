/** Ours over TLS: the default policy, a handler that answers at once. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as TlsServer from "@socketserver/node/TlsServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { certificate } from "../certificate.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

Layer.merge(EchoLive, Echo.announce).pipe(
  Layer.provide(TlsServer.layer(Echo, certificate())),
  Layer.launch,
  NodeRuntime.runMain
)
