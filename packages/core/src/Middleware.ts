/**
 * Functions from handler to handler: what happens around every request, such as a
 * timeout, a check or a log.
 *
 * A middleware of your own is a function `(handler) => (request) => …`. The ones
 * here also take a `Session`, and wrap the handler that each connection gets;
 * `Session.mapHandler` does the same with yours.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import type * as Tracer from "effect/Tracer"
import type * as Handler from "./Handler.ts"
import * as durations from "./internal/duration.ts"
import { elapsed } from "./internal/elapsed.ts"
import { complain, CurrentRequest, tell, type Told } from "./internal/incoming.ts"
import { peerKeyOf } from "./internal/peerKey.ts"
import * as tracing from "./internal/tracing.ts"
import * as Outcome from "./Outcome.ts"
import * as RateLimit from "./RateLimit.ts"
import type * as Request from "./Request.ts"
import * as Response from "./Response.ts"
import * as Session from "./Session.ts"
import type * as Settings from "./Settings.ts"

/**
 * A function from handler to handler that may need services of its own.
 *
 * @category models
 * @since 0.1.0
 */
export type Middleware<In, Out, R2 = never> = <R>(
  handler: Handler.Handler<In, Out, R>
) => Handler.Handler<In, Out, R | R2>

/**
 * The options of {@link timeout}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeoutOptions<In, Out> {
  /** What is answered instead. Default: nothing, and the connection closes. */
  readonly onTimeout?: ((request: Request.Request<In>) => Response.Response<Out>) | undefined
}

/**
 * Interrupts a handler that takes too long. The request ends as `TimedOut`.
 *
 * **Details**
 *
 * The time counts from when the handler begins, not from when the request was
 * received. A stream that the handler has returned is not timed.
 *
 * **Gotchas**
 *
 * A time that is none (0, negative) would interrupt every handler that does not
 * answer at once: it throws an `InvalidOption` where it is written.
 *
 * **Example** (Answering a timeout)
 *
 * ```ts
 * import { Middleware, Response, type Request } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const slow = (_: Request.Request<string, string>) => Effect.delay(Effect.succeed(Response.make("done")), "1 hour")
 *
 * const handler = Middleware.timeout(slow, "5 seconds", { onTimeout: () => Response.make("ERR timeout") })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout: {
  <In, Out>(
    duration: Settings.Time,
    options?: TimeoutOptions<In, Out>
  ): <R>(self: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R>
  <In, Out, R>(
    self: Handler.Handler<In, Out, R>,
    duration: Settings.Time,
    options?: TimeoutOptions<In, Out>
  ): Handler.Handler<In, Out, R>
  <In, Out, R>(
    self: Session.Session<In, Out, R>,
    duration: Settings.Time,
    options?: TimeoutOptions<In, Out>
  ): Session.Session<In, Out, R>
} = dual(
  (args) => isWork(args[0]),
  <In, Out, R>(self: Work<In, Out, R>, duration: Settings.Time, options?: TimeoutOptions<In, Out>) => {
    const millis = durations.orThrow("timeout", duration, { forever: true })
    const outcome = Outcome.timedOut(millis)
    return over<In, Out, R, R>(self, (handler) => (request) => {
      const effect = handler(request)
      // An answer that is there already needs no clock.
      return Exit.isExit(effect)
        ? effect
        : Effect.timeoutOrElse(effect, {
            duration: millis,
            orElse: () =>
              Effect.sync(() =>
                Response.withOutcome(options?.onTimeout?.(request) ?? Response.andClose(Response.empty), outcome)
              )
          })
    })
  }
)

/**
 * The options of {@link filter}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FilterOptions<In, Out> {
  /** What the ledger says. Default: `"not verified"`. */
  readonly reason?: string | undefined
  /** What is answered instead. Default: nothing, and the connection closes. */
  readonly onRefused?: ((request: Request.Request<In>) => Response.Response<Out>) | undefined
}

