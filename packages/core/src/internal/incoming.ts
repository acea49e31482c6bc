import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Connection from "../Connection.ts"
import type * as Handler from "../Handler.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Request from "../Request.ts"
import type * as Response from "../Response.ts"
import type { Payload } from "../Protocol.ts"
import { kindOf } from "./errors.ts"
import { never } from "./deadlines.ts"
import { failed, responseOf } from "./endings.ts"
import { factsOf, nameOf } from "./ledger.ts"
import type { Controls } from "./controls.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { Streaming } from "./streaming.ts"
import type { Framed } from "./writing.ts"
import type { Runner } from "./context.ts"

/** When something was received, shared by all requests that it completed. */
export class Heard {
  /** By the server's own clock. */
  readonly at: number
  /** The size of the chunk, which is kept until all of these requests are settled. */
  bytes = 0
  /** What was made of it takes so much beside. */
  cost = 0
  /** By the wall clock, once somebody has asked. */
  private date: number | undefined = undefined

  constructor(at: number) {
    this.at = at
  }

  dateBy(context: { readonly now: () => number; readonly date: () => number }): number {
    return (this.date ??= context.date() - (context.now() - this.at))
  }
}

/**
 * A request on its way through the server: a link in its connection's list of
 * requests that are not settled, in the order in which they came.
 */
export class Incoming<In, Out> implements Request.Incoming<In, Out> {
  readonly id: number
  readonly body: In
  readonly heard: Heard
  readonly on: ServerConnection<In, Out>
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
  declare private undecoded: Payload | undefined
  /** How long others have waited for its place while its peer did not read. */
  declare heldMillis: number | undefined
  /** Where it waits until others with its key have ended: told when it has its outcome before. */
  declare waitsIn: { left(): void } | undefined
  /** Whether its handler waits for what its peer says about it. */
  declare awaitsPeer: boolean | undefined
  /** Its response, where that is a stream. */
  declare streaming: Streaming<In, Out> | undefined
  /** Whether a line is logged of it, however it ends. */
  declare told: Told | undefined
  /** Its handler's fiber; none where an observer of it has thrown as it ended at once. */
  private run(
    effect: Effect.Effect<Response.Response<Out>, never, unknown>,
    run: Runner
  ): Fiber.Fiber<Response.Response<Out>> | undefined {
    const { resuming } = this.on.context
    const before = resuming.enter(this.on)
    // oxlint-disable-next-line socketserver/no-try -- it would end the policy that all requests are under
    try {
      return run(this.running(effect), this)
    } catch (error) {
      this.on.replies.ended(this, Exit.die(error))
      return undefined
    } finally {
      resuming.leave(before)
    }
  }

  /** The control messages that concern it, and what is said to those that came after it. */
  declare controls: Controls<unknown> | undefined
  declare answers: Array<Framed> | undefined
  declare private observers: Set<(outcome: Outcome.Outcome) => void> | undefined

  constructor(id: number, body: In, payload: Payload | undefined, heard: Heard, on: ServerConnection<In, Out>) {
    this.id = id
    this.body = body
    this.heard = heard
    this.on = on
    if (payload !== body) this.undecoded = payload
  }

  /** As it was received, where it is a message. */
  get payload(): Payload {
    return this.undecoded ?? (this.body as Payload & In)
  }

  get receivedAt(): number {
    return this.heard.dateBy(this.on.context)
  }

  get peer(): Peer.Peer {
    return this.on.peer
  }

  get connection(): Connection.Ref<Out> {
    return this.on.ref
  }

  /** Calls back with its outcome, at once where it has one. */
  observe(observer: (outcome: Outcome.Outcome) => void): void {
    if (this.settled !== undefined) return observer(this.settled)
    ;(this.observers ??= new Set()).add(observer)
  }

  get outcome(): Effect.Effect<Outcome.Outcome> {
    return Effect.callback((resume) => {
      const observer = (outcome: Outcome.Outcome) => resume(Effect.succeed(outcome))
      this.observe(observer)
      return Effect.sync(() => this.observers?.delete(observer))
    })
  }

  respond(response: Response.Response<Out>): Effect.Effect<Outcome.Outcome> {
    return this.handle(() => Effect.succeed(response))
  }

  handle<R>(handler: Handler.Handler<In, Out, R>): Effect.Effect<Outcome.Outcome, never, R> {
    return Effect.contextWith((services) => {
      const fiber = this.begin(handler as never, this.on.context.handlerRunner(services), false)
      return Effect.onInterrupt(this.outcome, () => Effect.sync(() => fiber.interruptUnsafe()))
    })
  }

