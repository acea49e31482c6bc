import * as Effect from "effect/Effect"
import type * as Outcome from "../Outcome.ts"
import type { Connections } from "./connections.ts"
import type { ServerContext } from "./context.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * Handlers that stop their own server, and wait for its end: not for themselves,
 * nor for each other.
 */
export class Callers<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly connections: Connections<ServerConnection<In, Out>>
  /** How many wait, whichever handler they are in. */
  private waiting = 0
  /** The requests of such handlers, with how often each waits. */
  private readonly requests = new Map<object, number>()

  constructor(context: ServerContext<In, Out>, connections: Connections<ServerConnection<In, Out>>) {
    this.context = context
    this.connections = connections
  }

  /** Whether anybody waits. */
  get any(): boolean {
    return this.waiting > 0
  }

  /** Whether a handler is at work that does not wait for the end itself. */
  get othersWork(): boolean {
    for (const connection of this.connections.all) {
      if (connection.line.isAtWork((request) => !this.requests.has(request))) return true
    }
    return false
  }

  /**
   * Waits for the others that are at work, with `idle`, which completes when there
   * are none. Of what has not begun, and of answers that are held in line, some
   * wait for the very handler that would wait for them.
   */
  wait(
    request: object | undefined,
    idle: Effect.Effect<Outcome.Report>,
    isStopped: () => boolean
  ): Effect.Effect<Outcome.Report> {
    // What is to begin has begun a tick later, where its turn had come.
    const answered = Effect.flatMap(idle, () =>
      Effect.flatMap(this.aTick, () => (!isStopped() && this.othersWork ? answered : idle))
    ) as Effect.Effect<Outcome.Report>
    // A handler that waits no longer is one that others wait for.
    return Effect.acquireUseRelease(
      this.counted(request, 1),
      () => answered,
      () => this.counted(request, -1)
    )
  }

  private counted(request: object | undefined, by: 1 | -1): Effect.Effect<void> {
    return Effect.sync(() => {
      this.waiting += by
      if (request === undefined) return
      const waits = (this.requests.get(request) ?? 0) + by
      if (waits === 0) this.requests.delete(request)
      else this.requests.set(request, waits)
    })
  }

  private readonly aTick: Effect.Effect<void> = Effect.callback((resume) =>
    this.context.afterTick(() => resume(Effect.void), 2)
  )
}
