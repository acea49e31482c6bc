import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Outcome from "../Outcome.ts"
import type * as Response from "../Response.ts"
import { responseOf } from "./endings.ts"
import type { Incoming } from "./incoming.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** How the requests of a connection get their answers, or end without one. */
export abstract class Replies<In, Out> {
  protected readonly on: ServerConnection<In, Out>

  constructor(on: ServerConnection<In, Out>) {
    this.on = on
  }

  /** Whether a request may be answered now. */
  abstract isNext(incoming: Incoming<In, Out>): boolean

  /** Answers a request, in its place. */
  protected abstract answer(incoming: Incoming<In, Out>, response: Response.Response<Out>): void

  /** Answers a request. What is thrown meanwhile ends it and its connection, and nothing else. */
  conclude(incoming: Incoming<In, Out>, response: Response.Response<Out>): void {
    // oxlint-disable-next-line socketserver/no-try -- it would end the policy that all requests are under, or the program
    try {
      this.answer(incoming, response)
    } catch (error) {
      const { context, line, outbox, wire } = this.on
      const failed = Outcome.failed(Cause.die(error))
      if (incoming.settled === undefined) line.settle(incoming, failed)
      else context.ledger.record(failed, undefined, this.on)
      outbox.close()
      wire.reset()
    }
  }

  /** A handler's fiber has ended. */
  ended(incoming: Incoming<In, Out>, exit: Exit.Exit<Response.Response<Out>>): void {
    const { on } = this
    incoming.fiber = undefined
    on.handlers.ended()
    // One that took too long has its answer.
    if (incoming.response === undefined) this.conclude(incoming, responseOf(exit))
    if (on.isOver) on.release()
  }

  /** Another request is the first in line: the one before it was cancelled. */
  turned(): void {}

  /** Nobody will take a request, since the server stops. */
  drop(incoming: Incoming<In, Out>): void {
    this.on.line.cancel(incoming, Outcome.drained)
  }
}