  /**
   * Starts its handler, and returns the handler's fiber. An answer that is there
   * at once needs none, and has been given on return.
   */
  begin(handler: Handler.Handler<In, Out, unknown>, run: Runner, finishes: boolean): Fiber.Fiber<unknown> {
    if (this.begun || this.settled !== undefined) return done
    this.begun = true
    const { on } = this
    on.context.requestsBegun++
    this.finishes = finishes
    let effect: Effect.Effect<Response.Response<Out>, never, unknown>
    // oxlint-disable-next-line socketserver/no-try -- a handler may throw before it returns its effect: a defect like any other
    try {
      effect = handler(this)
    } catch (error) {
      on.replies.conclude(this, failed(Cause.die(error)))
      return done
    }
    if (isExit(effect)) {
      const response = responseOf(effect)
      if (response._tag !== "Streamed") {
        on.replies.conclude(this, response)
        return done
      }
      effect = this.streamed(response)
    } else {
      effect = Effect.flatMap(anEffect(effect), (response) =>
        response?._tag === "Streamed" ? this.streamed(response) : Exit.succeed(response)
      )
    }
    on.started()
    // What came before it may be more than it may hold.
    if (this.settled !== undefined) {
      on.replies.ended(this, interrupted)
      return done
    }
    const fiber = this.run(effect, run)
    if (fiber === undefined) return done
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      on.replies.ended(this, exit)
      return done
    }
    fiber.addObserver((exit) => on.replies.ended(this, exit))
    return fiber
  }

  /** The control messages that concern it, where its protocol has any. */
  get controlled(): Controls<unknown> | undefined {
    return this.controls ?? this.on.controlled(this)
  }

  settle(outcome: Outcome.Outcome): void {
    this.settled = outcome
    this.waitsIn?.left()
    if (this.observers === undefined) return
    const { troubles } = this.on.context
    for (const observer of this.observers) {
      troubles.attempt("what observes requests", () => observer(outcome))
    }
  }

  /** Since when it waits for a handler, or its stream for the next element: not for others, nor for the peer. */
  get waitsSince(): number {
    return this.settled !== undefined || this.response !== undefined
      ? never
      : (this.streaming?.askedAt ?? this.heard.at)
  }

  /** Makes the fiber known before the handler does anything, so that it can be interrupted or spared. */
  private running(
    effect: Effect.Effect<Response.Response<Out>, never, unknown>
  ): Effect.Effect<Response.Response<Out>, never, unknown> {
    return Effect.withFiber((fiber) => {
      this.fiber = fiber as Fiber.Fiber<never>
      // Asked for now, it is that of its connection also where nothing asks whether it has to yield.
      void fiber.currentDispatcher
      return effect
    })
  }

  /** Sends a stream in its place, and leaves an empty response that ends it. */
  private streamed(response: Response.Streamed<Out>): Effect.Effect<Response.Response<Out>> {
    this.streaming = new Streaming(this, this.on)
    return this.streaming.send(response, leaving.get(this))
  }
}

/** As `Exit.isExit`, which all of a program shares: asked here alone it takes a tenth of the time. */
const isExit = <A, R>(effect: Effect.Effect<A, never, R> | undefined): effect is Exit.Exit<A> =>
  (effect as Partial<Exit.Exit<A>> | undefined)?.["~effect/Exit"] !== undefined

/** Where types are not looked at, an async function, or one without a return, is a handler. In `begin` it would cost 96 bytes. */
const anEffect = <A, R>(given: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> =>
  Effect.isEffect(given) ? given : Effect.die(noEffect(given))

const noEffect = (given: unknown): TypeError =>
  new TypeError(
    given instanceof Promise
      ? "The handler returned a Promise; wrap what makes it in Effect.promise"
      : `The handler returned ${kindOf(given)} and no Effect; return Effect.succeed(Response.make(…))`
  )

/** What lets go of a stream that never starts, for those requests whose responses come from elsewhere. */
export const leaving = new WeakMap<object, () => void>()

const done: Fiber.Fiber<unknown> = Effect.runFork(Effect.void)
const interrupted = Exit.interrupt()

/** What a middleware has found out of a request that is logged when it has its outcome. */
export interface Told {
  readonly level: "Debug" | "Info"
  /** As its handler sees it: in a worker with the number that it has in its server. */
  readonly request: Request.Request<unknown>
  /** How long its handler takes, or has taken, in milliseconds. */
  took: () => number
  /** What was answered. */
  response: string | undefined
}

/** Logs what has gone wrong with a request, as its server's, where it is one of a server. */
export const complain = (request: object | undefined, what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  request instanceof Incoming
    ? Effect.sync(() => {
        const { on } = request
        on.context.log.say(
          "Error",
          "checks that failed",
          `${what} ${nameOf(on, request)} failed`,
          factsOf(on, request),
          cause
        )
      })
    : Effect.logError(`${what} a request failed`, cause)

/** Has a request logged, where it is one of a server. */
export const tell = (request: object | undefined, told: Told): void => {
  if (request instanceof Incoming) request.told = told
}

/** Calls back when a request has its outcome; says whether it is one of a server. */
export const onOutcome = (request: object | undefined, observer: (outcome: Outcome.Outcome) => void): boolean => {
  if (!(request instanceof Incoming)) return false
  request.observe(observer)
  return true
}

/** The request whose handler the current fiber is in: the handler's own, or one that it has started. */
export const CurrentRequest = Context.Reference<object | undefined>("@socketserver/core/internal/CurrentRequest", {
  defaultValue: () => undefined
})
