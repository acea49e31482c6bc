/** A runner of Effect's cluster on our listener, and one that owns nothing and asks it: what takes a `SocketServer` runs unmodified. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as SocketBridge from "@socketserver/effect/SocketBridge"
import * as TcpServer from "@socketserver/node/TcpServer"
import * as Entity from "effect/cluster/Entity"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SocketRunner from "effect/cluster/SocketRunner"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import { some } from "./support.ts"

class Runner extends Server.Service<Runner>()("Runner", { protocol: Protocol.connection() }) {}

const Counter = Entity.make("Counter", [
  Rpc.make("Add", { payload: { by: Schema.Int }, success: Schema.Struct({ id: Schema.String, sum: Schema.Int }) })
])

const CounterLive = Counter.toLayer(
  Effect.gen(function* () {
    const { entityId } = yield* Entity.CurrentAddress
    let sum = 0
    return { Add: ({ payload }) => Effect.sync(() => ({ id: entityId, sum: (sum += payload.by) })) }
  })
)

/** A store of its own would know of no other runner. */
const memory = Effect.map(Layer.build(RunnerStorage.layerMemory), Layer.succeedContext)

describe("a runner of a cluster", () => {
  it.live("keeps entities, whom others ask over our listener", () =>
    Effect.gen(function* () {
      const listener = yield* Layer.build(TcpServer.layer(Runner))
      const { address, counts } = Context.get(listener, Runner)
      const port = "port" in address ? address.port : 0
      const store = yield* memory
      const common = (runnerAddress: Option.Option<RunnerAddress.RunnerAddress>) =>
        Layer.mergeAll(
          store,
          MessageStorage.layerNoop,
          RunnerHealth.layerNoop,
          RpcSerialization.layerNdjson,
          ShardingConfig.layer({ runnerAddress, shardsPerGroup: 8, refreshAssignmentsInterval: "50 millis" }),
          Logger.layer([])
        )
      const ours = SocketRunner.layer.pipe(
        Layer.provide(Layer.provide(SocketBridge.layer(Runner), Layer.succeedContext(listener))),
        Layer.provide(NodeClusterSocket.layerClientProtocol),
        Layer.provide(common(Option.some(RunnerAddress.make("127.0.0.1", port))))
      )
      yield* Layer.build(Layer.provideMerge(CounterLive, ours))
      const asking = yield* Layer.build(
        SocketRunner.layerClientOnly.pipe(
          Layer.provide(NodeClusterSocket.layerClientProtocol),
          Layer.provide(common(Option.none()))
        )
      )
      const counter = yield* Effect.provideContext(Counter.client, asking)
      assert.deepStrictEqual(
        yield* Effect.forEach([1, 2, 3], (by) => counter("a").Add({ by })),
        [1, 3, 6].map((sum) => ({ id: "a", sum }))
      )
      assert.deepStrictEqual(yield* counter("b").Add({ by: 7 }), { id: "b", sum: 7 })
      const { connections } = Context.get(listener, Runner)
      assert.isAbove((yield* connections).length, 0)
      assert.deepStrictEqual(some(yield* counts), {})
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
})
