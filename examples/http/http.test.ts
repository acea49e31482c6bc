import { assert, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import { HttpBridge } from "@socketserver/effect"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { createHash } from "node:crypto"
import { Web, WebLive } from "./server.ts"

const inMemory = Layer.mergeAll(WebLive, HttpBridge.layerClient(Web)).pipe(Layer.provideMerge(MemoryServer.layer(Web)))

it.live("answers its API in memory, and is ready until it stops", () =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const text = (path: string) => Effect.flatMap(client.get(path), (response) => response.text)
    assert.deepStrictEqual(yield* Effect.all([text("/hello"), text("/health"), text("/ready")]), [
      "hello\n",
      "ok\n",
      "ready\n"
    ])
    const body = Buffer.alloc(100_000, "x")
    const upload = HttpClientRequest.post("/upload").pipe(HttpClientRequest.bodyUint8Array(body))
    const sha256 = createHash("sha256").update(body).digest("hex")
    assert.deepStrictEqual(yield* (yield* client.execute(upload)).json, { bytes: 100_000, sha256 })
    assert.strictEqual((yield* client.get("/nothing")).status, 404)
    assert.strictEqual((yield* client.get("/ws")).status, 400)
  }).pipe(Effect.scoped, Effect.provide(inMemory))
)
