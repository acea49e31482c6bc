import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Requests as the library's policies take them: one by one, and without a fiber's step for each. */
export interface Source<A, E> {
  /** The next whose turn it is: none if none waits, or if this turn of the event loop has had its share. */
  readonly next: () => A | undefined
  /** Waits until there may be one. */
  readonly more: Effect.Effect<void, E | Cause.Done>
  /** One that was taken and could not begin waits on, before the others of its connection. Where it is shared, others wait for what it waits for. */
  readonly back: (request: A, isShared: boolean) => void
}

/** A stream of requests that can be taken as from a {@link Source}. */
export const streamed = <A, E>(
  stream: Stream.Stream<A, E>,
  source: Effect.Effect<Source<A, E>, never, Scope.Scope>
): Stream.Stream<A, E> => {
  sources.set(stream, source)
  return stream
}

const sources = new WeakMap<object, Effect.Effect<unknown, never, Scope.Scope>>()

/**
 * Takes requests until none will come. `take` takes what it can, and returns what
 * it waits for if that was no lack of requests.
 */
export const taking = <A, E>(
  requests: Stream.Stream<A, E>,
  take: (source: Source<A, E>) => Effect.Effect<void> | undefined
): Effect.Effect<void, E> =>
  Effect.scoped(
    Effect.flatMap(sourceOf(requests), (source) => {
      const loop: Effect.Effect<void, E | Cause.Done> = Effect.suspend(() =>
        Effect.flatMap(take(source) ?? source.more, () => loop)
      )
      return Pull.catchDone(loop, () => Effect.void)
    })
  )

const sourceOf = <A, E>(requests: Stream.Stream<A, E>): Effect.Effect<Source<A, E>, never, Scope.Scope> =>
  (sources.get(requests) as Effect.Effect<Source<A, E>, never, Scope.Scope> | undefined) ?? pulled(requests)

/** What a policy takes whose stream of requests is none of ours. */
const pulled = <A, E>(requests: Stream.Stream<A, E>): Effect.Effect<Source<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(requests)
    const scope = yield* Effect.scope
    const taken: Array<A> = []
    let pulling = false
    let ended: Exit.Exit<never, E | Cause.Done> | undefined
    let wake = (_exit: Exit.Exit<void, E | Cause.Done>): void => {}
    const start = Effect.map(Effect.forkIn(pull, scope, { startImmediately: true }), (fiber) =>
      fiber.addObserver((exit) => {
        pulling = false
        if (Exit.isSuccess(exit)) taken.push(...exit.value)
        else ended = exit as Exit.Failure<never, E | Cause.Done>
        wake(ended ?? Exit.void)
      })
    )
    const changed = Effect.callback<void, E | Cause.Done>((resume) => {
      if (taken.length > 0) return resume(Effect.void)
      if (ended !== undefined) return resume(ended)
      wake = resume
    })
    return {
      next: () => taken.shift(),
      back: (request) => {
        taken.unshift(request)
        wake(Exit.void)
      },
      more: Effect.suspend(() => {
        if (pulling || taken.length > 0 || ended !== undefined) return changed
        pulling = true
        return Effect.andThen(start, changed)
      })
    }
  })
