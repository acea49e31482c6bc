/**
 * A client of `main.ts`, by nothing but Effect.
 *
 *   CONNECT=127.0.0.1:9000 node examples/rpc/client.ts
 *   node examples/rpc/client.ts crash
 */
import { NodeRuntime, NodeSocket } from "@effect/platform-node"
import { Cause, Config, Console, Effect, Exit, Layer, Stream } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Api } from "./api.ts"

const address = Config.String("CONNECT").pipe(
  Config.withDefault("127.0.0.1:9000"),
  Config.map((text) => {
    const at = text.lastIndexOf(":")
    return text.startsWith("/") ? { path: text } : { host: text.slice(0, at), port: Number(text.slice(at + 1)) }
  })
)

const ClientProtocol = RpcClient.layerProtocolSocket().pipe(
  Layer.provide(Layer.unwrap(Effect.map(address, (address) => NodeSocket.layerNet(address)))),
  Layer.provide(RpcSerialization.layerNdjson)
)

const program = Effect.gen(function* () {
  const api = yield* RpcClient.make(Api)
  if (process.argv.includes("crash")) {
    const exit = yield* Effect.exit(api.Crash())
    yield* Console.log(`Crash: ${Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "it was answered"}`)
  }
  yield* Console.log(`Add: ${yield* api.Add({ a: 1, b: 2 })}`)
  yield* Console.log(`Count: ${(yield* Stream.runCollect(api.Count({ to: 5 }))).join(" ")}`)
  const { peer, worker } = yield* api.WhoAmI()
  yield* Console.log(`WhoAmI: ${peer}, by ${worker}`)
})

program.pipe(Effect.scoped, Effect.provide(ClientProtocol), NodeRuntime.runMain)
