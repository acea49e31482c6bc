import type * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"

/** What a stop has found when it began, from which its report is made. */
export class Tally {
  private readonly context: Pick<ServerContext<never, never>, "ledger" | "now">
  private readonly at: number
  private readonly before: Outcome.Counts
  private readonly connections: number

  constructor(context: Pick<ServerContext<never, never>, "ledger" | "now">, connections: number) {
    this.context = context
    this.at = context.now()
    this.before = { ...context.ledger.counts }
    this.connections = connections
  }

  /** What has ended since. */
  report(): Outcome.Report {
    const { before, context } = this
    const { counts } = context.ledger
    return {
      millis: context.now() - this.at,
      completed: counts.Completed - before.Completed,
      interrupted: counts.Drained - before.Drained,
      refused: counts.Refused - before.Refused,
      connections: this.connections,
      counts: { ...counts }
    }
  }
}
