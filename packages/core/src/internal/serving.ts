import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Handler from "../Handler.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Policy from "../Policy.ts"
import * as Remote from "../Remote.ts"
import type * as Request from "../Request.ts"
import * as Response from "../Response.ts"
import type * as Server from "../Server.ts"
import { AlreadyServed, PolicyError, PolicyFailed, ServerError } from "../ServerError.ts"
import { isSession, type Session } from "../Session.ts"
import * as Worker from "../Worker.ts"
import * as durations from "./duration.ts"
import { ending } from "./ending.ts"
import { engineFor, engineOf } from "./face.ts"
import type { Incoming } from "./incoming.ts"
import * as policies from "./policies.ts"
import { ofSession } from "./sessions.ts"

/** How a declared server is served: what its `serve`, `run` and `handleRequest` do. */

/** What a server is served with. */
export type Work<In, Out, R> = Handler.Handler<In, Out, R> | Session<In, Out, R>

/** Everything that can go wrong at the start, and then the loop that serves. It runs where nothing is interrupted, and `restore` waits. */
const prepare = <Self, In, Out, R>(
  tag: Server.Tag<Self, In, Out>,
  work: Work<In, Out, R>,
  options: Server.ServeOptions<In, Out> | undefined,
  restore: Restore
): Effect.Effect<Effect.Effect<never, ServerError>, ServerError | Policy.PolicyError, Self | R | Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* engineFor(tag)
    const { address } = yield* tag
    const { context, intake, stop } = engine
    // Before anything is placed: workers would be started for nothing.
    const claim = Effect.suspend(() =>
      engine.claim() ? Effect.void : Effect.fail(new ServerError({ reason: new AlreadyServed({ service: tag.key }) }))
    )
    yield* Effect.acquireRelease(claim, () => Effect.sync(() => engine.disclaim()))
    const host = yield* Remote.host
    const mine = host?.service === tag.key
    const policy = yield* policyOf(tag, isSession(work), options?.policy, mine ? host : undefined)
    const refused = Effect.mapError(
      ({ accepted, policy: name, problem }: PolicyError) =>
        // Copies are no policy of the server.
        new PolicyError({
          accepted,
          policy: name,
          problem,
          service: tag.key,
          variable: name === policy.name ? policy.variable : undefined
        })
    )
    if (host === undefined) yield* refused(together(policy, options?.shares))
    const placement = {
      service: tag.key,
      protocol: tag.protocol,
      key: tag.keyOf,
      address: String(address),
      shutdown: stop.shutdown,
      unreleased: (error: unknown) => stop.unreleased(error),
      // They may be changed while it runs.
      get startMillis() {
        return context.limits.startMillis
      },
      get placeMillis() {
        return context.limits.placeMillis
      }
    }
    const served: Policy.Served<In, Out, R> = isSession(work)
      ? ofSession(work as Session<In, Out, R>)
      : { handler: work as Handler.Handler<In, Out, R>, onConnect: undefined }
    const arrived = intake.consumers.expect()
    yield* Effect.addFinalizer(() => Effect.sync(arrived))
    const placed = yield* placing(refused(policy.place(served, placement)), context.run, stop.shutdown, restore)
    const handler = whenCrashed(placed.handler, options?.onWorkerCrashed) as Handler.Handler<In, Out, unknown>
    const worker = mine ? host.worker : inProcess(policy.worker, context)
    const run = context.handlerRunner(Context.add(yield* Effect.context<R>(), Worker.Worker, worker))
    const finishes = policy.onPeerGone === "finish"
    const begin = (request: Incoming<In, Out>) => request.begin(handler, run, finishes)
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        engine.serve({
          onConnect: placed.onConnect as never,
          onUndecodable: options?.onUndecodable,
          policy: policy.name,
          graceMillis: policy.graceMillis ?? 0,
          onTurnedAway: options?.onTurnedAway,
          run
        })
      ),
      (release) => Effect.sync(release)
    )
    return Effect.scoped(
      Effect.gen(function* () {
        const onParked: Policy.Drained<Incoming<In, Out>>["onParked"] = (listener) => {
          engine.onParked = listener
        }
        const drain = policy.drain(intake.requests, begin, { key: tag.keyOf, room: placed.room, onParked })
        const draining = yield* Effect.forkScoped(drain, { startImmediately: true })
        // Not before it takes requests: its fiber may yield first.
        const taking = Effect.raceFirst(intake.consumers.taken, Effect.exit(joined(draining)))
        yield* Effect.forkScoped(Effect.andThen(taking, Effect.sync(arrived)), { startImmediately: true })
        // A handler that cannot be interrupted holds the drain, but not the end of the stop.
        // A policy has no end of its own: where it ends, or dies, nobody takes what the server still receives.
        const drained = Effect.onExit(joined(draining), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit) && !Cause.hasDies(exit.cause)) return
            const cause = Exit.isFailure(exit) ? Cause.squash(exit.cause) : new Error("it takes no more requests")
            stop.fail(new PolicyFailed({ policy: policy.name, cause }))
          })
        )
        const ended = Effect.raceFirst(Effect.andThen(Effect.exit(drained), stop.ended), stop.ended)
        yield* Effect.onInterrupt(restore(ended), () => stop.shutdown)
        return yield* Effect.fail(stop.error)
      })
    )
  })

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Places what is served. Who is interrupted meanwhile, as by a signal while
 * workers start, stops the server: what it has received is answered all the
 * same, if it can be within the time that a stop has.
 */
