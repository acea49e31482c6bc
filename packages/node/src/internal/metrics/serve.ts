/** A small HTTP server beside the servers of a program, which says how they do. */
import * as Metrics from "@socketserver/core/Metrics"
import * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import type * as Endpoint from "@socketserver/core/Endpoint"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { listenerOf } from "../listeners.ts"
import { type Answer, type Asked, protocol, textOf } from "./http.ts"

/** Its own declaration: whoever serves nothing of it does not load it. */
class Asking extends Server.Service<Asking>()("NodeServer.metrics", { protocol }) {}

/** Few ask, and what they ask for is small. */
const limits = {
  maxConnections: 64,
  maxPipelined: 4,
  maxMemory: "16MiB",
  firstByteTimeout: "10 seconds",
  frameTimeout: "5 seconds",
  idleTimeout: "2 minutes",
  requestTimeout: "5 seconds",
  drainTimeout: "1 second"
} as const satisfies Transport.ServerOptions

export const layer = (
  endpoints: ReadonlyArray<Endpoint.Endpoint>,
  said: (where: ReadonlyArray<string>) => Effect.Effect<void>
): Layer.Layer<never, ServerError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      let built = false
      yield* Effect.forkScoped(
        Effect.andThen(
          yield* Transport.WhenBuilt,
          Effect.sync(() => void (built = true))
        ),
        { startImmediately: true }
      )
      // What it counts of itself is nobody's business, and what the program counts is in the registry around it.
      const registry = yield* Metric.MetricRegistry
      const snapshot = Effect.provideService(Metrics.snapshot, Metric.MetricRegistry, registry)
      const answer = (asked: Asked): Effect.Effect<Answer> => {
        switch (asked.path) {
          case "/metrics":
            return Effect.map(snapshot, (all) => ({
              status: 200,
              type: Metrics.contentType,
              body: Metrics.format(all)
            }))
          case "/health":
            return Effect.succeed(text(200, "ok"))
          case "/ready":
            return Effect.map(snapshot, (all) => (built && Metrics.isReady(all) ? text(200, "ready") : notReady))
          default:
            return Effect.succeed(text(404, "there is /metrics, /health and /ready"))
        }
      }
      const handler = ({ body: asked }: { readonly body: Asked }) => {
        const answered = asked.method === "GET" || asked.method === "HEAD" ? answer(asked) : notAllowed
        return Effect.map(answered, (answer) => {
          const response = Response.make(textOf(answer, asked))
          return asked.closes ? Response.andClose(response) : response
        })
      }
      const serving = Asking.serve(handler, {
        policy: Policy.fiber(),
        onUndecodable: (fault) =>
          Response.make(
            textOf(text(400, fault._tag === "Malformed" ? fault.reason : "it is too large"), {
              closes: true,
              method: "GET"
            })
          )
      })
      const telling = Layer.effectDiscard(
        Effect.flatMap(Asking, ({ addresses }) => said(addresses.map((address) => String(address))))
      )
      const [first, ...others] = yield* Effect.forEach(endpoints, (endpoint) => listenerOf(endpoint, {}))
      return Layer.merge(serving, telling).pipe(
        Layer.provide(Transport.layer(Asking, limits, [first as Transport.Listen, ...others])),
        // It is no server of the program: it answers until that has stopped, and then ends with its layer.
        Layer.provide(Layer.succeed(Server.OnListening, undefined)),
        Layer.provide(Layer.succeed(Metric.MetricRegistry, new Map()))
      )
    })
  ) as Layer.Layer<never, ServerError>

const text = (status: Answer["status"], body: string): Answer => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${body}\n`
})

const notReady = text(503, "not ready")

const notAllowed = Effect.succeed(text(405, "GET and HEAD are answered"))
