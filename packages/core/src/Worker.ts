/**
 * Who runs a handler: for replies and logs that say so.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Who runs a handler, as its policy has placed it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker {
  /** `"sequential"`: one after the other; `"fiber"`: each in a fiber of its own; `"thread"` and `"process"`: elsewhere. A policy of yours may have a word of its own. */
  readonly kind: string
  /** The number of the thread, or the id of the process; 0 where handlers run in the server's only one. */
  readonly id: number
  /** How many requests it has begun, this one included. */
  readonly requests: number
}

/**
 * The worker of the current handler. Outside a server it is a fiber.
 *
 * @category services
 * @since 0.1.0
 */
export const Worker: Context.Reference<Worker> = Context.Reference<Worker>("@socketserver/core/Worker", {
  defaultValue: () => ({ kind: "fiber", id: 0, requests: 0 })
})

/**
 * The name of the current worker: `sequential`, `fiber-<id>`, `thread-<id>`, or
 * the id of the process, where the policy runs handlers in processes or the
 * program is one of several copies. A kind of your own is its name.
 *
 * **When to use**
 *
 * To show in a reply or a log who did the work, as the ancestor's examples show
 * the thread's name or the process id.
 *
 * @category accessors
 * @since 0.1.0
 */
export const name: Effect.Effect<string> = Effect.withFiber((fiber) => {
  const worker = fiber.getRef(Worker)
  if (worker.kind === "thread") return Effect.succeed(`thread-${worker.id}`)
  if (worker.id !== 0) return Effect.succeed(String(worker.id))
  return Effect.succeed(worker.kind === "fiber" ? `fiber-${fiber.id}` : worker.kind)
})
