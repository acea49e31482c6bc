/**
 * Who runs a handler.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * What a policy says of where its handlers run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker {
  /** `"sequential"`: one after the other; `"fiber"`: each in a fiber of its own. */
  readonly kind: "sequential" | "fiber"
}

/**
 * The worker of the current handler. Outside a server it is a fiber.
 *
 * @category services
 * @since 0.1.0
 */
export const Worker: Context.Reference<Worker> = Context.Reference<Worker>("@socketserver/core/Worker", {
  defaultValue: () => ({ kind: "fiber" })
})

/**
 * The name of the current worker: `sequential`, or `fiber-<id>`.
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
  return Effect.succeed(worker.kind === "fiber" ? `fiber-${fiber.id}` : worker.kind)
})
