import * as Effect from "effect/Effect"
import * as Outcome from "../Outcome.ts"
import type { ServerContext } from "./context.ts"
import type { Incoming } from "./incoming.ts"
import { Progress } from "./progress.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * What a handler takes that waits, in bytes: its fiber, and what that goes on with. Those that wait
 * for a peer have no place, so that nothing but what they take bounds how many there are.
 */
export const waitingCost = 4_096

/**
 * Bounds how long a connection that is one request waits for its handler to
 * begin: a peer that was accepted is greeted, or refused and told. Calls `refuse`
 * unless the returned function is called before.
 */
export const awaitPlace = (
  context: Pick<ServerContext<never, never>, "after" | "limits">,
  refuse: (refused: Outcome.Refused) => void
): (() => void) => {
  const { placeMillis } = context.limits
  return context.after(placeMillis, () =>
    refuse(Outcome.refused(`no handler was free within ${placeMillis} ms`, "PlaceTimeout"))
  )
}

/**
 * Waits for a turn or for a reader without keeping others waiting: a policy whose
 * handlers may overlap gives the place to another. Where the place is for one at a
 * time, and others wait for it, the reader is watched.
 */
export const waiting = <In, Out>(
  request: Incoming<In, Out>,
  reader: ServerConnection<In, Out> | undefined,
  wait: Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { context, holding, line } = request.on
    // A handler may also push to the connection of another.
    const isOwn = reader === undefined || reader === request.on
    if (isOwn) line.park()
    holding.waits(waitingCost)
    const othersWait = context.events.parked(request)
    const stop = reader === undefined || othersWait === undefined ? noop : watchReader(request, reader, othersWait)
    return Effect.ensuring(
      wait,
      Effect.sync(() => {
        stop()
        if (isOwn) line.unpark()
        holding.waits(-waitingCost)
      })
    )
  })

/**
 * Waits for what a peer says about a request: its place is another's meanwhile, as
 * above, and other requests of its connection go on.
 */
export const waitingForPeer = <In, Out, A, E, R>(
  request: Incoming<In, Out>,
  reader: ServerConnection<In, Out>,
  wait: Effect.Effect<A, E, R>,
  bytes = waitingCost
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const othersWait = reader.context.events.parked(request)
    reader.holding.awaits(bytes)
    const stop = othersWait === undefined ? noop : watchReader(request, reader, othersWait)
    request.awaitsPeer = true
    return Effect.ensuring(
      wait,
      Effect.sync(() => {
        request.awaitsPeer = false
        reader.holding.awaits(-bytes)
        stop()
      })
    )
  })

/**
 * Breaks a connection off whose peer keeps a place that others wait for: after the
 * place timeout without reading, and after six of them in all.
 */
const watchReader = <In, Out>(
  request: Incoming<In, Out>,
  reader: ServerConnection<In, Out>,
  othersWait: () => boolean
): (() => void) => {
  const { context } = reader
  const { placeMillis } = context.limits
  const progress = new Progress(reader.wire, placeMillis)
  let since = context.now()
  const held = () => {
    const now = context.now()
    if (othersWait()) request.heldMillis = (request.heldMillis ?? 0) + now - since
    since = now
    return request.heldMillis ?? 0
  }
  let stop = noop
  const watch = (): void => {
    const left = Math.min(progress.next, 6 * placeMillis - (request.heldMillis ?? 0))
    stop = context.after(Math.max(1, left), () => {
      // Whoever has read all there is may say something yet.
      const isStuck = progress.look() && reader.outbox.unsent > 0
      if (held() >= 6 * placeMillis || (isStuck && othersWait())) reader.breakOff()
      else watch()
    })
  }
  watch()
  return () => {
    stop()
    held()
  }
}

const noop = (): void => {}
