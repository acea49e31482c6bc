/** Whether a program is alive: its event loop has to turn for an answer. */
import type { Tick } from "../worker/channel/tick.ts"

/**
 * Asks for a sign of life again and again, and counts how often in a row there
 * was none. To count, rather than to look at a clock, forgives a program that
 * was itself stopped for a while.
 */
export class Pulse {
  private readonly tick: Tick
  private readonly ask: () => void
  private readonly onBeat: (missed: number) => void
  private missed = 0
  private answered = true
  private callOff: (() => void) | undefined = undefined

  /** `onBeat` is called each time before it asks again. */
  constructor(tick: Tick, ask: () => void, onBeat: (missed: number) => void) {
    this.tick = tick
    this.ask = ask
    this.onBeat = onBeat
  }

  /** Asks now, and every so many milliseconds from now on. */
  start(everyMillis: number): void {
    this.stop()
    this.missed = 0
    this.answered = true
    this.beat(everyMillis)
  }

  /** It has given a sign of life. */
  heard(): void {
    this.answered = true
  }

  stop(): void {
    this.callOff?.()
    this.callOff = undefined
  }

  private beat(everyMillis: number): void {
    // What is asked already waits until it is heard.
    if (this.answered) {
      this.answered = false
      this.ask()
    }
    const callOff = this.tick.after(everyMillis, () =>
      // What has arrived while this program was busy counts first.
      this.tick.afterTurn(() => {
        if (this.callOff !== callOff) return
        this.missed = this.answered ? 0 : this.missed + 1
        this.beat(everyMillis)
        this.onBeat(this.missed)
      })
    )
    this.callOff = callOff
  }
}
