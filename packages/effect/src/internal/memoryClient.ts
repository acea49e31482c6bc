import type * as Connection from "@socketserver/core/Connection"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Scope from "effect/Scope"
import type * as NodeHttp from "node:http"
import type { Duplex } from "node:stream"
import type { Bytes } from "./bridgedSocket.ts"
import { RelayDuplex } from "./relayDuplex.ts"

/** A client of HTTP whose connections are whatever connects, one for each request. */
export const clientOver = (
  connect: Effect.Effect<Bytes, Connection.ConnectFailed, Scope.Scope>
): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const node = yield* Effect.promise(() => import("@effect/platform-node/NodeHttpClient"))
    const { Agent } = process.getBuiltinModule("node:http") as typeof NodeHttp
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const fork = Effect.runForkWith(context)

    class MemoryAgent extends Agent {
      override createConnection(
        _options: NodeHttp.ClientRequestArgs,
        done?: (error: Error | null, stream: Duplex) => void
      ): null {
        fork(Scope.provide(connect, scope)).addObserver((exit) => {
          if (exit._tag === "Failure") return done?.(new Error("it could not connect"), undefined as never)
          const stream = new RelayDuplex(exit.value, () => {})
          stream.open(context)
          done?.(null, stream)
        })
        return null
      }
    }

    const agent = new MemoryAgent()
    yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
    const client = yield* Effect.provideService(node.makeNodeHttp, node.HttpAgent, {
      http: agent,
      https: agent as never
    })
    return HttpClient.mapRequest(client, HttpClientRequest.prependUrl("http://memory"))
  })
