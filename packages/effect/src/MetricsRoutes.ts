/**
 * How the servers of a program do, as routes of Effect's `HttpRouter`: for programs
 * that serve HTTP anyhow. `NodeServer.metrics` says the same on a port of its own.
 *
 * It leans on `effect/http`, which is marked unstable.
 *
 * @since 0.1.0
 */
import * as Metrics from "@socketserver/core/Metrics"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"

/**
 * Adds `GET /metrics` (for Prometheus), `/ready` and `/health` to a router.
 *
 * **Details**
 *
 * `/metrics` are all metrics of the program, those of workers and of all its copies
 * included: see the module `Metrics`. `/ready` is 200 where each server is ready, and
 * 503 before it can be answered and from when a stop is announced. `/health` is 200.
 *
 * **Example** (Metrics beside other routes)
 *
 * ```ts
 * import { MemoryServer, Protocol, Response, Server } from "@socketserver/core"
 * import { MetricsRoutes } from "@socketserver/effect"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServer } from "effect/http"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 *
 * const EchoLive = Echo.serve((request) => Effect.succeed(Response.make(request.body))).pipe(
 *   Layer.provide(MemoryServer.layer(Echo))
 * )
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   Layer.merge(MetricsRoutes.layer, EchoLive).pipe(Layer.provideMerge(HttpServer.layerServices)),
 *   { disableLogger: true }
 * )
 * const ready = await handler(new Request("http://localhost/ready"))
 * const answer = [ready.status, await ready.text()]
 * await dispose()
 *
 * answer // => [200, "ready\n"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = Layer.effectDiscard(
  Effect.gen(function* () {
    const router = yield* HttpRouter.HttpRouter
    // Whoever answers a request of HTTP does not know what the program is a part of.
    const services = yield* Effect.context<never>()
    const snapshot = Effect.provideContext(Metrics.snapshot, services)
    const metrics = Effect.map(snapshot, (all) =>
      HttpServerResponse.text(Metrics.format(all), { contentType: Metrics.contentType, headers })
    )
    const ready = Effect.map(snapshot, (all) => (Metrics.isReady(all) ? text("ready") : text("not ready", 503)))
    yield* router.add("GET", "/metrics", metrics)
    yield* router.add("GET", "/ready", ready)
    yield* router.add("GET", "/health", text("ok"))
  })
)

const headers = { "cache-control": "no-store" }

const text = (body: string, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${body}\n`, { status, headers })
