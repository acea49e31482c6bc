/** Ours: `rpc.ts connections|calls`, with `LISTEN` and `POLICY` from the environment. */
import * as Server from "@socketserver/core/Server"
import * as RpcBridge from "@socketserver/effect/RpcBridge"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Layer from "effect/Layer"
import { options, Sums, SumsLive } from "./sums.ts"

class Connections extends Server.Service<Connections>()("Connections", { protocol: RpcBridge.connection() }) {}

class Calls extends Server.Service<Calls>()("Calls", { protocol: RpcBridge.protocol(Sums) }) {}

const served =
  process.argv[2] === "calls"
    ? Layer.merge(RpcBridge.serve(Sums, Calls, options), Calls.announce).pipe(
        Layer.provide(NodeServer.layerConfig(Calls))
      )
    : Layer.merge(RpcBridge.serve(Sums, Connections, options), Connections.announce).pipe(
        Layer.provide(NodeServer.layerConfig(Connections))
      )

NodeServer.launch(Layer.provide(served, SumsLive))
