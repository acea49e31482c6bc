/**
 * A program in a time of its own: servers in memory, their peers and handlers run
 * in virtual time, from one queue, and the same seed does the same again.
 *
 * Time passes only when nothing else can be done. So a run in which nothing will
 * ever happen any more is seen at once, as `dry`: what still waits would wait for
 * ever. A day in which little happens takes a few milliseconds.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { engineOf } from "./internal/face.ts"
import * as inspecting from "./internal/inspecting.ts"
import { clients, hostedServers } from "./internal/lazily.ts"
import { SimulatedLoop, StopClock } from "./internal/loop.ts"
import { Random as RandomNumbers } from "./internal/random.ts"
import { CurrentRegistry, Registry } from "./internal/registry.ts"
import * as worlds from "./internal/world.ts"
import type * as Server from "./Server.ts"

/**
 * How a program is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What all chance comes from: of links, of Effect's `Random`, of {@link Chance}. Default: 1. */
  readonly seed?: number | undefined
  /** Whether what could run in any order within a turn runs in one that the seed draws. Default: false. */
  readonly shuffle?: boolean | undefined
  /** After how many operations a fiber yields to others: few, and it does so between any two lines. From 4 on; default: 2048, Effect's own. */
  readonly opsBeforeYield?: number | undefined
  /** Whether the lines of the log are kept, or only their hash. Default: false. */
  readonly trace?: boolean | undefined
  /** How many requests begin in a turn of the event loop: few, and whoever asks for much is seen to wait. Default: 1,024, as everywhere. */
  readonly turnRequests?: number | undefined
  /** How many of one connection begin in its turn, before the next connection has its own. Default: 32, as everywhere. */
  readonly turnShare?: number | undefined
  /** How many turns there are at most: what never rests ends as `busy` then. Default: 1,000,000. */
  readonly maxTurns?: number | undefined
}

/**
 * What has become of a program.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run<A, E> {
  /** How it ended, if it did. */
  readonly exit: Exit.Exit<A, E> | undefined
  /** `done` when it has ended; `dry` when nothing will ever happen any more, and it waits; `busy` when it never rests. */
  readonly ended: "done" | "dry" | "busy"
  /** Stands for everything that was logged, and when: equal for the same program and seed. */
  readonly hash: string
  /** How much virtual time has passed, in milliseconds. */
  readonly millis: number
  /** Turns of the event loop. */
  readonly turns: number
  /** What has happened at least once: of links, and what the program has noted by {@link sometimes}. */
  readonly seen: ReadonlyArray<string>
  /** The log, with times, where it was kept. */
  readonly trace: ReadonlyArray<string>
}

/**
 * The world that a simulated program is in.
 *
 * @category services
 * @since 0.1.0
 */
export class World extends Context.Service<
  World,
  {
    /** Virtual milliseconds since the beginning. */
    readonly now: () => number
    /** Calls `f` in so many milliseconds, unless the returned function is called before. */
    readonly after: (millis: number, f: () => void) => () => void
    /** Calls `f` when what runs now has ended, as a microtask does. */
    readonly soon: (f: () => void) => void
    /** Calls `f` when what is due by now is done, as `setImmediate` does. */
    readonly afterTurn: (f: () => void) => void
    /** Adds a line to the log. */
    readonly log: (line: string) => void
    /** Chance for whom this label names: what others draw does not disturb it. */
    readonly random: (label: string) => Chance
    /** Notes that something has happened, for {@link Run.seen}. */
    readonly sometimes: (what: string) => void
    /** Calls `look` after each turn of the event loop: there what always has to hold can be looked at. */
    readonly onTurn: (look: () => void) => void
    /** Calls `look` before something that has come is handed over: to the server by `NAME<`, to its peer by `NAME>`. */
    readonly onRead: (look: (label: string) => void) => void
    /** Says who has places elsewhere, as a pool of workers does, whenever {@link places} are asked for. */
    readonly onPlaces: (look: () => ReadonlyArray<Place>) => void
    /** What those have said. */
    readonly places: () => ReadonlyArray<Place>
  }
>()("@socketserver/core/Simulation/World") {}

