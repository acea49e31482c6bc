import { assert, it } from "@effect/vitest"
import { MemoryServer, Metrics } from "@socketserver/core"
import { HttpBridge } from "@socketserver/effect"
import { Effect, Layer, Metric } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { createHash } from "node:crypto"
import { Web, WebLive } from "./server.ts"

const inMemory = Layer.mergeAll(WebLive, HttpBridge.layerClient(Web)).pipe(
  Layer.provideMerge(MemoryServer.layer(Web)),
  // Other tests of this process count in the default one.
  Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map()))
)

it.live("answers its API in memory, and is ready until it stops", () =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const text = (path: string) => Effect.flatMap(client.get(path), (response) => response.text)
    assert.deepStrictEqual(yield* Effect.all([text("/hello"), text("/health"), text("/ready")]), [
      "hello\n",
      "ok\n",
      "ready\n"
    ])
    const metrics = yield* client.get("/metrics")
    assert.strictEqual(metrics.headers["content-type"], Metrics.contentType)
    assert.match(yield* metrics.text, /^socketserver_connections_opened_total\{server="Web",.*\} [1-9]/m)
    const body = Buffer.alloc(100_000, "x")
    const upload = HttpClientRequest.post("/upload").pipe(HttpClientRequest.bodyUint8Array(body))
    const sha256 = createHash("sha256").update(body).digest("hex")
    assert.deepStrictEqual(yield* (yield* client.execute(upload)).json, { bytes: 100_000, sha256 })
    assert.strictEqual((yield* client.get("/nothing")).status, 404)
    assert.strictEqual((yield* client.get("/ws")).status, 400)
  }).pipe(Effect.scoped, Effect.provide(inMemory))
)
