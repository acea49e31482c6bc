/** The metrics of several processes as those of one program. */
import type * as Metric from "effect/Metric"

type Snapshot = Metric.Metric.Snapshot

/** What has the same name and the same labels is added up, whatever it is. */
export const merge = (all: ReadonlyArray<ReadonlyArray<Snapshot>>): ReadonlyArray<Snapshot> => {
  const [first, ...others] = all
  if (first === undefined || others.length === 0) return first ?? []
  const merged = new Map<string, Snapshot>()
  for (const snapshots of all) {
    for (const snapshot of snapshots) {
      const key = keyOf(snapshot)
      const before = merged.get(key)
      merged.set(key, before === undefined ? snapshot : ({ ...snapshot, state: plus(before, snapshot) } as Snapshot))
    }
  }
  return [...merged.values()]
}

const keyOf = ({ attributes = {}, id, type }: Snapshot): string =>
  JSON.stringify([id, type, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))])

const plus = (a: Snapshot, b: Snapshot): Snapshot["state"] => {
  if (a.type === "Counter" && b.type === "Counter") {
    return { count: Number(a.state.count) + Number(b.state.count), incremental: b.state.incremental }
  }
  if (a.type === "Gauge" && b.type === "Gauge") return { value: Number(a.state.value) + Number(b.state.value) }
  if (a.type === "Frequency" && b.type === "Frequency") {
    const occurrences = new Map(a.state.occurrences)
    for (const [key, count] of b.state.occurrences) occurrences.set(key, (occurrences.get(key) ?? 0) + count)
    return { occurrences }
  }
  const [one, two] = [a.state, b.state] as [Metric.HistogramState, Metric.HistogramState]
  const both = {
    count: one.count + two.count,
    sum: one.sum + two.sum,
    // One that has seen nothing has none.
    min: one.count === 0 ? two.min : two.count === 0 ? one.min : Math.min(one.min, two.min),
    max: Math.max(one.max, two.max)
  }
  // Of two summaries nobody can tell the quantiles.
  if (a.type === "Summary") return { ...both, quantiles: [] }
  const counts = new Map(one.buckets)
  return { ...both, buckets: two.buckets.map(([boundary, count]) => [boundary, (counts.get(boundary) ?? 0) + count]) }
}
