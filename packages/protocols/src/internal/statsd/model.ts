/** What a metric is: `Statsd` has these as its own. */

interface Named {
  readonly name: string
  /** As DogStatsD has them: `"env:prod"`, `"urgent"`, in the order in which they were sent. */
  readonly tags: ReadonlyArray<string>
}

interface Sampled extends Named {
  readonly value: number
  /** Which part of what happened is sent, from above 0 to 1: each stands for `1 / rate`. */
  readonly rate: number
}

/** Something has happened, `value` times; `value / rate` where only a part of it is sent. */
export interface Counter extends Sampled {
  readonly type: "counter"
}

/** Something took `value` milliseconds. */
export interface Timer extends Sampled {
  readonly type: "timer"
}

/** One of many values, which are looked at together. */
export interface Histogram extends Sampled {
  readonly type: "histogram"
}

/** As a histogram, over all hosts. */
export interface Distribution extends Sampled {
  readonly type: "distribution"
}

/** Something has a value now, or has changed by one. */
export interface Gauge extends Named {
  readonly type: "gauge"
  readonly value: number
  /** Whether it has changed by `value`: it was sent with a sign. */
  readonly isChange: boolean
}

/** Something was there: how many different ones are, is counted. */
export interface Set extends Named {
  readonly type: "set"
  readonly value: string
}

export type Metric = Counter | Timer | Histogram | Distribution | Gauge | Set

export interface Packet {
  readonly metrics: ReadonlyArray<Metric>
  /** Why others of it were none, one reason each. */
  readonly malformed: ReadonlyArray<string>
}

/** What metrics take in memory: each value is one, so that a packet of many takes a multiple of itself. */
export const weightOf = (bytes: number, payload?: string | Uint8Array): number => {
  if (payload === undefined) return bytes * eachByte + Math.min(mostMetrics, bytes) * eachMetric
  let metrics = 1
  for (let i = 0; i < payload.length; i++) {
    const code = typeof payload === "string" ? payload.charCodeAt(i) : payload[i]
    // What comes before a value, or the next metric.
    if (code === 58 || code === 10) metrics++
  }
  return payload.length * eachByte + Math.min(mostMetrics, metrics) * eachMetric
}

// Of its text, and of what is cut out of it.
const eachByte = 4
const eachMetric = 160

/** How many metrics a packet may have. */
export const mostMetrics = 4_096
/** How many tags a metric may have. */
export const mostTags = 64
/** The longest name, tag, or value of a set, in characters. */
export const longestText = 255

/** Of each type: how it is written, and which it is. */
export const letters = {
  counter: "c",
  timer: "ms",
  histogram: "h",
  distribution: "d",
  gauge: "g",
  set: "s"
} as const satisfies Record<Metric["type"], string>
