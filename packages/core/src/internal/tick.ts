import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

/** Something that collects output during a turn and sends it at the end. */
export interface Flushable {
  flush(): void
}

/**
 * One turn of the event loop ("tick"): what is written during it leaves in one write per
 * connection, at its end.
 *
 * It is also the scheduler of the server's own fibers, over the one that the
 * program uses: all of them share one dispatcher. That of its handlers is
 * `Resuming`.
 */
export class Tick implements Scheduler.Scheduler {
  /** The scheduler that the program uses. */
  readonly base: Scheduler.Scheduler
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly shared: Scheduler.SchedulerDispatcher
  private dirty: Array<Flushable> = []
  private depth = 0
  private armed = false

  constructor(base: Scheduler.Scheduler) {
    this.base = base
    this.dispatcher = base.makeDispatcher()
    this.shared = {
      scheduleTask: (task, priority) => {
        this.dispatcher.scheduleTask(() => this.guard(task), priority)
        this.arm()
      },
      flush: () => this.dispatcher.flush()
    }
  }

  get executionMode(): "sync" | "async" {
    return this.base.executionMode
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.base.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.shared
  }

  /** Runs `f` as (a part of) a turn. */
  run(f: () => void): void {
    this.depth++
    // oxlint-disable-next-line socketserver/no-try -- what throws ends neither this turn nor all later ones; no closure on the hot path of a request
    try {
      f()
    } finally {
      if (--this.depth === 0) this.flush()
    }
  }

  /** Flushes `output` at the end of the turn. */
  mark(output: Flushable): void {
    this.dirty.push(output)
    if (this.depth === 0) this.arm()
  }

  /** Runs `f` at the end of the event loop's turn, before what is written leaves. */
  soon(f: () => void): void {
    this.dispatcher.scheduleTask(() => this.guard(f), 0)
    this.arm()
  }

  /** Runs `f`. What it throws is the program's, and ends nothing else that is done in this turn: with that a server would stand still. */
  private guard(f: () => void): void {
    // oxlint-disable-next-line socketserver/no-try -- see above
    try {
      f()
    } catch (error) {
      this.rethrow(error)
    }
  }

  /** The same of an output, without a function for each. */
  private send(output: Flushable): void {
    // oxlint-disable-next-line socketserver/no-try -- see above
    try {
      output.flush()
    } catch (error) {
      this.rethrow(error)
    }
  }

  /** Has something thrown where nobody else is. */
  private rethrow(error: unknown): void {
    this.base.makeDispatcher().scheduleTask(() => {
      throw error
    }, 0)
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    // After everything else that runs in the same turn of the dispatcher.
    this.dispatcher.scheduleTask(this.end, Number.MAX_SAFE_INTEGER)
  }

  private readonly end = (): void => {
    this.armed = false
    this.flush()
  }

  private flush(): void {
    while (this.dirty.length > 0) {
      const dirty = this.dirty
      this.dirty = []
      for (const output of dirty) this.send(output)
    }
  }
}
