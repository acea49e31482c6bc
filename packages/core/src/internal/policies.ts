import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Stream from "effect/Stream"
import type { Drained, Policy, ConcurrencyOptions } from "../Policy.ts"
import type * as Request from "../Request.ts"
import { PolicyError } from "../ServerError.ts"
import { taking } from "./source.ts"
import { Lane, Queue, type Waiting } from "./lanes.ts"
import { Passing } from "./passing.ts"

/** The policies themselves, apart from their configuration, which loads `effect/Config`. */

export const sequential: Policy = {
  name: "sequential",
  worker: "sequential",
  onPeerGone: "cancel",
  drain: (requests, begin) =>
    taking(requests, ({ next }) => {
      for (let request = next(); request !== undefined; request = next()) {
        const fiber = begin(request)
        if (fiber.pollUnsafe() === undefined) return Effect.asVoid(Fiber.await(fiber))
      }
      return undefined
    }),
  place: Effect.succeed
}

export const defaultMax = 1_024

export const fiber = (options?: ConcurrencyOptions): Policy =>
  sized("fiber", options, (max) => ({
    worker: "fiber",
    onPeerGone: "cancel",
    drain: (requests, begin, server) =>
      Effect.suspend(() => {
        const slots = new Slots(max, server)
        const each = taking(requests, ({ next }) => {
          while (!slots.full) {
            const request = next()
            if (request === undefined) return undefined
            slots.hold(begin(request), request)
          }
          return slots.free
        })
        return Effect.andThen(each, slots.idle)
      }),
    place: Effect.succeed
  }))

export const connection = (options?: ConcurrencyOptions): Policy =>
  sized("connection", options, (max) => ({
    worker: "fiber",
    onPeerGone: "cancel",
    drain: (requests, begin, server) =>
      inLanes(requests, begin, max, server, false, (request) => request.connection.id),
    place: Effect.succeed
  }))

/** Begins what there is room for, and waits for nothing else. */
export const intoRoom: Policy["drain"] = (requests, begin, server) =>
  Effect.suspend(() => {
    const { room } = server
    const slots = new Slots(Number.MAX_SAFE_INTEGER, server)
    const each = taking(requests, ({ next }) => {
      while (room?.isFull() !== true) {
        const request = next()
        if (request === undefined) return undefined
        slots.hold(begin(request), request)
      }
      return room.free
    })
    return Effect.andThen(each, slots.idle)
  })

/** For what knows its connection, which `maxConnections` bounds: whoever is let in has a place. */
export const perConnection = (): Policy => ({ ...connection({ max: Number.MAX_SAFE_INTEGER }), name: "connection" })

export const keyed = (options?: ConcurrencyOptions): Policy =>
  sized("keyed", options, (max, name) => {
    const faults = new WeakMap<object, unknown>()
    return {
      worker: "fiber",
      onPeerGone: "cancel",
      drain: <A extends Request.Request<unknown>, E>(
        requests: Stream.Stream<A, E>,
        begin: (request: A) => Fiber.Fiber<unknown>,
        server: Drained<A>
      ) =>
        // What has no key waits for nobody, and dies where its handler would begin.
        inLanes(requests, begin, max, server, true, (request) => {
          // oxlint-disable-next-line socketserver/no-try -- the key function is user code, and what it throws must not end the policy
          try {
            return server.key === undefined ? request : server.key(request)
          } catch (error) {
            faults.set(request, error)
            return request
          }
        }),
      place: (served, { key, service }) =>
        key === undefined
          ? refused(
              name,
              `${service} declares no key to keep requests in order by; declare one: Server.Service<…>()("${service}", { protocol, key: (request) => … })`
            )
          : Effect.succeed({
              ...served,
              handler: (request) => (faults.has(request) ? Effect.die(faults.get(request)) : served.handler(request))
            })
    }
  })

/** A policy that cannot run a handler. */
export const refused = (policy: string, problem: string): Effect.Effect<never, PolicyError> =>
  Effect.fail(new PolicyError({ policy, problem }))

