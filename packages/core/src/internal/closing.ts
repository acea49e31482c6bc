import * as Outcome from "../Outcome.ts"
import type * as Wire from "../Wire.ts"
import { answers, type Event, isOver, type State, transitions } from "./connectionState.ts"
import type { ServerContext } from "./context.ts"
import type { Outbox } from "./outbox.ts"
import { Progress } from "./progress.ts"

/**
 * How a connection of bytes closes without losing a reply: its state, and how
 * long its peer has to read what was written. The table of states is in
 * `connectionState.ts`.
 */
export class Closing {
  state: State = "open"
  private readonly wire: Wire.Wire
  private readonly outbox: Outbox<never>
  private readonly context: Pick<ServerContext<never, never>, "after" | "limits">
  private cancelTimer: (() => void) | undefined = undefined

  constructor(wire: Wire.Wire, outbox: Outbox<never>, context: Pick<ServerContext<never, never>, "after" | "limits">) {
    this.wire = wire
    this.outbox = outbox
    this.context = context
  }

  /** Whether what is answered can still leave. */
  get answers(): boolean {
    return answers(this.state)
  }

  /** Whether the connection is there no more. */
  get isOver(): boolean {
    return isOver(this.state)
  }

  /** What a request ends as that can no longer be answered. */
  get unanswered(): Outcome.Outcome {
    return Outcome.cancelled(this.state === "gone" ? "PeerGone" : "ConnectionClosed")
  }

  /** Takes an event to the state where it leads; whether that is another one. */
  enter(event: Event): boolean {
    const next = transitions[this.state][event]
    if (next === undefined) return false
    this.state = next
    return true
  }

  /** Nothing more is written: closes the connection once what was written has left, within a bound. */
  finishWriting(): void {
    this.outbox.end()
    this.wire.resume()
    if (this.outbox.isFinished) return this.closeIfSent()
    const { closeMillis, writeMillis } = this.context.limits
    this.watch(new Progress(this.wire, Math.min(closeMillis, writeMillis)))
  }

  /** Closes the connection, if everything that is to leave has left. */
  closeIfSent(): void {
    if (this.answers || this.isOver || !this.outbox.isFinished) return
    if (this.state === "closing" || !this.wire.resetsOnClose) return this.wire.destroy()
    if (!this.enter("left")) return
    this.after(this.context.limits.lingerMillis, () => this.wire.destroy())
  }

  /** The connection is gone. */
  lose(): void {
    this.enter("lost")
    this.outbox.close()
    this.cancelTimer?.()
  }

  /** Closes it now. What is cut off must not look like a regular end. */
  cut(): void {
    this.state = "closed"
    const { unsent } = this.outbox
    this.outbox.close()
    if (unsent > 0) this.wire.reset()
    else this.wire.destroy()
  }

  /** Breaks it off. */
  reset(): void {
    this.state = "closed"
    this.outbox.close()
    this.cancelTimer?.()
    this.wire.reset()
  }

  /** Gives a peer time to read what was written, for as long as it does. */
  private watch(progress: Progress): void {
    this.after(progress.next, () => {
      // What is cut off must not look like a regular end.
      if (progress.look()) return this.wire.reset()
      this.watch(progress)
    })
  }

  /** Does something once others have had their time, unless it closes before. */
  later(f: () => void): void {
    this.after(this.context.limits.closeMillis, f)
  }

  /** Does something later, instead of what was to be done before. */
  private after(millis: number, f: () => void): void {
    this.cancelTimer?.()
    this.cancelTimer = this.context.after(millis, f)
  }
}
