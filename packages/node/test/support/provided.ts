/** A server that is configured by a provider of its program's own: what PROVIDED says, in JSON. Of another layer it prints when it begins and ends. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { ConfigProvider, Effect, Layer } from "effect"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const env = JSON.parse(process.env["PROVIDED"] ?? "{}") as Record<string, string>

const EchoLive = Echo.serve(({ body }) =>
  Effect.sync(() => {
    while (body === "loop") continue
    return Response.make(`${process.pid}: ${body}`)
  })
)

Layer.mergeAll(EchoLive, Echo.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Echo, { listen: "tcp://127.0.0.1:0" })),
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))),
  NodeServer.launch
)
