import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as Connection from "../Connection.ts"
import type * as Handler from "../Handler.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Request from "../Request.ts"
import * as Response from "../Response.ts"
import type { Conversation } from "./conversation.ts"

/** When something was received, shared by all requests that it completed. */
export interface Heard {
  readonly at: number
}

/**
 * A request on its way through the server: a link in its connection's list of
 * requests that are not settled, in the order in which they came.
 */
export class Incoming<In, Out> implements Request.Incoming<In, Out> {
  readonly id: number
  readonly body: In
  private readonly heard: Heard
  readonly conversation: Conversation<In, Out>
  previous: Incoming<In, Out> | undefined = undefined
  next: Incoming<In, Out> | undefined = undefined
  /** What will be answered when the requests before it have been. */
  response: Response.Response<Out> | undefined = undefined
  settled: Outcome.Outcome | undefined = undefined
  /** Its handler, while one runs. */
  fiber: Fiber.Fiber<Response.Response<Out>> | undefined = undefined
  begun = false
  /** Whether its handler runs on when the peer is gone. */
  finishes = false
  // Not initialised: few requests have them, and each field costs every request.
  declare private turn: (() => void) | undefined
  declare private observers: Array<(outcome: Outcome.Outcome) => void> | undefined

  constructor(id: number, body: In, heard: Heard, conversation: Conversation<In, Out>) {
    this.id = id
    this.body = body
    this.heard = heard
    this.conversation = conversation
  }

  get receivedAt(): number {
    return this.heard.at
  }

  get peer(): Peer.Peer {
    return this.conversation.peer
  }

  get connection(): Connection.Ref<Out> {
    return this.conversation
  }

  get outcome(): Effect.Effect<Outcome.Outcome> {
    return Effect.callback((resume) => {
      if (this.settled !== undefined) return resume(Effect.succeed(this.settled))
      ;(this.observers ??= []).push((outcome) => resume(Effect.succeed(outcome)))
    })
  }

  respond(response: Response.Response<Out>): Effect.Effect<Outcome.Outcome> {
    return this.handle(() => Effect.succeed(response))
  }

  handle<R>(handler: Handler.Handler<In, Out, R>): Effect.Effect<Outcome.Outcome, never, R> {
    return Effect.contextWith((context) => {
      const { engine } = this.conversation
      const fiber = engine.begin(this, handler as never, engine.handlerRunner(context), false)
      return Effect.onInterrupt(this.outcome, () => Effect.sync(() => fiber.interruptUnsafe()))
    })
  }

  settle(outcome: Outcome.Outcome): void {
    this.settled = outcome
    if (this.observers === undefined) return
    for (const observer of this.observers) observer(outcome)
  }

  /** Called when it becomes the first of its connection. */
  wake(): void {
    this.turn?.()
  }

  /** Makes the fiber known before the handler does anything, so that it can be interrupted or spared. */
  running(
    effect: Effect.Effect<Response.Response<Out>, never, unknown>
  ): Effect.Effect<Response.Response<Out>, never, unknown> {
    return Effect.withFiber((fiber) => {
      this.fiber = fiber as Fiber.Fiber<never>
      return effect
    })
  }

  /** Sends a stream in its turn, and leaves an empty response that ends it. */
  streamed(response: Response.Streamed<Out>): Effect.Effect<Response.Response<Out>> {
    const { outbox } = this.conversation
    const send = Stream.runForEachArray(response.value, (messages) =>
      Effect.suspend(() => {
        const from = (start: number): Effect.Effect<void> => {
          for (let i = start; i < messages.length; i++) {
            // Nobody hears the rest, and it may have no end.
            if (outbox.closed) return Effect.interrupt
            // Its own handler has closed the connection: what can no longer leave ends it, or it might never end.
            if (outbox.ending) {
              this.conversation.cancel(this, Outcome.cancelled("ConnectionClosed"))
              return Effect.interrupt
            }
            const problem = outbox.add(messages[i] as Out)
            if (problem !== undefined) return Effect.die(new Error(`The response cannot be encoded: ${problem}`))
            if (outbox.full) return Effect.flatMap(outbox.writable, () => from(i + 1))
          }
          return outbox.writable
        }
        return from(0)
      })
    )
    // How it ends may be known only at its end, where it comes from elsewhere.
    const end = () =>
      Response.withOutcome(
        response.close ? Response.andClose(Response.empty) : Response.empty,
        response.outcome as never
      )
    return Effect.map(Effect.andThen(this.waitTurn, send), end)
  }

  private get waitTurn(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.conversation.isTurnOf(this)) return resume(Effect.void)
      this.turn = () => resume(Effect.void)
    })
  }
}

/** The request whose handler the current fiber is in: the handler's own, or one that it has started. */
export const CurrentRequest = Context.Reference<object | undefined>("@socketserver/core/internal/CurrentRequest", {
  defaultValue: () => undefined
})
