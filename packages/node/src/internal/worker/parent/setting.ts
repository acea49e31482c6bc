/** What surrounds the workers of a server: the server, how one more is started, and the time. */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Tick } from "../channel/tick.ts"
import type { Child } from "./child.ts"

export interface Setting {
  readonly service: string
  readonly shutdown: Effect.Effect<unknown>
  /** Is told what the state of a connection in a worker has died of as it was released. */
  readonly unreleased: (error: Error) => void
  /** Whether each connection has its state in one worker, which has all its calls. */
  readonly sticky: boolean
  /** Starts one more worker. */
  readonly start: () => Child
  readonly context: Context.Context<never>
  readonly tick: Tick
}
