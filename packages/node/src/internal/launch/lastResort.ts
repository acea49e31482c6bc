import * as Result from "effect/Result"
import { writeSync } from "node:fs"
import { type Later, later } from "../later.ts"
import { Threads } from "./threads.ts"
import { Watchdog } from "./watchdog.ts"

/** How long after its deadline a stop that does not end is ended by force; and that, if it has no effect, in turn. */
const patienceMillis = 1_000

/**
 * What ends a program that does not end: a second after the deadline of its stop
 * it says what it knows, and exits; and where even that does not end it, since a
 * thread cannot be ended or the loop is blocked, it is killed a second later.
 */
export class LastResort {
  readonly watchdog = new Watchdog()
  private readonly threads = new Threads((thread) => thread !== this.watchdog.thread)
  /** When the stop has begun, and when it is ended by force, by `performance.now`. */
  private beganAt: number | undefined = undefined
  private endsAt = -Infinity
  private ending: Later | undefined = undefined

  /** A stop has begun, or goes on, and may take so long in all. */
  arm(stopMillis: number, status: () => number, lines: (millis: number) => ReadonlyArray<string>): void {
    const now = performance.now()
    const beganAt = (this.beganAt ??= now)
    const millis = stopMillis + patienceMillis
    if (beganAt + millis <= this.endsAt) return
    this.endsAt = beganAt + millis
    const left = this.endsAt - now
    // From a thread: nothing that happens from now on in this one keeps it from that.
    this.watchdog.bite(left + patienceMillis)
    this.ending?.cancel()
    this.ending = later(left, () => {
      this.say(lines(millis))
      this.say([`the program had not ended ${Math.round(millis)} ms after its stop began: it is ended`])
      this.exit(status())
    })
    this.ending.unref()
  }

  /** Ends the program now; within a second, whatever its threads do. */
  exit(status: number): void {
    this.watchdog.bite(patienceMillis)
    this.threads.end(() => process.exit(status))
    const { size } = this.threads
    if (size === 0) return
    later(patienceMillis * 0.8, () => {
      this.say([`${size} thread${size === 1 ? "" : "s"} could not be ended: the program is ended with SIGKILL`])
      process.kill(process.pid, "SIGKILL")
    })
  }

  /** At once: what is queued here may never be sent. */
  private say(lines: ReadonlyArray<string>): void {
    for (const line of lines) Result.try(() => writeSync(2, `${line}\n`))
  }
}
