import type { Worker } from "node:worker_threads"

/** The threads of a program, whoever has started them. `process.exit` waits for each of them, for ever if need be. */
export class Threads {
  private readonly alive = new Set<Worker>()

  constructor(counts: (thread: Worker) => boolean) {
    process.on("worker", (thread) => {
      if (!counts(thread)) return
      this.alive.add(thread)
      thread.once("exit", () => this.alive.delete(thread))
    })
  }

  get size(): number {
    return this.alive.size
  }

  /** Ends all of them, and calls `then` when they have ended: never, if one of them cannot be. */
  end(then: () => void): void {
    if (this.alive.size === 0) return then()
    for (const thread of this.alive) {
      thread.once("exit", () => {
        if (this.alive.size === 0) then()
      })
      void thread.terminate()
    }
  }
}
