import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Metric from "effect/Metric"

/** Makes of the metrics of a process those of its whole program. */
export type Gather = (
  own: ReadonlyArray<Metric.Metric.Snapshot>
) => Effect.Effect<ReadonlyArray<Metric.Metric.Snapshot>>

/** What a process is a part of, where it is one of several. */
export const Gather = Context.Reference<Gather>("@socketserver/core/Metrics/Gather", {
  defaultValue: () => Effect.succeed
})