/** Where `max` cannot be used, the policy is one that cannot be placed. */
const sized = (
  kind: string,
  options: ConcurrencyOptions | undefined,
  make: (max: number, name: string) => Omit<Policy, "name">
): Policy => {
  const max = options?.max ?? defaultMax
  const name = max === defaultMax ? kind : `${kind}:${max}`
  const policy = { ...make(max, name), name }
  if (Number.isSafeInteger(max) && max >= 1) return policy
  return {
    ...policy,
    place: () => refused(name, `max must be a positive integer, not ${max}; leave it out for ${defaultMax}`)
  }
}

/** Requests with the same key one after the other. */
const inLanes = <A extends Request.Request<unknown>, E>(
  requests: Stream.Stream<A, E>,
  begin: (request: A) => Fiber.Fiber<unknown>,
  max: number,
  server: Drained<A>,
  /** Whether requests of several connections may have the same key. */
  shared: boolean,
  keyOf: (request: A) => unknown
): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    // The keys in work, with what waits behind each.
    const lanes = new Passing<unknown, Waiting<A>>()
    const slots = new Slots(
      max,
      server,
      shared ? (request: A) => lanes.get(keyOf(request))?.othersWait(request) === true : undefined
    )
    // Those that may begin, and wait for a place.
    const ready = new Passing<A, Waiting<A>>()
    const each = taking(requests, ({ back, next }) => {
      while (!slots.full) {
        const request = next()
        if (request === undefined) return undefined
        const lane = ready.get(request) ?? laneOf(request)
        if (lane === undefined) continue
        ready.delete(request)
        slots.hold(begin(request), request, () => {
          // The next of its key waits for its turn like any other.
          const following = lane.shift()
          if (following === undefined) lanes.delete(lane.key)
          else {
            ready.set(following, lane)
            back(following, shared)
          }
        })
      }
      return slots.free
    })
    /** The lane of a request that has come, unless it waits in it. */
    const laneOf = (request: A): Waiting<A> | undefined => {
      const key = keyOf(request)
      const lane = lanes.get(key)
      if (lane === undefined) {
        const own = shared ? new Lane<A>(key) : new Queue<A>(key)
        lanes.set(key, own)
        return own
      }
      lane.push(request)
      return undefined
    }
    return Effect.andThen(each, slots.idle)
  })

export const reference: Context.Reference<Policy | undefined> = Context.Reference<Policy | undefined>(
  "@socketserver/core/Policy",
  { defaultValue: () => undefined }
)

/** The places of handlers, up to a maximum. A reply that waits for its turn or for its reader has none. */
class Slots<A> {
  private readonly max: number
  private running = 0
  /** Those whose places were given to others before they ended. */
  private readonly parked = new Set<A>()
  private waiting: Array<() => void> = []

  /** `othersWait` says whether others wait for a request even if its place is free. */
  constructor(max: number, server: Drained<A>, othersWait?: (request: A) => boolean) {
    this.max = max
    server.onParked?.((request) => {
      if (!this.parked.has(request)) {
        this.parked.add(request)
        this.running--
        this.wake()
      }
      return othersWait === undefined ? undefined : () => othersWait(request)
    })
  }

  get full(): boolean {
    return this.running >= this.max
  }

  hold(fiber: Fiber.Fiber<unknown>, request: A, next?: () => void): void {
    // It may have been parked before it was held.
    this.running++
    if (fiber.pollUnsafe() !== undefined) return this.ended(request, next)
    fiber.addObserver(() => this.ended(request, next))
  }

  private ended(request: A, next: (() => void) | undefined): void {
    if (this.parked.size === 0 || !this.parked.delete(request)) this.running--
    next?.()
    this.wake()
  }

  private wake(): void {
    if (this.waiting.length === 0 || this.full) return
    const waiting = this.waiting
    this.waiting = []
    for (const wake of waiting) wake()
  }

  /** Waits for a free slot, and for those that become free in the same turn. */
  readonly free: Effect.Effect<void> = Effect.andThen(
    this.until(() => !this.full),
    Effect.yieldNow
  )
  readonly idle: Effect.Effect<void> = this.until(() => this.running === 0 && this.parked.size === 0)

  private until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const wake = () => (condition() ? resume(Exit.void) : void this.waiting.push(wake))
      wake()
    })
  }
}
