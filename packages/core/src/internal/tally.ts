import type * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"

/** What a stop has found when it began, from which its report is made. */
export class Tally {
  private readonly context: Pick<ServerContext<never, never>, "ledger" | "now" | "troubles">
  private readonly at: number
  private readonly before: Outcome.Counts
  private readonly admitting: Admitting
  private readonly connections: number

  constructor(context: Pick<ServerContext<never, never>, "ledger" | "now" | "troubles">, admitting: Admitting) {
    this.context = context
    this.at = context.now()
    this.before = { ...context.ledger.counts }
    this.admitting = admitting
    this.connections = admitting.connections.size - admitting.admitted
  }

  /** What has ended since. */
  report(): Outcome.Report {
    const { before, context } = this
    const { counts } = context.ledger
    const problems = context.troubles.lines
    return {
      millis: context.now() - this.at,
      completed: counts.Completed - before.Completed,
      interrupted: counts.Drained - before.Drained,
      refused: counts.Refused - before.Refused,
      // With those who were taken in since.
      connections: this.connections + this.admitting.admitted,
      counts: { ...counts },
      ...(problems.length > 0 && { problems })
    }
  }
}

/** Who has been let in, and who of them is there. */
interface Admitting {
  readonly admitted: number
  readonly connections: { readonly size: number }
}
