/**
 * What a server counts, as metrics of Effect: for programs that export them, or
 * answer Prometheus.
 *
 * Each server registers its metrics where it is made, in the `MetricRegistry` of
 * its context. They are read where the server has them anyhow, when somebody asks:
 * nothing of it costs a request anything. So Effect's exporters (OTLP, DevTools,
 * Prometheus) have them without another line. What is counted by workers is counted
 * by the server that they work for.
 *
 * | metric | kind | labels | counts |
 * | --- | --- | --- | --- |
 * | `socketserver_connections` | gauge | `listener` | connections that are open |
 * | `socketserver_connections_opened_total` | counter | `listener` | connections that were let in |
 * | `socketserver_openings` | gauge | | peers in a handshake, before their PROXY header, being verified, or waiting for a place of their peer |
 * | `socketserver_datagrams_total` | counter | `listener` | datagrams that were taken in |
 * | `socketserver_turned_away_total` | counter | `listener`, `reason` | what was turned away before work was done for it: `server.refusals` |
 * | `socketserver_requests_total` | counter | `listener`, `outcome` | how requests, and connections that ended before one, have ended: `server.counts` |
 * | `socketserver_in_flight` | gauge | `listener` | requests that were received and are not answered |
 * | `socketserver_waiting` | gauge | `listener` | those of them that have not begun |
 * | `socketserver_bytes_total` | counter | `listener`, `direction` | bytes that were `read` from peers and `written` to them |
 * | `socketserver_timeouts_total` | counter | `deadline` | what each deadline has ended: `server.timeouts` |
 * | `socketserver_held_bytes` | gauge | | what is held for peers, in bytes (`maxMemory`) |
 * | `socketserver_ready` | gauge | | 1 where new peers should be sent here, or 0: `server.isReady` |
 * | `socketserver_request_duration_seconds` | histogram | `listener` | seconds from a request's last byte to its outcome; only with the option `durations` of the server |
 *
 * All of them have the labels `server` (the key of its declaration) and `policy` (its
 * name, `none` where nobody serves it). `NodeServer.metrics` serves them over HTTP.
 *
 * **Example** (Reading the metrics of a program)
 *
 * ```ts
 * import { MemoryServer, Metrics, Protocol, Response, Server } from "@socketserver/core"
 * import { Effect, Layer } from "effect"
 *
 * class Greeter extends Server.Service<Greeter>()("Greeter", { protocol: Protocol.lines() }) {}
 *
 * const GreeterLive = Greeter.serve((request) => Effect.succeed(Response.make(`hello, ${request.body}`)))
 *
 * const program = Effect.gen(function* () {
 *   const client = yield* Greeter.client
 *   yield* client.send("Ada")
 *   const text = Metrics.format(yield* Metrics.snapshot)
 *   const [, completed] = /^socketserver_requests_total\{server="Greeter",.*outcome="Completed"\} (.*)$/m.exec(text) ?? []
 *   return completed
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(GreeterLive, MemoryServer.layer(Greeter))))
 *
 * await Effect.runPromise(program) // => "1"
 * ```
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as exposition from "./internal/exposition.ts"
import * as gathering from "./internal/gathering.ts"
import * as merging from "./internal/merging.ts"

/**
 * The metrics of the whole program: all that are in the `MetricRegistry`, the
 * program's own among them. Where the program runs as several copies (`PREFORK`),
 * each of them answers for all.
 *
 * @category getters
 * @since 0.1.0
 */
export const snapshot: Effect.Effect<ReadonlyArray<Metric.Metric.Snapshot>> = Effect.gen(function* () {
  const gather = yield* gathering.Gather
  return yield* gather(yield* Metric.snapshot)
})

/**
 * Metrics as text, in the format that Prometheus reads (`text/plain; version=0.0.4`).
 *
 * **Details**
 *
 * Names are used as they are, with `_` for what may not stand in one. `Frequency`
 * is a counter with the label `key`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (snapshots: ReadonlyArray<Metric.Metric.Snapshot>): string => exposition.format(snapshots)

/**
 * The content type of {@link format}.
 *
 * @category formatting
 * @since 0.1.0
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * Whether new peers should be sent to a program, as its metrics have it: each of its
 * servers is ready (in one copy at least), and there is one.
 *
 * @category guards
 * @since 0.1.0
 */
export const isReady = (snapshots: ReadonlyArray<Metric.Metric.Snapshot>): boolean => {
  const ready = new Map<string, number>()
  for (const { attributes, id, state, type } of snapshots) {
    if (id !== "socketserver_ready" || type !== "Gauge") continue
    const server = attributes?.["server"] ?? ""
    ready.set(server, (ready.get(server) ?? 0) + Number(state.value))
  }
  return ready.size > 0 && [...ready.values()].every((count) => count > 0)
}

/**
 * The metrics of several processes as those of one program: what has the same name
 * and the same labels is added up, gauges too. Of summaries the quantiles are left out.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (
  all: ReadonlyArray<ReadonlyArray<Metric.Metric.Snapshot>>
): ReadonlyArray<Metric.Metric.Snapshot> => merging.merge(all)

/**
 * Makes of the metrics of a process those of its program. Whoever runs a program as
 * several processes provides it, as `NodeServer.launch` does.
 *
 * @category models
 * @since 0.1.0
 */
export type Gather = gathering.Gather

/**
 * What {@link snapshot} asks. Default: a process is all of its program.
 *
 * @category services
 * @since 0.1.0
 */
export const Gather: Context.Reference<Gather> = gathering.Gather
