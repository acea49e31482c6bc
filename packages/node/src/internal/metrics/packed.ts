/** Metrics as they go from one process to another: as JSON can say them. */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

type Snapshot = Metric.Metric.Snapshot

/** A snapshot whose state JSON can say. */
export type Packed = Omit<Snapshot, "state"> & { readonly state: unknown }

/** What is in the registry of this program, unless a part of it has another one. */
export const ofThisProcess = (): ReadonlyArray<Snapshot> => Metric.snapshotUnsafe(Context.empty())

export const pack = (snapshots: ReadonlyArray<Snapshot>): ReadonlyArray<Packed> =>
  snapshots.map((snapshot) => {
    switch (snapshot.type) {
      case "Counter":
        return { ...snapshot, state: { ...snapshot.state, count: Number(snapshot.state.count) } }
      case "Gauge":
        return { ...snapshot, state: { value: Number(snapshot.state.value) } }
      case "Frequency":
        return { ...snapshot, state: [...snapshot.state.occurrences] }
      case "Histogram":
        // Its last one may have no end, which the count of all says as well.
        return {
          ...snapshot,
          state: { ...snapshot.state, buckets: snapshot.state.buckets.filter(([most]) => most !== Infinity) }
        }
      default:
        return snapshot
    }
  })

export const unpack = (packed: ReadonlyArray<Packed>): ReadonlyArray<Snapshot> =>
  packed.map((snapshot) =>
    snapshot.type === "Frequency"
      ? { ...snapshot, state: { occurrences: new Map(snapshot.state as ReadonlyArray<[string, number]>) } }
      : snapshot
  ) as unknown as ReadonlyArray<Snapshot>
