/** Effect's own RPC server on its own socket server. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as SocketServer from "effect/socket/SocketServer"
import { options, Sums, SumsLive } from "./sums.ts"

const announce = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* SocketServer.SocketServer
    if ("port" in address) yield* Console.log(`listening on tcp://127.0.0.1:${address.port}`)
  })
)

RpcServer.layer(Sums, options).pipe(
  Layer.provide(SumsLive),
  Layer.provide(RpcServer.layerProtocolSocketServer),
  Layer.provide(RpcSerialization.layerNdjson),
  Layer.merge(announce),
  Layer.provide(NodeSocketServer.layer({ host: "127.0.0.1", port: 0, noDelay: true })),
  Layer.launch,
  NodeRuntime.runMain
)
