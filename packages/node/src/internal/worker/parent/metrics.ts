import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

const alive = Metric.gauge("socketserver_workers_alive", {
  description: "Workers that are ready for requests, or handle some"
})
const starting = Metric.gauge("socketserver_workers_starting", { description: "Workers that are being started" })
const queued = Metric.gauge("socketserver_workers_queued", { description: "Requests that wait for a worker" })
const recycled = Metric.counter("socketserver_workers_recycled", {
  description: "Workers that were replaced after their number of requests",
  incremental: true
})
const crashed = Metric.counter("socketserver_workers_crashed", {
  description: "Workers that ended without being told to",
  incremental: true
})
const start = Metric.histogram("socketserver_workers_start_millis", {
  description: "How long a worker took from its start until it was ready, in milliseconds",
  boundaries: Metric.exponentialBoundaries({ start: 10, factor: 2, count: 10 })
})

/** What a pool of workers does, as metrics with the service and the policy as attributes. */
export class PoolMetrics {
  private readonly context: Context.Context<never>
  private readonly attributes: { readonly service: string; readonly policy: string }
  private readonly alive = this.of(alive)
  private readonly starting = this.of(starting)
  private readonly queued = this.of(queued)
  readonly recycled = this.of(recycled)
  readonly crashed = this.of(crashed)
  readonly start = this.of(start)

  constructor(context: Context.Context<never>, attributes: { readonly service: string; readonly policy: string }) {
    this.context = context
    this.attributes = attributes
  }

  counts(now: { readonly alive: number; readonly starting: number; readonly queued: number }): void {
    this.alive(now.alive)
    this.starting(now.starting)
    this.queued(now.queued)
  }

  private of<State>(metric: Metric.Metric<number, State>): (value: number) => void {
    let attributed: Metric.Metric<number, State> | undefined
    return (value) => (attributed ??= Metric.withAttributes(metric, this.attributes)).updateUnsafe(value, this.context)
  }
}
