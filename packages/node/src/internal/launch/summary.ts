import type * as Outcome from "@socketserver/core/Outcome"

/** What a server has done, in one line: `stopped Echo in 120 ms: 40 completed, 0 interrupted, 158 refused, 42 connections`. */
export const summaryOf = (begin: string, { connections, counts }: Outcome.Totals): string => {
  const { Completed, Drained, Refused, ...others } = counts
  const also = Object.entries(others)
    .filter(([, count]) => count > 0)
    .map(([tag, count]) => `, ${count} ${words[tag as keyof typeof words]}`)
  const many = `${connections} connection${connections === 1 ? "" : "s"}`
  return `${begin}: ${Completed} completed, ${Drained} interrupted, ${Refused} refused, ${many}${also.join("")}`
}

const words: { readonly [K in Exclude<Outcome.Tag, "Completed" | "Drained" | "Refused">]: string } = {
  Failed: "failed",
  TimedOut: "timed out",
  Cancelled: "cancelled",
  FrameTooLarge: "too large",
  Malformed: "malformed",
  Undelivered: "undelivered",
  WorkerCrashed: "lost with a worker"
}

/** The totals of two copies of one server. */
export const plus = (a: Outcome.Totals, b: Outcome.Totals): Outcome.Totals => {
  const counts: Record<string, number> = { ...a.counts }
  for (const [tag, count] of Object.entries(b.counts)) counts[tag] = (counts[tag] ?? 0) + count
  return { connections: a.connections + b.connections, counts: counts as Outcome.Counts }
}
