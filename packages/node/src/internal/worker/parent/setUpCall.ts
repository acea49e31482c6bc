/** Calls that set a connection up, for handlers with state for each. */
import type * as Connection from "@socketserver/core/Connection"
import * as Outcome from "@socketserver/core/Outcome"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { readDefect, readDone, setUpKind } from "../channel/calls.ts"
import { Ask, Tell, writeFacts } from "../channel/frames.ts"
import { Call, died, type Line } from "./call.ts"

/** The set-up of a connection, for a handler with state for each: the worker has the connection from then on. */
export class SetUpCall extends Call {
  private readonly resume: (set: Effect.Effect<void, Outcome.Refused>) => void

  constructor(
    connection: Connection.Ref<never>,
    context: Context.Context<never>,
    resume: (set: Effect.Effect<void, Outcome.Refused>) => void
  ) {
    super(setUpKind, connection, context)
    this.resume = resume
  }

  begin({ claim, tell }: Line): void {
    const { bytesRead, bytesWritten, id, inFlight } = this.connection
    tell(
      Ask.connect,
      writeFacts({ connection: id, request: 0, receivedAt: 0, bytesRead, bytesWritten, inFlight, claim })
    )
  }

  onFrame(kind: number, body: Buffer): void {
    if (kind === Tell.connected) this.end(Effect.void)
    else if (kind === Tell.failed) this.end(died(readDefect(body)))
    else if (kind === Tell.done) {
      const { outcome } = readDone(body)
      this.end(outcome?._tag === "Refused" ? Effect.fail(outcome) : Effect.interrupt)
    }
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.end(died(new Error(`The setup of the connection: ${Outcome.describe(crash)}`)))
  }

  onRefused(reason: string): void {
    this.end(died(new Error(`The setup of the connection was refused: ${reason}`)))
  }

  private end(effect: Effect.Effect<void, Outcome.Refused>): void {
    if (this.finish()) this.resume(effect)
  }
}
