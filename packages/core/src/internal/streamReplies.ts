import * as Outcome from "../Outcome.ts"
import * as Response from "../Response.ts"
import { unencodable } from "./endings.ts"
import type { Incoming } from "./incoming.ts"
import { Replies } from "./replies.ts"
import type { StreamConnection } from "./streamConnection.ts"
import { Unencodable } from "./unencodable.ts"

/** How the requests of a connection of bytes get their answers: in the order in which they came, or as they are ready where they have ids. */
export class StreamReplies<In, Out> extends Replies<In, Out> {
  declare protected readonly on: StreamConnection<In, Out>

  isNext(incoming: Incoming<In, Out>): boolean {
    const { context, line } = this.on
    return incoming === line.first || context.protocol.correlation !== undefined
  }

  protected answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    if (incoming.settled !== undefined) return
    const { on } = this
    if (!this.isNext(incoming)) {
      incoming.response = this.parked(response)
      on.holding.account()
    } else {
      incoming.response = response
      this.emit(incoming, response)
      this.turned()
    }
    // While others are in flight and nothing waits there is nothing to do: the hot path of a pipeline.
    if (on.line.inFlight === 0 || on.hasInput || !on.isReading || on.line.isHeldBack) on.progress()
  }

  /** A response that waits for those before it, encoded: so much is known of what it takes. */
  private parked(response: Response.Response<Out>): Response.Response<Out> {
    if (response._tag !== "Reply") return response
    const framed = this.on.outbox.frame(response.value)
    return framed instanceof Unencodable
      ? Response.andClose(Response.withOutcome(Response.empty, unencodable(framed.problem)))
      : { ...response, value: framed as never }
  }

  private emit(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    const { closing, line, outbox } = this.on
    // A reply that can no longer leave must not be recorded as if it had.
    if (!closing.answers && (response._tag === "Reply" || closing.state === "gone")) {
      return line.cancel(incoming, closing.unanswered)
    }
    if (response._tag === "Reply") {
      const problem = outbox.add(response.value)
      if (problem !== undefined) {
        line.settle(incoming, unencodable(problem))
        return this.endAfterOthers()
      }
    }
    const outcome = response.outcome ?? this.verdict
    // What has come for it may have been too much.
    if (incoming.settled !== undefined) return
    line.settle(incoming, outcome)
    if (response.close) this.endAfterOthers()
  }

  /** What a request ends as that was answered. */
  protected get verdict(): Outcome.Outcome {
    return Outcome.completed
  }

  /**
   * Closes the connection, after a reply. In order none is before it; of those that have ids, all that are in flight may still leave,
   * for as long as at a stop: one may have no end.
   */
  private endAfterOthers(): void {
    const { on } = this
    if (on.context.protocol.correlation === undefined || on.line.inFlight === 0) return on.shut()
    on.endedBy ??= "self"
    if (on.closing.enter("faulty")) on.closing.later(() => on.shut())
  }

  /** The turn passes, however the one that had it ended. */
  override turned(): void {
    const { line } = this.on
    while (line.first?.response !== undefined) this.emit(line.first, line.first.response)
    line.first?.streaming?.wake()
  }

  override drop(incoming: Incoming<In, Out>): void {
    super.drop(incoming)
    this.on.progress()
  }
}
