/** The server and its handlers. Importing this starts nothing: the test and `main.ts` place it. */
import { Server, Worker } from "@socketserver/core"
import { CurrentConnection, RpcBridge } from "@socketserver/effect"
import { Config, Duration, Effect, Layer, Stream } from "effect"
import { Api } from "./api.ts"

/** Each call is a request, so that any policy will do. With `RpcBridge.connection()` instead, each connection is one. */
export class Calls extends Server.Service<Calls>()("Calls", { protocol: RpcBridge.protocol(Api) }) {}

export const handlers = Api.toLayer(
  Effect.gen(function* () {
    const delay = yield* Config.Duration("DELAY").pipe(Config.withDefault(Duration.zero))
    const wait = Duration.isZero(delay) ? Effect.void : Effect.sleep(delay)
    return Api.of({
      Add: ({ a, b }) => Effect.as(wait, a + b),
      Count: ({ to }) => Stream.range(1, to).pipe(Stream.tap(() => wait)),
      WhoAmI: () =>
        Effect.gen(function* () {
          yield* wait
          const connection = yield* CurrentConnection.CurrentConnection
          return { peer: connection?.peer.name ?? "nobody", worker: yield* Worker.name }
        }),
      Crash: () => Effect.sync(() => process.exit(1))
    })
  })
)

export const CallsLive = Layer.provide(RpcBridge.serve(Api, Calls), handlers)
