/** A server with its metrics beside it. */
import { Protocol, Response, Server } from "@socketserver/core"
import { NodeServer } from "@socketserver/node"
import { Effect, Layer } from "effect"

class Metered extends Server.Service<Metered>()("Metered", { protocol: Protocol.lines({ maxFrameBytes: 1_024 }) }) {}

const MeteredLive = Metered.serve(({ body }) => {
  switch (body) {
    case "die":
      return Effect.die(new Error("a bug"))
    case "exit":
      return Effect.sync(() => process.exit(3))
    case "slow":
      return Effect.as(Effect.sleep("300 millis"), Response.make(body))
    default:
      return Effect.succeed(Response.make(`${process.pid}`))
  }
})

Layer.mergeAll(MeteredLive, Metered.announce, NodeServer.metrics({ listen: "tcp://127.0.0.1:0" })).pipe(
  Layer.provide(NodeServer.layerConfig(Metered)),
  NodeServer.launch
)