const placing = <A, E, R>(
  place: Effect.Effect<A, E, R>,
  run: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>,
  shutdown: Effect.Effect<unknown>,
  restore: Restore
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkScoped(place, { startImmediately: true })
    yield* Effect.exit(restore(joined(fiber)))
    if (fiber.pollUnsafe() === undefined) {
      yield* Effect.callback<void>((resume) => {
        fiber.addObserver(() => resume(Effect.void))
        run(shutdown).addObserver(() => resume(Effect.void))
      })
    }
    const placed = fiber.pollUnsafe()
    return yield* placed ?? Effect.interrupt
  })

/** The policy that was chosen: in a worker by its parent, else for the call, for the server or for all servers. */
const policyOf = <Self, In, Out>(
  tag: Server.Tag<Self, In, Out>,
  knowsConnection: boolean,
  chosen: Policy.Policy | undefined,
  host: Remote.Host | undefined
): Effect.Effect<Policy.Policy, never, Self> =>
  Effect.gen(function* () {
    // Elsewhere in a worker's program nothing is served.
    if ((yield* Remote.host) !== undefined) return host?.policy ?? policies.sequential
    const configured = yield* tag.policy
    if (chosen !== undefined && configured !== undefined && !Remote.isSilent()) {
      // An operator who sets the variable would see nothing change.
      const { name, variable } = configured
      const by = variable === undefined ? "" : ` (${variable})`
      const text = `it is served under ${chosen.name}, the policy that its program names; the configured ${name}${by} has no effect`
      engineOf(yield* tag).context.log.say("Warn", "its policy", text)
    }
    return (
      chosen ??
      configured ??
      (yield* policies.reference) ??
      // What knows its connection is bounded by `maxConnections`, and its requests build on each other.
      (knowsConnection || tag.protocol.kind === "connection" ? policies.perConnection() : policies.fiber())
    )
  })

/** Fails where what handlers share would not be shared. */
const together = (policy: Policy.Policy, shared: string | undefined): Effect.Effect<void, PolicyError> => {
  const fails = (policy: string, each: string, mend: string) =>
    Effect.fail(new PolicyError({ policy, problem: `each ${each} would have ${shared} of its own; ${mend}` }))
  if (shared === undefined) return Effect.void
  if (policy.worker === "thread" || policy.worker === "process") {
    return fails(policy.name, "worker", "take a policy without workers, as fiber")
  }
  const copies = Remote.copies()
  return copies > 1 ? fails(`PREFORK=${copies}`, "copy", "leave PREFORK out") : Effect.void
}