/**
 * Lets only those requests through that pass a check. Others end as `Refused`,
 * and no handler sees them.
 *
 * **Details**
 *
 * The counterpart of `verify_request`, when it is known what is asked. Whether a
 * peer may come in at all is for the option `verify` of its transport. A check that dies refuses that request,
 * with the error in the log, and nothing more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const filter: {
  <In, Out, R2 = never>(
    check: (request: Request.Request<In>) => Effect.Effect<boolean, never, R2>,
    options?: FilterOptions<In, Out>
  ): <R>(self: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R | R2>
  <In, Out, R, R2 = never>(
    self: Handler.Handler<In, Out, R>,
    check: (request: Request.Request<In>) => Effect.Effect<boolean, never, R2>,
    options?: FilterOptions<In, Out>
  ): Handler.Handler<In, Out, R | R2>
  <In, Out, R, R2 = never>(
    self: Session.Session<In, Out, R>,
    check: (request: Request.Request<In>) => Effect.Effect<boolean, never, R2>,
    options?: FilterOptions<In, Out>
  ): Session.Session<In, Out, R | R2>
} = dual(
  (args) => typeof args[1] === "function",
  <In, Out, R, R2>(
    self: Work<In, Out, R>,
    check: (request: Request.Request<In>) => Effect.Effect<boolean, never, R2>,
    options?: FilterOptions<In, Out>
  ) => {
    const outcome = Outcome.refused(options?.reason ?? "not verified")
    const checked = (request: Request.Request<In>) =>
      Effect.catchDefect(
        Effect.suspend(() => check(request)),
        (defect) =>
          Effect.withFiber((fiber) =>
            Effect.as(complain(fiber.getRef(CurrentRequest), "the check of", Cause.die(defect)), false)
          )
      )
    return over<In, Out, R, R | R2>(
      self,
      (handler) => (request) =>
        Effect.flatMap(checked(request), (passed) =>
          passed
            ? handler(request)
            : Effect.sync(() =>
                Response.withOutcome(options?.onRefused?.(request) ?? Response.andClose(Response.empty), outcome)
              )
        )
    )
  }
)

/**
 * The options of {@link rateLimit}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimitOptions<In, Out> extends RateLimit.Rate {
  /** Whose requests are bounded together. Default: those of each peer, as for `maxConnectionsPerPeer`: an IPv4 address, or a network of 64 bits of IPv6. */
  readonly key?: ((request: Request.Request<In>) => string) | undefined
  /** Who keeps count, where others have to as well: as `RateLimit` of `@socketserver/effect` does in Redis. Default: buckets in this program's memory. */
  readonly by?: RateLimit.RateLimit | undefined
  /** What is answered to one that is refused; `millis` is when the next may come. Default: nothing, and the connection closes. */
  readonly onLimited?: ((request: Request.Request<In>, millis: number) => Response.Response<Out>) | undefined
}

/**
 * Bounds how many requests there may be in a time, for each peer or for each key.
 * More end as `Refused`, with the kind `RateLimit`, and no handler sees them; with `maxDelay`
 * one waits first, if not for too long.
 *
 * **Gotchas**
 *
 * A request that is delayed has begun: it keeps its place of the policy. Under a
 * policy of workers each of them counts for itself, as each copy of a program does.
 *
 * **Example** (A hundred requests a second for each peer)
 *
 * ```ts
 * import { Middleware, Response, type Request } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const echo = (request: Request.Request<string, string>) => Effect.succeed(Response.make(request.body))
 *
 * const handler = Middleware.rateLimit(echo, { limit: 100, onLimited: () => Response.make("ERR slow down") })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const rateLimit: {
  <In, Out>(options: RateLimitOptions<In, Out>): <R>(self: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R>
  <In, Out, R>(self: Handler.Handler<In, Out, R>, options: RateLimitOptions<In, Out>): Handler.Handler<In, Out, R>
  <In, Out, R>(self: Session.Session<In, Out, R>, options: RateLimitOptions<In, Out>): Session.Session<In, Out, R>
} = dual(2, <In, Out, R>(self: Work<In, Out, R>, options: RateLimitOptions<In, Out>) => {
  // One for all connections, also where it wraps the handlers of a session.
  const { refused, take } = options.by ?? RateLimit.make(options)
  const keyOf = options.key ?? (({ peer }: Request.Request<In>) => peerKeyOf(peer))
  return over<In, Out, R, R>(
    self,
    (handler) => (request) =>
      Effect.flatMap(take(keyOf(request)), (millis) => {
        if (millis === 0) return handler(request)
        if (millis > 0) return Effect.flatMap(Effect.sleep(millis), () => handler(request))
        const answer = options.onLimited?.(request, Math.ceil(-millis)) ?? Response.andClose(Response.empty)
        return Effect.succeed(Response.withOutcome(answer, refused))
      })
  )
})

/**
 * The options of {@link logging}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoggingOptions {
  /** The level of the lines. Default: `"Info"`. A request that failed is logged as `Error`, as it is without this. */
  readonly level?: "Debug" | "Info" | undefined
}

/**
 * Logs each request once, when it has its outcome: with its peer, what became of it
 * and how long its handler took. Bodies are not logged: they may hold secrets.
 *
 * **Details**
 *
 * What an outcome would be logged as otherwise is not logged besides. Under workers
 * the line is the worker's, but for a request that failed, which is its server's.
 * A line that tells of a defect is bounded in number, as all that peers can cause;
 * the others are as many as there are requests.
 *
 * @category combinators
 * @since 0.1.0
 */
