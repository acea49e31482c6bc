/**
 * Metrics that programs count (statsd, with the tags and types of DogStatsD): for
 * servers that take them.
 *
 * {@link protocol} reads packets of metrics, over datagrams and streams. A metric that
 * is malformed costs none of the others in its packet.
 *
 * It does not add up: what a handler makes of a value is its own. `examples/statsd` is a
 * program that counts. Nobody is answered, so a handler returns `Response.empty`.
 *
 * @see https://github.com/statsd/statsd/blob/master/docs/metric_types.md
 * @see https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
 * @since 0.1.0
 */
import * as Protocol from "@socketserver/core/Protocol"
import { datagramsWhole, noAnswer } from "./internal/payloads.ts"
import type * as model from "./internal/statsd/model.ts"
import { weightOf } from "./internal/statsd/model.ts"
import { read } from "./internal/statsd/read.ts"
import { write } from "./internal/statsd/write.ts"

/**
 * One value of one metric.
 *
 * @category models
 * @since 0.1.0
 */
export type Metric = model.Metric

/**
 * Something has happened, so many times: `hits:1|c`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counter extends model.Counter {}

/**
 * Something took so many milliseconds: `answer:12.5|ms`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timer extends model.Timer {}

/**
 * One of many values, which are looked at together: `size:4096|h`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Histogram extends model.Histogram {}

/**
 * As a {@link Histogram}, over all hosts: `size:4096|d`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Distribution extends model.Distribution {}

/**
 * Something has a value now, `queue:7|g`, or has changed by one, `queue:-2|g`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gauge extends model.Gauge {}

/**
 * Something was there, of which the different ones are counted: `users:ada|s`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Set extends model.Set {}

/**
 * What was sent at once: a datagram, or a line.
 *
 * @category models
 * @since 0.1.0
 */
export interface Packet extends model.Packet {}

/**
 * The options of {@link protocol}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The largest packet in bytes: a datagram, or a line without its end. Default: 65536. A larger one ends as `FrameTooLarge`, and its connection closes. */
  readonly maxFrameBytes?: number | undefined
}

/**
 * Statsd over any transport: a packet for each datagram, with a metric on each line of
 * it, and over a connection one for each line.
 *
 * **Details**
 *
 * Several values (`size:1:2:3|h`) are as many metrics. Empty lines are passed over. Of
 * the sections after the type those are passed over that are neither a rate nor tags
 * and start with a letter, as newer clients send them; events and service checks of
 * DogStatsD are malformed.
 *
 * A packet has at most 4,096 metrics; a line that would be over it is malformed. A
 * metric has at most 64 tags. A name, a tag and a value of a set have at most 255
 * characters, and no controls; names and tags have no spaces.
 *
 * **Gotchas**
 *
 * The texts of a metric are parts of the text of its packet, and hold on to it. Who
 * keeps one for long keeps a copy.
 *
 * **Example** (Reading a packet)
 *
 * ```ts
 * import { MemoryServer, Response, Server } from "@socketserver/core"
 * import { Statsd } from "@socketserver/protocols"
 * import { Effect, Layer, Stream } from "effect"
 *
 * class Metrics extends Server.Service<Metrics>()("Metrics", { protocol: Statsd.protocol() }) {}
 *
 * const seen: Array<string> = []
 * const MetricsLive = Metrics.serve(({ body: { malformed, metrics } }) =>
 *   Effect.sync(() => {
 *     seen.push(...metrics.map(({ name, type, value }) => `${type} ${name} ${value}`), ...malformed)
 *     return Response.empty
 *   })
 * )
 *
 * const program = Effect.gen(function* () {
 *   const sender = yield* Metrics.rawClient
 *   yield* sender.write(new TextEncoder().encode("hits:2|c|@0.5|#path:/\nanswer:12.5|ms\nqueue:many|g\n"))
 *   yield* sender.end
 *   yield* Stream.runDrain(sender.stream)
 *   return seen
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(MetricsLive, MemoryServer.layer(Metrics))))
 *
 * await Effect.runPromise(program) // => ["counter hits 2", "timer answer 12.5", "its value is no number"]
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol = (options: Options = {}): Protocol.Protocol<Packet, never> => {
  const packets = Protocol.transform(datagramsWhole(Protocol.bytes(Protocol.lines(options))), {
    request: { decode: read, encode: write },
    response: noAnswer
  })
  return { ...packets, name: "statsd", server: { ...packets.server, weight: weightOf } }
}
