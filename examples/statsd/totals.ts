/** What was counted, until it is told. */
import type { Statsd } from "@socketserver/protocols"

/** How much is kept; what comes beyond it is counted as dropped. */
export interface Bounds {
  /** Metrics, told apart by type, name and tags. */
  readonly maxMetrics: number
  /** Different values of all sets together. */
  readonly maxMembers: number
}

/** What is known of one metric. */
interface Total {
  readonly name: string
  readonly type: Statsd.Metric["type"]
  count: number
  sum: number
  min: number
  max: number
  members: Set<string> | undefined
}

export class Totals {
  private readonly bounds: Bounds
  /** What has come since it was told last. */
  private active = new Map<string, Total>()
  /** Gauges that keep their value, the oldest first: they make room where others need it. */
  private readonly quiet = new Map<string, Total>()
  private members = 0
  private malformed = 0
  private dropped = 0

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  add({ malformed, metrics }: Statsd.Packet): void {
    this.malformed += malformed.length
    for (const metric of metrics) this.count(metric)
  }

  /** What was counted since the last time, a line for each metric, sorted. */
  flush(): ReadonlyArray<string> {
    const lines = Array.from(this.active.values(), lineOf)
    if (this.malformed > 0) lines.push(`statsd.bad_lines_seen counter ${this.malformed}`)
    if (this.dropped > 0) lines.push(`statsd.dropped counter ${this.dropped}`)
    for (const [key, total] of this.active) if (total.type === "gauge") this.quiet.set(key, total)
    this.active = new Map()
    this.members = 0
    this.malformed = 0
    this.dropped = 0
    return lines.sort()
  }

  private count(metric: Statsd.Metric): void {
    const total = this.totalOf(metric)
    if (total === undefined) {
      this.dropped++
      return
    }
    switch (metric.type) {
      case "gauge":
        total.sum = metric.isChange ? total.sum + metric.value : metric.value
        return
      case "set":
        return this.member((total.members ??= new Set()), metric.value)
      case "counter":
        total.sum += metric.value / metric.rate
        return
      default:
        total.count += 1 / metric.rate
        total.sum += metric.value / metric.rate
        total.min = Math.min(total.min, metric.value)
        total.max = Math.max(total.max, metric.value)
    }
  }

  private member(members: Set<string>, value: string): void {
    if (members.has(value)) return
    if (this.members >= this.bounds.maxMembers) {
      this.dropped++
      return
    }
    members.add(copied(value))
    this.members++
  }

  private totalOf({ name: bare, tags, type }: Statsd.Metric): Total | undefined {
    // The same tags in another order are the same metric.
    const key = `${type} ${bare}${tags.length === 0 ? "" : `{${[...tags].sort().join(",")}}`}`
    if (key.length > longestKey) return undefined
    const known = this.active.get(key)
    if (known !== undefined) return known
    const kept = this.quiet.get(key)
    if (kept !== undefined) {
      this.quiet.delete(key)
      this.active.set(key, kept)
      return kept
    }
    if (this.active.size + this.quiet.size >= this.bounds.maxMetrics) {
      const oldest = this.quiet.keys().next()
      if (oldest.done === true) return undefined
      this.quiet.delete(oldest.value)
    }
    const own = copied(key)
    const name = own.slice(type.length + 1)
    const total: Total = { name, type, count: 0, sum: 0, min: Infinity, max: -Infinity, members: undefined }
    this.active.set(own, total)
    return total
  }
}

/** A name with its tags may be so long; what is longer is dropped. */
const longestKey = 1_024

/** A text of its own: a part of another text holds on to all of it. */
const copied = (text: string): string => Buffer.from(text).toString()

const lineOf = ({ count, max, members, min, name, sum, type }: Total): string => {
  if (type === "set") return `${name} set ${members?.size ?? 0}`
  if (type === "counter" || type === "gauge") return `${name} ${type} ${shown(sum)}`
  return `${name} ${type} count=${shown(count)} min=${shown(min)} mean=${shown(sum / count)} max=${shown(max)}`
}

/** Without what only floating point has to say. */
const shown = (value: number): number => Number(value.toPrecision(12))
