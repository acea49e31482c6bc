import { assert, layer } from "@effect/vitest"
import { MemoryServer, Metrics } from "@socketserver/core"
import { Effect, Layer, Metric } from "effect"
import { Shout, ShoutLive } from "./server.ts"

const served = Layer.provideMerge(ShoutLive, MemoryServer.layer(Shout, { durations: true })).pipe(
  Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map()))
)

layer(served)("metrics", (it) => {
  it.effect("answers in capitals, and counts it", () =>
    Effect.gen(function* () {
      const client = yield* Shout.client
      assert.strictEqual(yield* client.send("hello"), "HELLO")
      const text = Metrics.format(yield* Metrics.snapshot)
      assert.match(text, /^socketserver_requests_total\{server="Shout",.*outcome="Completed"\} 1$/m)
      assert.match(text, /^socketserver_request_duration_seconds_count\{.*\} 1$/m)
    })
  )
})
