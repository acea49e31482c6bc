import type * as Transport from "../Transport.ts"

/** What a server listens on, together: all of them close, and are held back, as one. */
export class Listeners {
  private all: ReadonlyArray<Transport.Listening> = []
  /** Whether the reading of datagrams is stopped, where it can be. */
  private paused = false

  /** They are bound. Until now there was none to be told whether there is room. */
  bind(listeners: ReadonlyArray<Transport.Listening>): void {
    this.all = listeners
    this.paused = false
  }

  /** Stops or resumes the reading of datagrams, where a transport can, as there is room or not. */
  regulate(isFull: boolean): void {
    if (this.paused === isFull) return
    this.paused = isFull
    for (const { flow } of this.all) (isFull ? flow?.pause : flow?.resume)?.()
  }

  /** Nobody new is let in. */
  close(): void {
    for (const listener of this.all) listener.close()
  }

  /** The server has stopped. */
  end(): void {
    for (const listener of this.all) listener.ended?.()
  }

  /** Where they listen, if they do. */
  get addresses(): string {
    return this.all.map(({ address }) => String(address)).join(", ")
  }
}
