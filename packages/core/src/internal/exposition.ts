/** Metrics as text, in the format that Prometheus reads (0.0.4). */
import type * as Metric from "effect/Metric"

type Snapshot = Metric.Metric.Snapshot
type Labels = ReadonlyArray<readonly [string, string]>

/** All of them, those of one name together. */
export const format = (snapshots: ReadonlyArray<Snapshot>): string => {
  const families = new Map<string, Array<Snapshot>>()
  for (const snapshot of snapshots) {
    const name = nameOf(snapshot.id)
    const family = families.get(name)
    if (family === undefined) families.set(name, [snapshot])
    // A name stands for one kind of metric: what comes later has no place.
    else if (kindOf(family[0] as Snapshot) === kindOf(snapshot)) family.push(snapshot)
  }
  let text = ""
  for (const [name, family] of families) {
    const [first] = family as [Snapshot]
    if (first.description !== undefined) text += `# HELP ${name} ${escaped(first.description)}\n`
    text += `# TYPE ${name} ${kindOf(first)}\n`
    for (const snapshot of family) text += linesOf(name, snapshot)
  }
  return text
}

const linesOf = (name: string, snapshot: Snapshot): string => {
  const labels = Object.entries(snapshot.attributes ?? {}).filter(([label]) => !units.has(label))
  const line = (suffix: string, value: number | bigint, more: Labels = []) =>
    `${name}${suffix}${textOf([...labels, ...more])} ${valueOf(value)}\n`
  switch (snapshot.type) {
    case "Counter":
      return line("", snapshot.state.count)
    case "Gauge":
      return line("", snapshot.state.value)
    case "Frequency":
      return [...snapshot.state.occurrences].map(([key, count]) => line("", count, [["key", key]])).join("")
    case "Histogram": {
      const { buckets, count, sum } = snapshot.state
      const finite = buckets.filter(([boundary]) => boundary !== Infinity)
      const all: ReadonlyArray<readonly [number, number]> = [...finite, [Infinity, count]]
      const bars = all.map(([boundary, count]) => line("_bucket", count, [["le", valueOf(boundary)]]))
      return `${bars.join("")}${line("_sum", sum)}${line("_count", count)}`
    }
    case "Summary": {
      const { count, quantiles, sum } = snapshot.state
      const known = quantiles.flatMap(([quantile, value]) =>
        value === undefined ? [] : [line("", value, [["quantile", valueOf(quantile)]])]
      )
      return `${known.join("")}${line("_sum", sum)}${line("_count", count)}`
    }
  }
}

/** What Effect's exporters take for the unit of a metric, and not for a label. */
const units: ReadonlySet<string> = new Set(["unit", "time_unit"])

const kinds = {
  Counter: "counter",
  Frequency: "counter",
  Gauge: "gauge",
  Histogram: "histogram",
  Summary: "summary"
} as const

const kindOf = ({ type }: Snapshot): string => kinds[type]

const nameOf = (id: string): string => id.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])/, "_")

const textOf = (labels: Labels): string =>
  labels.length === 0
    ? ""
    : `{${labels.map(([label, value]) => `${nameOf(label).replaceAll(":", "_")}="${escaped(value).replaceAll('"', '\\"')}"`).join(",")}}`

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const valueOf = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)
