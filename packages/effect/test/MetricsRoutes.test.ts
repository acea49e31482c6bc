/** Metrics, readiness and health as routes of Effect's router; and what Effect's own exporters have of a server. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Metrics, Protocol, Response, Server } from "@socketserver/core"
import { MetricsRoutes } from "@socketserver/effect"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { Deferred, Effect, Layer, Logger, Metric, Queue } from "effect"
import { DevToolsClient, DevToolsServer } from "effect/devtools"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServer } from "effect/http"
import { OtlpExporter, OtlpMetrics, OtlpSerialization } from "effect/observability"
import { SocketServer } from "effect/socket"
import { lint, parse, sumOf } from "../../core/test/support/exposition.ts"

class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}

const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body)))

/** A server whose metrics are not those of other tests. */
const served = Layer.provideMerge(
  Layer.provideMerge(EchoLive, MemoryServer.layer(Echo)),
  Layer.suspend(() => Layer.succeed(Metric.MetricRegistry, new Map()))
)

const hello = Effect.scoped(Effect.flatMap(Echo.client, (client) => client.send("hello")))

describe("MetricsRoutes", () => {
  it.live("answers on any router", () =>
    Effect.gen(function* () {
      const server = yield* Deferred.make<Server.Server<string, string>>()
      const asked = Layer.effectDiscard(
        Effect.gen(function* () {
          yield* hello
          yield* Deferred.succeed(server, yield* Echo)
        })
      )
      const { dispose, handler } = HttpRouter.toWebHandler(
        Layer.merge(MetricsRoutes.layer, asked).pipe(
          Layer.provide(served),
          Layer.provideMerge(HttpServer.layerServices)
        ),
        { disableLogger: true }
      )
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await handler(new Request(`http://localhost${path}`))
          return { status: response.status, type: response.headers.get("content-type"), body: await response.text() }
        })
      const { body, status, type } = yield* get("/metrics")
      assert.deepStrictEqual([status, type], [200, Metrics.contentType])
      const all = parse(body)
      assert.strictEqual(sumOf(all, "socketserver_requests_total", { server: "Echo", outcome: "Completed" }), 1)
      assert.deepStrictEqual(lint(all), [])
      assert.deepStrictEqual(yield* get("/health"), { status: 200, type: "text/plain", body: "ok\n" })
      assert.deepStrictEqual(yield* get("/ready"), { status: 200, type: "text/plain", body: "ready\n" })
      const { control } = yield* Deferred.await(server)
      yield* control.suspend
      assert.deepStrictEqual(yield* get("/ready"), { status: 503, type: "text/plain", body: "not ready\n" })
      yield* control.resume
      assert.strictEqual((yield* get("/ready")).status, 200)
      assert.strictEqual((yield* get("/elsewhere")).status, 404)
    }).pipe(Effect.scoped)
  )
})

interface Exported {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly sum?: {
          readonly isMonotonic: boolean
          readonly dataPoints: ReadonlyArray<{
            readonly asDouble: number
            readonly attributes: ReadonlyArray<{
              readonly key: string
              readonly value: { readonly stringValue: string }
            }>
          }>
        }
        readonly histogram?: { readonly dataPoints: ReadonlyArray<{ readonly count: number }> }
      }>
    }>
  }>
}

describe("Effect's exporters", () => {
  it.live("have what a server counts: OTLP", () =>
    Effect.gen(function* () {
      const sent = yield* Queue.unbounded<Exported>()
      const collector = HttpClient.make((request) =>
        Effect.sync(() => {
          const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
          Queue.offerUnsafe(sent, JSON.parse(body) as Exported)
          return HttpClientResponse.fromWeb(request, new globalThis.Response("{}", { status: 200 }))
        })
      )
      const exporting = OtlpMetrics.layer({
        url: "http://collector/v1/metrics",
        exportInterval: "1 hour",
        resource: { serviceName: "echo" }
      }).pipe(Layer.provide([Layer.succeed(HttpClient.HttpClient, collector), OtlpSerialization.layerJson]))
      const exported = yield* Effect.gen(function* () {
        yield* hello
        yield* (yield* OtlpExporter.Flusher).flush
        return yield* Queue.take(sent)
      }).pipe(Effect.provide(Layer.provideMerge(exporting, served)))
      const metrics = exported.resourceMetrics[0]?.scopeMetrics[0]?.metrics ?? []
      const requests = metrics.find(({ name }) => name === "socketserver_requests_total")?.sum
      assert.isTrue(requests?.isMonotonic)
      const completed = requests?.dataPoints.find(({ attributes }) =>
        attributes.some(({ key, value }) => key === "outcome" && value.stringValue === "Completed")
      )
      assert.strictEqual(completed?.asDouble, 1)
    }).pipe(Effect.scoped)
  )

  it.live("have what a server counts: DevTools", () =>
    Effect.gen(function* () {
      const heard = yield* Deferred.make<ReadonlyArray<string>>()
      const listening = yield* Layer.build(NodeSocketServer.layer({ host: "127.0.0.1", port: 0 }))
      yield* Effect.forkScoped(
        Effect.provideContext(
          DevToolsServer.run(({ queue, send }) =>
            Effect.gen(function* () {
              yield* send({ _tag: "MetricsRequest" })
              for (;;) {
                const said = yield* Queue.take(queue)
                if (said._tag !== "MetricsSnapshot") continue
                const completed = said.metrics.filter(({ attributes }) => attributes?.["outcome"] === "Completed")
                yield* Deferred.succeed(
                  heard,
                  completed.map(({ id, state }) => `${id} ${JSON.stringify(state)}`)
                )
              }
            })
          ),
          listening
        )
      )
      const { address } = yield* Effect.provideContext(SocketServer.SocketServer, listening)
      const port = "port" in address ? address.port : 0
      const client = DevToolsClient.layer.pipe(Layer.provide(NodeSocket.layerNet({ host: "127.0.0.1", port })))
      // It asks as soon as it is connected.
      const program = Effect.andThen(hello, Effect.andThen(Effect.provide(Deferred.await(heard), client), Effect.void))
      yield* Effect.provide(program, served)
      assert.match((yield* Deferred.await(heard)).join(), /^socketserver_requests_total .*"count":1/)
      // Effect's server says that a test which ends interrupts it.
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
})
