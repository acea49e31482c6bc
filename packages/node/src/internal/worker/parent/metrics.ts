/** The metrics of a pool. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Tick } from "../channel/tick.ts"

const alive = Metric.gauge("socketserver_workers_alive", {
  description: "Workers that are ready for requests, or handle some."
})
const starting = Metric.gauge("socketserver_workers_starting", { description: "Workers that are being started." })
const queued = Metric.gauge("socketserver_workers_queued", { description: "Requests that wait for a worker." })
const recycled = Metric.counter("socketserver_workers_recycled_total", {
  description: "Workers that were replaced after their number of requests.",
  incremental: true
})
const crashed = Metric.counter("socketserver_workers_crashed_total", {
  description: "Workers that ended without being told to.",
  incremental: true
})
const start = Metric.histogram("socketserver_workers_start_seconds", {
  description: "Seconds that workers took from their start until they were ready.",
  boundaries: Metric.exponentialBoundaries({ start: 0.01, factor: 2, count: 10 })
})

/** How many there are now. */
interface Counts {
  readonly alive: number
  readonly starting: number
  readonly queued: number
}

/** What a pool of workers does, as metrics with the server and the policy as attributes. */
export class PoolMetrics {
  private readonly context: Context.Context<never>
  private readonly attributes: { readonly server: string; readonly policy: string }
  private readonly alive = this.of(alive)
  private readonly starting = this.of(starting)
  private readonly queued = this.of(queued)
  readonly recycled = this.of(recycled)
  readonly crashed = this.of(crashed)
  readonly start = this.of(start)
  private readonly tick: Tick
  private readonly count: () => Counts
  private callOff: (() => void) | undefined = undefined
  private stopped = false

  constructor(
    context: Context.Context<never>,
    attributes: { readonly server: string; readonly policy: string },
    tick: Tick,
    count: () => Counts
  ) {
    this.context = context
    this.attributes = attributes
    this.tick = tick
    this.count = count
    // What has not happened yet is 0, so that the first time is seen to be one.
    this.recycled(0)
    this.crashed(0)
  }

  /** There may be more or fewer now. It happens with every request, and is said ten times a second at most. */
  changed(): void {
    if (this.stopped) this.report()
    else this.callOff ??= this.tick.after(100, () => this.report())
  }

  /** From now on few changes follow, and each is said at once. */
  stop(): void {
    this.stopped = true
    this.callOff?.()
  }

  private report(): void {
    this.callOff = undefined
    const { alive, queued, starting } = this.count()
    this.alive(alive)
    this.starting(starting)
    this.queued(queued)
  }

  private of<State>(metric: Metric.Metric<number, State>): (value: number) => void {
    let attributed: Metric.Metric<number, State> | undefined
    return (value) => (attributed ??= Metric.withAttributes(metric, this.attributes)).updateUnsafe(value, this.context)
  }
}
