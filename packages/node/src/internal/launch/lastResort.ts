import * as Result from "effect/Result"
import { writeSync } from "node:fs"
import { later } from "../later.ts"
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
  private armed = false

  /** A stop has begun, which may take so long. */
  arm(drainMillis: number, status: () => number, lines: (millis: number) => ReadonlyArray<string>): void {
    if (this.armed) return
    this.armed = true
    const millis = drainMillis + patienceMillis
    // From a thread: nothing that happens from now on in this one keeps it from that.
    this.watchdog.bite(millis + patienceMillis)
    later(millis, () => {
      this.say(lines(millis))
      this.say([`the program had not ended ${Math.round(millis)} ms after its stop began: it is ended`])
      this.exit(status())
    }).unref()
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
