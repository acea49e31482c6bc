/**
 * For authors of tests: workers of a `Simulation`, under the real pool. Only their
 * programs and their pipes are not real, so that the same seed starts, crashes and
 * hangs them again, in virtual time.
 *
 * @since 0.1.0
 */
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import type * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import type * as Handler from "@socketserver/core/Handler"
import type * as Server from "@socketserver/core/Server"
import { PolicyError } from "@socketserver/core/ServerError"
import * as Simulation from "@socketserver/core/Simulation"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Tick } from "./internal/worker/channel/tick.ts"
import type { PoolOptions } from "./internal/worker/parent/options.ts"
import { placeOn } from "./internal/worker/parent/place.ts"
import { startSimulated } from "./internal/worker/simulated.ts"

/**
 * Workers, and what may go wrong with them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many there are. */
  readonly size: number
  /** How long one takes to start at most, in milliseconds. Default: 0. */
  readonly start?: number | undefined
  /** How long what is sent to or from one travels at most, in milliseconds. Default: 0. */
  readonly channel?: number | undefined
  /** How probably one is killed within half a second of its start. Default: 0. */
  readonly crashes?: number | undefined
  /** How probably one neither reads nor writes for a while, as where a handler computes. Default: 0. */
  readonly hangs?: number | undefined
  /** What may be on its way for one request before its worker waits, in bytes: of several, the seed takes one for each run. Default: 64 KiB, as elsewhere. */
  readonly window?: number | ReadonlyArray<number> | undefined
}

/**
 * A declared server, as `Server.Service` makes one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared<in out Self, in out In, in out Out> extends Server.Tag<Self, In, Out> {
  readonly serve: (
    work: Handler.Handler<In, Out, Self>,
    options?: Server.ServeOptions<In, Out>
  ) => Layer.Layer<never, unknown, Self>
}

/**
 * A policy whose workers are simulated. They serve `work`, as programs of their
 * own would.
 *
 * **Gotchas**
 *
 * Simulated workers share the memory of the program: that one handler does not see
 * what another keeps in a variable is not simulated. Nor is a handler that never
 * yields; `hangs` stands for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Self, In, Out>(
  tag: Declared<Self, In, Out>,
  work: Handler.Handler<In, Out, never>,
  options: Options
): Policy.Policy => {
  const { size, window = 65_536, ...faults } = options
  const name = [`workers:${size}`, ...Object.entries(faults).map(([fault, value]) => `${fault} ${value}`)].join(" ")
  const windows = typeof window === "number" ? [window] : window
  return {
    name,
    worker: "process",
    onPeerGone: "cancel",
    drain: Remote.drain,
    place: (served, server) =>
      Effect.gen(function* () {
        // A worker is a program of its own: it shares no layer with others.
        const context = Context.omit(Layer.CurrentMemoMap)(yield* Effect.context<never>())
        const world = Context.get(context as Context.Context<Simulation.World>, Simulation.World)
        const tick: Tick = { now: world.now, soon: world.soon, afterTurn: world.afterTurn, after: world.after }
        const windowBytes = windows.length === 1 ? windows[0] : world.random("window").pick(windows)
        // As with real ones: a whole connection cannot be taken back.
        const ahead = tag.protocol.kind === "connection" ? { hasClaims: false, prefetch: 0 } : {}
        const { placeMillis } = server
        const pool: PoolOptions = { ...usual, ...ahead, policy: name, max: size, placeMillis, windowBytes }
        if (windows.length > 1) world.log(`channels take ${windowBytes} bytes`)
        let started = 0
        const program = () => Layer.launch(Layer.provide(tag.serve(work), MemoryServer.layer(tag, { name: "worker" })))
        const placed = placeOn(
          served,
          server,
          pool,
          tick,
          (role) =>
            startSimulated({ world, tick, context, role, options: pool, faults, id: ++started }, program() as never),
          (pool) => world.onPlaces(() => pool.places)
        )
        return yield* Effect.mapError(placed, (problem) => new PolicyError({ policy: name, problem }))
      })
  }
}

/**
 * Loads what a worker loads at its start, so that runs at once
 * (`Simulation.runSync`) find it there. `ask` is something that the server answers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepare = <Self, In, Out>(
  tag: Declared<Self, In, Out>,
  work: Handler.Handler<In, Out, never>,
  ask: string
): Effect.Effect<void> => {
  const served = tag.serve(work, { policy: make(tag, work, { size: 1 }) })
  const program = Effect.gen(function* () {
    const peer = yield* Network.connect(tag)
    yield* peer.write(ask)
    yield* peer.halfClose
    yield* peer.end
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(served, MemoryServer.layer(tag))))
  return Effect.flatMap(Simulation.run(program), ({ ended, exit }) =>
    ended === "done" && exit?._tag === "Success" ? Effect.void : Effect.die(new Error(`simulated workers: ${ended}`))
  )
}

/** The defaults of a pool. */
const usual: Omit<PoolOptions, "policy" | "max" | "placeMillis"> = {
  kind: "process",
  fixed: true,
  spares: 0,
  recycle: Infinity,
  each: 1,
  hasClaims: true,
  prefetch: 4,
  queue: 1_024,
  memoryMb: undefined,
  deadlineMillis: Infinity,
  startMillis: 10_000,
  graceMillis: 1_000,
  retries: 0,
  entry: undefined,
  bundle: false
}
