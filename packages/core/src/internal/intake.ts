import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Cause from "effect/Cause"
import * as Stream from "effect/Stream"
import type { ServerError } from "../ServerError.ts"
import { BatchQueue } from "./batchQueue.ts"
import type { ServerContext } from "./context.ts"
import type { Incoming } from "./incoming.ts"

/** From the event loop to whoever takes the requests: a policy, or a program that consumes them itself. */
export class Intake<In, Out> {
  private readonly context: ServerContext<In, Out>
  private readonly queue = new BatchQueue<Incoming<In, Out>, ServerError>()
  private arrived: Array<Incoming<In, Out>> = []
  private consumers = 0
  /** Of those that wait, how many nobody waits for any more. */
  private stale = 0
  /** The server stops: what nobody takes has nobody to wait for. */
  private stopping = false

  constructor(context: ServerContext<In, Out>) {
    this.context = context
  }

  /**
   * Requests have arrived. All that arrive in one turn of the event loop, on
   * whatever connections, reach the policy as one batch at its end: waking the
   * policy costs more than an echo (`pnpm bench`, "1 outstanding": 1.3 times
   * `node:net` with a wake for each, 1.0 times with one for all).
   */
  arrive(requests: Array<Incoming<In, Out>>): void {
    if (this.arrived.length > 0) {
      for (const incoming of requests) this.arrived.push(incoming)
      return
    }
    this.arrived = requests
    this.context.tick.soon(this.deliver)
  }

  private readonly deliver = (): void =>
    this.context.tick.run(() => {
      // Answers given at once make room for what their connections have over the pipelining limit.
      while (this.arrived.length > 0) {
        const batch = this.arrived
        this.arrived = []
        if (this.isDeserted || !this.queue.offer(batch)) this.drop(batch)
      }
    })

  /** A request that waits has been cancelled. They are let go of when they are many. */
  abandon(): void {
    if (++this.stale <= Math.max(1_024, this.queue.size / 2)) return
    this.stale = 0
    this.queue.retain((incoming) => incoming.settled === undefined)
  }

  /** All requests, in the batches in which they came. */
  readonly batches: Stream.Stream<Incoming<In, Out>, ServerError> = this.consume(() => this.queue.takeAll)

  /** All requests, one by one: what is not pulled is not taken. */
  readonly requests: Stream.Stream<Incoming<In, Out>, ServerError> = this.consume(() => this.queue.takeOne)

  /** The next request alone; ends with `Done` when the server has stopped. */
  get next(): BatchQueue<Incoming<In, Out>, ServerError>["takeOne"] {
    return this.queue.takeOne
  }

  private consume(
    pull: () => BatchQueue<Incoming<In, Out>, ServerError>["takeAll"]
  ): Stream.Stream<Incoming<In, Out>, ServerError> {
    const stream = Effect.sync(() => {
      this.consumers++
      return Stream.fromPull(Effect.succeed(pull()))
    })
    return Stream.unwrap(Effect.acquireRelease(stream, () => this.leaving))
  }

  /** Counts as a consumer while `use` runs: takes a request, and handles it. */
  consuming<A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const enter = Effect.sync(() => {
      this.consumers++
    })
    return Effect.acquireUseRelease(
      enter,
      () => use,
      () => this.leaving
    )
  }

  // Whoever takes one request after the other is back at once.
  private readonly leaving = Effect.sync(() => {
    this.consumers--
    this.context.afterTick(() => this.dropDeserted(), 2)
  })

  /** The server stops. What somebody takes is still taken; what nobody takes is dropped. */
  stop(): void {
    this.stopping = true
    this.dropDeserted()
  }

  /** Nothing will come any more. */
  end(exit: Exit.Exit<never, ServerError | Cause.Done> | undefined): void {
    this.queue.end(exit)
  }

  private get isDeserted(): boolean {
    return this.stopping && this.consumers === 0
  }

  private dropDeserted(): void {
    if (this.isDeserted) this.drop(this.queue.clear())
  }

  private drop(batch: Array<Incoming<In, Out>>): void {
    for (const incoming of batch) incoming.drop()
  }
}