export const logging: {
  (options?: LoggingOptions): <In, Out, R>(self: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R>
  <In, Out, R>(self: Handler.Handler<In, Out, R>, options?: LoggingOptions): Handler.Handler<In, Out, R>
  <In, Out, R>(self: Session.Session<In, Out, R>, options?: LoggingOptions): Session.Session<In, Out, R>
} = dual(
  (args) => isWork(args[0]),
  <In, Out, R>(self: Work<In, Out, R>, options?: LoggingOptions) => {
    const level = options?.level ?? "Info"
    return over<In, Out, R, R>(
      self,
      (handler) => (request) =>
        Effect.withFiber((fiber) => {
          const clock = fiber.getRef(Clock.Clock)
          const start = elapsed(clock)
          // Its server writes the line, which alone knows how it ends.
          const told: Told = { level, request, took: () => elapsed(clock) - start, response: undefined }
          tell(fiber.getRef(CurrentRequest), told)
          return Effect.onExit(
            Effect.suspend(() => handler(request)),
            (exit) => {
              const millis = told.took()
              told.took = () => millis
              if (Exit.isSuccess(exit)) told.response = exit.value._tag
              return Effect.void
            }
          )
        })
    )
  }
)

/**
 * The options of {@link traced}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TracedOptions<In> {
  /** The name of the span, the same for what is the same kind of request: the command, never what it is about. Default: that of the server. */
  readonly name?: string | ((request: Request.Request<In>) => string) | undefined
  /** The span that the peer has asked in: as `traceparent` has it (W3C Trace Context), or as a span. What is no `traceparent` names none. Default: none. */
  readonly parent?: ((request: Request.Request<In>) => string | Tracer.AnySpan | undefined) | undefined
  /** More attributes. Default: none. */
  readonly attributes?: ((request: Request.Request<In>) => Readonly<Record<string, unknown>>) | undefined
}

/**
 * Makes a span of each request, of kind `server`, for whatever tracer the program
 * has: Effect's OTLP exporter, DevTools. It begins when the handler does, is the
 * parent of all spans of the handler, and ends when the request has its outcome,
 * so that it lasts until the answer was handed to its connection.
 *
 * **Details**
 *
 * Its attributes are those of OpenTelemetry (`network.transport`, `network.peer.address`,
 * `network.peer.port`, `server.address`, `server.port`), and
 * `socketserver.outcome`, `socketserver.connection.id` and `socketserver.request.id`.
 * With `Completed` it ends well; with `Cancelled` and `Drained` as interrupted; with
 * any other outcome as an error, whose tag is `error.type`.
 *
 * **Gotchas**
 *
 * Under a policy of workers the span is the worker's: it ends with what the worker
 * knows, and is lost with a worker that crashes. Tracers are layers, which each
 * worker builds. A `traceparent` is what a stranger says: whoever can reach the
 * server can join any trace, and have it recorded.
 *
 * **Example** (A span whose parent the peer names)
 *
 * ```ts
 * import { Middleware, Response, type Request } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * interface Call {
 *   readonly method: string
 *   readonly traceparent?: string
 * }
 *
 * const answer = (request: Request.Request<Call, string>) => Effect.succeed(Response.make(request.body.method))
 *
 * const handler = Middleware.traced(answer, {
 *   name: ({ body }) => body.method,
 *   parent: ({ body }) => body.traceparent
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const traced: {
  <In>(options?: TracedOptions<In>): <Out, R>(self: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R>
  <In, Out, R>(self: Handler.Handler<In, Out, R>, options?: TracedOptions<In>): Handler.Handler<In, Out, R>
  <In, Out, R>(self: Session.Session<In, Out, R>, options?: TracedOptions<In>): Session.Session<In, Out, R>
} = dual(
  (args) => isWork(args[0]),
  <In, Out, R>(self: Work<In, Out, R>, options?: TracedOptions<In>) =>
    over<In, Out, R, R>(self, (handler) => tracing.traced(handler, options))
)

type Work<In, Out, R> = Handler.Handler<In, Out, R> | Session.Session<In, Out, R>

const isWork = (u: unknown): boolean => typeof u === "function" || Session.isSession(u)

/** Wraps a handler, or those of a session. */
const over = <In, Out, R, R2>(
  self: Work<In, Out, R>,
  f: (handler: Handler.Handler<In, Out, R>) => Handler.Handler<In, Out, R2>
): never =>
  (Session.isSession(self)
    ? Session.mapHandler(self as Session.Session<In, Out, R>, f)
    : f(self as Handler.Handler<In, Out, R>)) as never
