import * as Effect from "effect/Effect"

/** Whether a peer does not keep up with what it is sent, and who waits until it does. */
export class Backpressure {
  /** `on` when the transport's high-water mark is reached; `over` when the peer is gone, and nobody waits any more. */
  private state: "off" | "on" | "over" = "off"
  // Few connections ever have any.
  private waiting: Array<() => void> | undefined = undefined

  get isOn(): boolean {
    return this.state === "on"
  }

  /** Completes when the peer keeps up (again), or is gone. */
  get off(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      // A fiber may yield between looking and waiting.
      if (!this.isOn) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      ;(this.waiting ??= []).push(wake)
      return Effect.sync(() => {
        this.waiting = this.waiting?.filter((other) => other !== wake)
      })
    })
  }

  /** The transport says whether more may follow at once. */
  wrote(writable: boolean): void {
    if (!writable && this.state === "off") this.state = "on"
  }

  /** The peer keeps up, unless it does not with what is sent first. */
  lift(send: () => void): void {
    if (this.state === "on") this.state = "off"
    send()
    if (!this.isOn) this.wake()
  }

  /** The peer is gone. */
  end(): void {
    this.state = "over"
    this.wake()
  }

  private wake(): void {
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    for (const wake of waiting) wake()
  }
}
