/** The times by which a worker must have done something. */
import * as Remote from "@socketserver/core/Remote"
import type { Tick } from "../channel/tick.ts"

/** What has to have happened by when, each under a key of its own. */
export class Deadlines {
  private readonly tick: Tick
  private readonly due = new Remote.Passing<string | number, () => void>()

  constructor(tick: Tick) {
    this.tick = tick
  }

  /** Calls back in a while, unless that is forgotten before. One that is set already stays as it is. */
  set(key: string | number, millis: number, missed: () => void): void {
    if (this.due.has(key)) return
    const callOff = this.tick.after(millis, () =>
      // Where this program was busy meanwhile, what has arrived counts first.
      this.tick.afterTurn(() => {
        if (this.due.get(key) === callOff) missed()
      })
    )
    this.due.set(key, callOff)
  }

  forget(key: string | number): void {
    this.due.get(key)?.()
    this.due.delete(key)
  }

  forgetAll(): void {
    for (const callOff of this.due.values()) callOff()
    this.due.clear()
  }
}
