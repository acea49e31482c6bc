import { assert, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { HttpBridge } from "@socketserver/effect"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { Calls, CallsLive } from "./server.ts"

const inMemory = Layer.mergeAll(CallsLive, HttpBridge.layerClient(Calls)).pipe(Layer.provide(MemoryServer.layer(Calls)))

const call = (method: string, ...params: ReadonlyArray<string>) => {
  const all = params.map((value) => `<param><value>${value}</value></param>`).join("")
  const body = `<methodCall><methodName>${method}</methodName><params>${all}</params></methodCall>`
  const request = HttpClientRequest.post("/RPC2").pipe(HttpClientRequest.bodyText(body, "text/xml"))
  return Effect.flatMap(HttpClient.execute(request), (response) => response.text)
}

it.live("adds, echoes and divides in memory", () =>
  Effect.gen(function* () {
    assert.include(yield* call("add", "<int>2</int>", "<double>0.5</double>"), "<double>2.5</double>")
    assert.include(yield* call("echo", "<base64>aGVsbG8=</base64>"), "<base64>aGVsbG8=</base64>")
    assert.match(yield* call("divide", "<int>1</int>", "<int>0</int>"), /<fault>.*division by zero/)
    assert.include(yield* call("system.methodHelp", "divide"), "quotient")
  }).pipe(Effect.provide(inMemory))
)
