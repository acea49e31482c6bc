/** The handlers of examples/rpc, where each connection is a request. */
import * as Server from "@socketserver/core/Server"
import * as NodeServer from "@socketserver/node/NodeServer"
import * as Layer from "effect/Layer"
import { Api } from "../../../../examples/rpc/api.ts"
import { handlers } from "../../../../examples/rpc/server.ts"
import * as RpcBridge from "../../src/RpcBridge.ts"

class Calls extends Server.Service<Calls>()("Calls", { protocol: RpcBridge.connection() }) {}

Layer.merge(Layer.provide(RpcBridge.serve(Api, Calls), handlers), Calls.announce).pipe(
  Layer.provide(NodeServer.layerConfig(Calls)),
  NodeServer.launch
)
