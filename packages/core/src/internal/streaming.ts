import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Outcome from "../Outcome.ts"
import * as Response from "../Response.ts"
import { never } from "./deadlines.ts"
import type { Incoming } from "./incoming.ts"
import { waiting } from "./place.ts"
import type { ServerConnection } from "./serverConnection.ts"

/** The response of a request that is a stream: it waits for its turn, and is sent as fast as its peer reads. */
export class Streaming<In, Out> {
  private readonly request: Incoming<In, Out>
  private readonly on: ServerConnection<In, Out>
  /** Since when it is asked for its next element, where that is timed. */
  askedAt: number | undefined = undefined
  /** Lets it go on that waits for its turn. */
  private place: (() => void) | undefined = undefined

  constructor(request: Incoming<In, Out>, on: ServerConnection<In, Out>) {
    this.request = request
    this.on = on
  }

  /** Whether it waits for those before it. */
  get isHeld(): boolean {
    return this.place !== undefined && !this.on.replies.isNext(this.request)
  }

  /** Its request has become the first of its connection. */
  wake(): void {
    this.place?.()
  }

  /** Sends it in its place, and leaves an empty response that ends it. `leave` lets go of what never starts. */
  send(response: Response.Streamed<Out>, leave: (() => void) | undefined): Effect.Effect<Response.Response<Out>> {
    const { context, outbox } = this.on
    const timed = context.limits.requestMillis < Infinity
    if (timed) this.askedAt = never
    const send = Stream.runForEachArray(response.value, (messages) =>
      Effect.suspend(() => {
        if (timed) this.askedAt = never
        const from = (start: number): Effect.Effect<void> => {
          for (let i = start; i < messages.length; i++) {
            // Nobody hears the rest, and it may have no end.
            if (outbox.isClosed) return Effect.interrupt
            // Its own handler has closed the connection: what can no longer leave ends it, or it might never end.
            if (outbox.isEnding) {
              this.on.line.cancel(this.request, Outcome.cancelled("ConnectionClosed"))
              return Effect.interrupt
            }
            const problem = outbox.add(messages[i] as Out)
            if (problem !== undefined) return Effect.die(new Error(`The response cannot be encoded: ${problem}`))
            if (outbox.full) return Effect.flatMap(this.room, () => from(i + 1))
          }
          return this.room
        }
        return timed ? Effect.andThen(from(0), this.asks) : from(0)
      })
    )
    // How it ends may be known only at its end, where it comes from elsewhere.
    const end = (): Response.Response<never> => {
      const last = response.close ? Response.andClose(Response.empty) : Response.empty
      return response.outcome === undefined ? last : Response.withOutcome(last, response.outcome)
    }
    const turn = timed ? Effect.andThen(this.turn, this.asks) : this.turn
    const place = leave === undefined ? turn : Effect.onInterrupt(turn, () => Effect.sync(leave))
    return Effect.map(Effect.andThen(place, send), end)
  }

  /** The next element is asked for. */
  private get asks(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.askedAt = this.on.context.now()
      this.on.timeouts.asked(this.askedAt)
    })
  }

  /** Waits until all requests before its own have ended. */
  private get turn(): Effect.Effect<void> {
    const waits: Effect.Effect<void> = Effect.callback((resume) => {
      if (this.on.replies.isNext(this.request)) return resume(Effect.void)
      this.place = () => resume(Effect.void)
    })
    return Effect.suspend(() =>
      this.on.replies.isNext(this.request) ? Effect.void : waiting(this.request, undefined, waits)
    )
  }

  /** Waits until its peer keeps up. */
  private get room(): Effect.Effect<void> {
    return this.on.outbox.room((wait) => waiting(this.request, this.on, wait))
  }
}