/** Answers requests whose worker has crashed with what a program says about it. */
const whenCrashed = <In, Out, R>(
  handler: Handler.Handler<In, Out, R>,
  say: ((crash: Outcome.WorkerCrashed, request: Request.Request<In>) => Response.Response<Out>) | undefined
): Handler.Handler<In, Out, R> =>
  say === undefined
    ? handler
    : (request) => {
        const answered = (response: Response.Response<Out>): Response.Response<Out> => {
          const { outcome } = response
          return outcome?._tag !== "WorkerCrashed" ? response : Response.withOutcome(say(outcome, request), outcome)
        }
        const handled = handler(request)
        // An answer that is there at once needs no fiber here, either.
        return Exit.isExit(handled)
          ? Exit.map(handled as Exit.Exit<Response.Response<Out>>, answered)
          : Effect.map(handled, answered)
      }

/** The worker of handlers that run where their server does. */
const inProcess = (kind: Policy.Policy["worker"], context: { readonly requestsBegun: number }): Worker.Worker => ({
  kind,
  id: Remote.copyId(),
  get requests() {
    return context.requestsBegun
  }
})

const joined = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    const stop = fiber.addObserver(resume)
    return Effect.sync(stop)
  })

export const run = <Self, In, Out, R>(
  tag: Server.Tag<Self, In, Out>,
  work: Work<In, Out, R>,
  options: Server.ServeOptions<In, Out> | undefined
): Effect.Effect<never, ServerError | Policy.PolicyError, Self | R> =>
  Effect.scoped(Effect.uninterruptibleMask((restore) => Effect.flatten(prepare(tag, work, options, restore)))) as never

export const layer = <Self, In, Out, R>(
  tag: Server.Tag<Self, In, Out>,
  work: Work<In, Out, R>,
  options: Server.ServeOptions<In, Out> | undefined
): Layer.Layer<never, ServerError | Policy.PolicyError, Self | R> =>
  Layer.effectDiscard(
    Effect.flatMap(ending, (end) =>
      Effect.uninterruptibleMask(
        Effect.fnUntraced(function* (restore) {
          const loop = yield* prepare(tag, work, options, restore)
          let died: Exit.Failure<never, ServerError> | undefined
          // A layer that has been built has no error channel of its own: its scope's end carries the error.
          yield* Effect.addFinalizer(() => (died === undefined ? Effect.void : Effect.orDie(died)))
          const services = yield* Effect.context<never>()
          // Also where the program is interrupted as soon as this returns: then it answers what was received.
          const fiber = yield* Effect.forkScoped(loop, { startImmediately: true })
          fiber.addObserver((exit) => {
            if (exit._tag === "Success") return
            const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
            if (error === undefined || error.reason._tag === "ServerClosed") return
            died = exit
            Effect.runForkWith(services)(end(error))
          })
        })
      )
    )
  ) as Layer.Layer<never, ServerError | Policy.PolicyError, Self | R>

export const handleRequest = <Self, In, Out, R>(
  tag: Server.Tag<Self, In, Out>,
  handler: Handler.Handler<In, Out, R>,
  options: Server.HandleRequestOptions | undefined
): Effect.Effect<Option.Option<Outcome.Outcome>, ServerError, Self | R> =>
  Effect.gen(function* () {
    const millis =
      options?.timeout === undefined
        ? Infinity
        : yield* Effect.mapError(
            Effect.fromResult(durations.ofOption("timeout", options.timeout, { zero: true, forever: true })),
            (reason) => new ServerError({ reason })
          )
    const { intake, stop } = yield* engineFor(tag)
    const take = Effect.catchTag(intake.takeOne, "Done", () => Effect.fail(stop.error))
    const handleOne = Effect.gen(function* () {
      const taken = millis === Infinity ? Option.some(yield* take) : yield* Effect.timeoutOption(take, millis)
      if (Option.isNone(taken)) return Option.none()
      return Option.some(yield* taken.value[0].handle(handler))
    })
    return yield* intake.consumers.during(handleOne)
  })
