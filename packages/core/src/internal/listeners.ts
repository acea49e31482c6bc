import type * as Transport from "../Transport.ts"
import type { Troubles } from "./troubles.ts"

/**
 * What a server listens on, together: all of them close, and are held back, as one.
 * What one of them throws stops neither the others nor whoever asks.
 */
export class Listeners {
  private all: ReadonlyArray<Transport.Listening> = []
  /** Whether the reading of datagrams is stopped, where it can be. */
  private paused = false
  private readonly troubles: Troubles

  constructor(troubles: Troubles) {
    this.troubles = troubles
  }

  /** They are bound. Until now there was none to be told whether there is room. */
  bind(listeners: ReadonlyArray<Transport.Listening>): void {
    this.all = listeners
    this.paused = false
  }

  /** Stops or resumes the reading of datagrams, where a transport can, as there is room or not. */
  regulate(isFull: boolean): void {
    if (this.paused === isFull) return
    this.paused = isFull
    this.each(isFull ? "held back" : "resumed", ({ flow }) => (isFull ? flow?.pause : flow?.resume)?.())
  }

  /** Nobody new is let in, but who waits in a queue. */
  close(): void {
    this.each("closed", (listener) => {
      if (listener.queues !== true) listener.close()
    })
  }

  /** Whether one of them has a queue. */
  get queue(): boolean {
    return this.all.some(({ queues }) => queues)
  }

  /** Nobody is taken from the queues any more. */
  shut(): void {
    this.each("closed", (listener) => {
      if (listener.queues === true) listener.close()
    })
  }

  /** The server has stopped. */
  end(): void {
    this.each("ended", (listener) => listener.ended?.())
  }

  private each(what: string, f: (listener: Transport.Listening) => void): void {
    for (const listener of this.all) this.troubles.attempt(`when ${listener.address} was ${what}`, () => f(listener))
  }

  /** Where they listen, if they do. */
  get addresses(): string {
    return this.all.map(({ address }) => String(address)).join(", ")
  }
}
