import * as Outcome from "../Outcome.ts"
import * as Response from "../Response.ts"
import type { ServerContext } from "./context.ts"
import { never, type Timed } from "./deadlines.ts"
import type { Incoming } from "./incoming.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** What a connection, or a sender of datagrams, has its time for: its session is set up, and what those say that extend it. */
export abstract class Timeouts implements Timed {
  dueAt = never
  queuedAt = never
  // Only where a session is set up, and until it is.
  declare private setup: { readonly until: number; readonly refuse: (refused: Outcome.Refused) => void } | undefined

  protected abstract readonly context: Pick<ServerContext<never, never>, "deadlines" | "limits" | "now">
  abstract look(now: number): number

  /** Looks at it at `moment` or before. */
  by(moment: number): void {
    this.context.deadlines.by(this, moment)
  }

  /** Nothing of it is waited for any more. */
  end(): void {
    this.context.deadlines.forget(this)
  }

  /** Its session is being set up: `refuse` is called when that has taken too long. */
  setsUp(refuse: (refused: Outcome.Refused) => void): void {
    const until = this.context.now() + this.context.limits.loginMillis
    this.setup = { until, refuse }
    this.by(until)
  }

  /** Its session has been set up. */
  isSetUp(): void {
    if (this.setup !== undefined) this.setup = undefined
  }

  /** Refuses who is not set up in time; when to look again. */
  protected lookAtSetUp(now: number): number {
    const { setup } = this
    if (setup === undefined) return Infinity
    if (now < setup.until) return setup.until
    this.setup = undefined
    setup.refuse(Outcome.refused(`it was not set up within ${this.context.limits.loginMillis} ms`, "LoginTimeout"))
    return Infinity
  }
}

/** The same of a connection, whose requests are answered in time. */
export class RequestTimeouts<In, Out> extends Timeouts {
  protected readonly on: ServerConnection<In, Out>

  constructor(on: ServerConnection<In, Out>) {
    super()
    this.on = on
  }

  protected get context(): ServerContext<In, Out> {
    return this.on.context
  }

  /** Requests wait for a handler, or a stream for its next element, since `at`. */
  asked(at: number): void {
    this.by(at + this.context.limits.requestMillis)
  }

  /** Nothing but its peer is waited for from now on. */
  freed(): void {
    const { idleMillis } = this.context.limits
    if (idleMillis === Infinity) return
    const now = this.context.now()
    this.on.activity.freeAt = now
    this.by(now + idleMillis)
  }

  /** Something of what was written has not left: of datagrams that is waited for without a bound. */
  unsent(): void {}

  look(now: number): number {
    return this.lookAtRequests(now)
  }

  /** Refuses who is not set up in time, and ends the requests that were not answered in time; when to look again. */
  protected lookAtRequests(now: number): number {
    let next = this.lookAtSetUp(now)
    const { limits, protocol } = this.context
    const { requestMillis } = limits
    if (requestMillis === Infinity || protocol.kind === "connection") return next
    for (let request = this.on.line.first; request !== undefined;) {
      // One that ends may end those after it.
      const following = request.next
      const since = request.waitsSince
      if (since !== never) {
        if (now - since >= requestMillis) this.expire(request, Outcome.timedOut(requestMillis))
        else next = Math.min(next, since + requestMillis)
      }
      request = following
    }
    return next
  }

  /** It ends in its turn, and its connection with it: whoever waits for its answer would take another's for it. */
  private expire(request: Incoming<In, Out>, outcome: Outcome.Outcome): void {
    const { begun, fiber } = request
    request.begun = true
    const response = Response.andClose(Response.withOutcome(Response.empty, outcome))
    request.response = response
    this.on.replies.conclude(request, response)
    if (!begun) this.context.events.abandoned(this.on.line)
    fiber?.interruptUnsafe()
  }
}
