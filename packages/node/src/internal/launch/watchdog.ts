import * as Result from "effect/Result"
import type * as threads from "node:worker_threads"
import { isDebugged } from "./debugger.ts"

/**
 * A thread that ends the program with SIGKILL, from where a loop that is blocked
 * does not keep it from doing so. `process.exit` ends it, with all other threads.
 *
 * It does so when the time is over that {@link bite} gives; and, where it was
 * started with a `silenceMillis`, when the event loop has not turned for so long.
 * It costs about 10 MiB.
 */
export class Watchdog {
  private readonly view = new Int32Array(new SharedArrayBuffer(8))
  /** The thread, once there is one. */
  thread: threads.Worker | undefined = undefined

  /** Starts it, once, and shows it from now on that the event loop turns. */
  watch(millis: number): void {
    // A debugger that holds the program is no fault of it.
    if (this.thread !== undefined || isDebugged()) return
    const silenceMillis = Math.min(longestMillis, millis)
    this.start(silenceMillis)
    // More often than it looks.
    setInterval(() => Atomics.add(this.view, beats, 1), silenceMillis / slices / 2).unref()
  }

  /** The program ends after so many milliseconds, if it has not by then. The latest word counts. */
  bite(millis: number): void {
    if (millis > longestMillis) return
    const said = Math.max(1, Math.round(millis))
    // The same once more is to be noticed, too.
    Atomics.store(this.view, word, said === Atomics.load(this.view, word) ? said + 1 : said)
    Atomics.notify(this.view, word)
    this.start(0)
  }

  private start(silenceMillis: number): void {
    if (this.thread !== undefined) return
    // Where no thread can be had, all else still holds.
    Result.try(() => {
      const { Worker } = process.getBuiltinModule("node:worker_threads") as typeof threads
      const { view } = this
      const worker = new Worker(`(${body})(require("node:worker_threads").workerData)`, {
        eval: true,
        workerData: { view, silenceMillis, slices, beats, word },
        // Nothing of the program's own is for it.
        argv: [],
        env: {},
        execArgv: [],
        resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 }
      })
      worker.on("error", () => {})
      worker.unref()
      this.thread = worker
    })
  }
}

/** Where the two numbers are that both sides know. */
const beats = 0
const word = 1

/** What a number of the view, and a timer, can hold: 24 days. */
const longestMillis = 2 ** 31 - 1

/** How often in its time it looks: once is not enough, since a program that was stopped and goes on has missed one. */
const slices = 8

// In the thread. As text, since a bundler would make its own of a function.
const body = `({ beats, silenceMillis, slices, view, word }) => {
  const fs = process.getBuiltinModule("node:fs")
  const kill = () => process.kill(process.pid, "SIGKILL")
  let beat = Atomics.load(view, beats)
  let missed = 0
  let heard = 0
  let end = Infinity
  for (;;) {
    const said = Atomics.load(view, word)
    if (said !== heard) end = performance.now() + said
    heard = said
    const left = end - performance.now()
    if (left <= 0) kill()
    const slice = silenceMillis === 0 ? left : Math.min(left, silenceMillis / slices)
    if (Atomics.wait(view, word, heard, slice) !== "timed-out" || silenceMillis === 0) continue
    const now = Atomics.load(view, beats)
    missed = now === beat ? missed + 1 : 0
    beat = now
    if (missed < slices) continue
    const line = "WATCHDOG: the event loop has not turned for " + silenceMillis + " ms; the program is ended with SIGKILL\\n"
    const { O_APPEND, O_NONBLOCK, O_WRONLY } = fs.constants
    try {
      // A pipe that nobody empties must not hold it up.
      fs.writeSync(fs.openSync("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK), line)
    } catch (error) {
      if (error.code !== "EAGAIN") try { fs.writeSync(2, line) } catch {}
    }
    kill()
  }
}`