/**
 * Notes that something has happened. Runs that never do what a test is about test
 * nothing: look for it in what they have {@link Run.seen}. Outside of a simulation
 * it does nothing.
 *
 * **Example** (A cache that is hit in some runs)
 *
 * ```ts
 * import { Simulation } from "@socketserver/core"
 * import { Effect } from "effect"
 *
 * const cached = (hit: boolean) => (hit ? Simulation.sometimes("the cache is hit") : Effect.void)
 *
 * Simulation.runSync(cached(true)).seen // => ["the cache is hit"]
 * Simulation.runSync(cached(false)).seen // => []
 * ```
 *
 * @category observability
 * @since 0.1.0
 */
export const sometimes = (what: string): Effect.Effect<void> =>
  Effect.map(SimulatedLoop, (simulated) => simulated?.sometimes?.(what))

/**
 * Something that requests take turns for beside the policy of their server: a worker.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly name: string
  /** The numbers of the requests that have it. */
  readonly has: ReadonlyArray<number>
  /** The numbers of those that wait for it alone. */
  readonly next: ReadonlyArray<number>
}

/**
 * What a server holds for a connection, in bytes, and what each of its requests
 * waits for. It says what is true when it is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Holding extends Pick<
  inspecting.Holding,
  "bytes" | "connection" | "isQueued" | "memory" | "parked" | "unsent" | "waits"
> {}

/**
 * What a server holds for each of its connections: for laws about bytes and about
 * who waits for whom.
 *
 * **Example** (A request that waits for its handler)
 *
 * ```ts
 * import { MemoryServer, Network, Protocol, Server, Simulation } from "@socketserver/core"
 * import { Effect, Exit, Layer } from "effect"
 *
 * class Slow extends Server.Service<Slow>()("Slow", { protocol: Protocol.lines() }) {}
 * const SlowLive = Slow.serve(() => Effect.never)
 *
 * const program = Effect.gen(function* () {
 *   const peer = yield* Network.connect(Slow)
 *   yield* peer.write("a\nb\n")
 *   yield* Effect.sleep("1 second")
 *   const [holding] = Simulation.holdings(yield* Slow)
 *   return holding?.waits.map(({ request, waitsFor }) => `${request} waits for its ${waitsFor}`)
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(SlowLive, MemoryServer.layer(Slow))))
 *
 * const { exit } = await Effect.runPromise(Simulation.run(program))
 * exit // => Exit.succeed(["1 waits for its handler", "2 waits for its handler"])
 * ```
 *
 * @category observability
 * @since 0.1.0
 */
export const holdings = <In, Out>(server: Server.Server<In, Out>): ReadonlyArray<Holding> =>
  inspecting.holdings(engineOf(server))

