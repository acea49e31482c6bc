/**
 * A client of `main.ts`, by nothing but Effect.
 *
 *   CONNECT=127.0.0.1:9000 node examples/rpc/client.ts
 *   node examples/rpc/client.ts crash
 *
 * `CONNECT` may be a URL, too: `tcp://127.0.0.1:9000`, `tls://localhost:9000?ca=cert.pem`, `unix:///run/rpc.sock`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Config, Console, Effect, Exit, Layer, Result, Stream } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Api } from "./api.ts"
import { socketTo } from "./connect.ts"

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

/** What cannot be a server is said in one line. */
const main = Effect.gen(function* () {
  const socket = socketTo(yield* Config.String("CONNECT").pipe(Config.withDefault("127.0.0.1:9000")))
  if (Result.isFailure(socket)) {
    yield* Console.error(socket.failure)
    process.exitCode = 1
    return
  }
  const ClientProtocol = RpcClient.layerProtocolSocket().pipe(
    Layer.provide(socket.success),
    Layer.provide(RpcSerialization.layerNdjson)
  )
  yield* program.pipe(Effect.scoped, Effect.provide(ClientProtocol))
})

NodeRuntime.runMain(main)