/**
 * Numbers by seed and label.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chance extends Pick<RandomNumbers, "chance" | "float" | "fork" | "int" | "next" | "pick"> {}

/**
 * Makes chance of a seed, to draw what is run before there is a world.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chance = (seed: number, label?: string): Chance => new RandomNumbers(seed, label)

/**
 * Runs a program in virtual time.
 *
 * **Details**
 *
 * Inside it `Clock`, `Effect.sleep`, `Random`, timeouts and all servers in memory
 * are the simulation's. Whenever nothing can be done in it, it waits for a turn of
 * the real event loop before time passes, so that promises that need no time of
 * their own are settled.
 *
 * **Gotchas**
 *
 * What waits for the outside (a timer of the platform, a socket, a file) is
 * outside of virtual time: nothing waits for it, and a run may end as `dry`. A
 * run takes no part in the interruption of its fibers: what the program has
 * forked and not joined is dropped at its end.
 *
 * **Example** (An hour of a peer that does not read)
 *
 * ```ts
 * import { MemoryServer, Network, Protocol, Response, Server, Simulation } from "@socketserver/core"
 * import { Effect, Exit, Layer } from "effect"
 *
 * class Echo extends Server.Service<Echo>()("Echo", { protocol: Protocol.lines() }) {}
 * const EchoLive = Echo.serve(({ body }) => Effect.succeed(Response.make(body)))
 *
 * const program = Effect.gen(function* () {
 *   const peer = yield* Network.connect(Echo, { link: Network.link({ latency: "40 millis", chunk: [1, 5] }) })
 *   yield* peer.write("hello\nworld\n")
 *   yield* peer.stopReading
 *   yield* Effect.sleep("1 hour")
 *   yield* peer.resume
 *   return yield* peer.receives("world\n")
 * }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(EchoLive, MemoryServer.layer(Echo))))
 *
 * const one = await Effect.runPromise(Simulation.run(program, { seed: 42 }))
 * const two = await Effect.runPromise(Simulation.run(program, { seed: 42 }))
 *
 * one.exit // => Exit.succeed("hello\nworld\n")
 * one.ended // => "done"
 * one.hash === two.hash // => true
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E>(
  program: Effect.Effect<A, E, World | Scope.Scope>,
  options: Options = {}
): Effect.Effect<Run<A, E>> =>
  // Not in virtual time: how long it takes differs.
  Effect.flatMap(Effect.all([clients, hostedServers]), () => {
    const started = start(program, options)
    const { isDone, maxTurns, result, world } = started
    let patience = patienceTurns
    const loop = (): Effect.Effect<Run<A, E>> => {
      const state = world.settle(isDone, maxTurns)
      if (state !== "idle") return Effect.succeed(result(state))
      // Promises may be settled now. Only what is still idle then lets time pass.
      return Effect.flatMap(Effect.yieldNow, () => {
        const again = world.settle(isDone, maxTurns)
        if (again !== "idle") return Effect.succeed(result(again))
        if (world.pass()) {
          patience = patienceTurns
          return loop()
        }
        return patience-- > 0 ? loop() : Effect.succeed(result("dry"))
      })
    }
    return loop()
  })

// What a promise without a time of its own may take, such as that of a module which is loaded already.
const patienceTurns = 8

/**
 * As {@link run}, at once: for thousands of runs of programs without promises.
 *
 * **Gotchas**
 *
 * `Tag.client` loads a module at its first use, which takes a promise: talk to
 * servers by `Network.connect` here, or use {@link run} once before.
 *
 * @category running
 * @since 0.1.0
 */
export const runSync = <A, E>(program: Effect.Effect<A, E, World | Scope.Scope>, options: Options = {}): Run<A, E> => {
  const { isDone, maxTurns, result, world } = start(program, options)
  for (;;) {
    const state = world.settle(isDone, maxTurns)
    if (state !== "idle") return result(state)
    if (!world.pass()) return result("dry")
  }
}

const start = <A, E>(program: Effect.Effect<A, E, World | Scope.Scope>, options: Options) => {
  const { maxTurns = 1_000_000, opsBeforeYield, seed = 1, shuffle = false, trace = false } = options
  const { turnRequests, turnShare } = options
  const world = new worlds.World({ seed, shuffle, trace, shares: { turnRequests, turnShare } })
  const random = world.random("Random")
  const services = Context.empty().pipe(
    Context.add(Scheduler.Scheduler, world.scheduler),
    Context.add(Clock.Clock, world.clock),
    Context.add(StopClock, world.clock),
    Context.add(SimulatedLoop, world),
    Context.add(CurrentRegistry, new Registry()),
    Context.add(Random.Random, {
      nextIntUnsafe: () => random.int(Number.MIN_SAFE_INTEGER / 2, Number.MAX_SAFE_INTEGER / 2),
      nextDoubleUnsafe: () => random.float()
    }),
    Context.add(World, {
      now: world.now,
      after: world.after,
      soon: world.soon,
      afterTurn: world.afterTurn,
      log: world.log,
      random: world.random,
      sometimes: world.sometimes,
      onTurn: (look) => void world.watchers.push(look),
      onRead: (look) => void world.readers.push(look),
      onPlaces: (look) => void world.placing.push(look),
      places: () => world.placing.flatMap((look) => look())
    })
  )
  const limited =
    opsBeforeYield === undefined ? services : Context.add(services, Scheduler.MaxOpsBeforeYield, opsBeforeYield)
  let exit: Exit.Exit<A, E> | undefined
  Effect.runForkWith(limited)(Effect.scoped(program) as Effect.Effect<A, E, World>).addObserver((ended) => {
    exit = ended
  })
  return {
    world,
    maxTurns,
    isDone: () => exit !== undefined,
    result: (ended: Run<A, E>["ended"]): Run<A, E> => ({
      exit,
      ended,
      hash: world.hash,
      millis: world.now(),
      turns: world.turns,
      seen: [...world.seen],
      trace: world.lines ?? []
    })
  }
}
