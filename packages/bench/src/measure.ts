/** Measurements: one window of a server under load, and one start of a server. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Os from "node:os"
import { fileURLToPath } from "node:url"
import * as Child from "./child.ts"
import type { LoadMessage, LoadReport } from "./window.ts"

export interface Measurement {
  /** CPU of the whole server process, user and system, in microseconds per request. */
  readonly cpu: number
  readonly perSecond: number
  /** Latency in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Share of one core that each side used, and everything else on this machine: what disturbs a measurement. */
  readonly serverBusy: number
  readonly loadBusy: number
  readonly othersBusy: number
}

export interface Start {
  /** CPU until the server said it listens, user and system, in milliseconds. */
  readonly cpu: number
  readonly wall: number
}

/** A server that started and then answered wrongly, ended, or starved a connection. */
export class UnderLoad extends Data.TaggedError("UnderLoad")<{ readonly reason: string }> {}

interface Load {
  readonly depth: number
  readonly connections: number
  readonly warmUp: number
  readonly seconds: number
  /** The load generator's file, and what it is told besides. */
  readonly load: string
  readonly loadMode: string | undefined
}

/** Starts a server and a load, lets them warm up, and measures one window. */
export const throughput = (
  options: Load & { readonly server: string }
): Effect.Effect<Measurement, Child.ChildError | UnderLoad> =>
  startServer(options.server).pipe(
    Effect.flatMap((server) =>
      Effect.mapError(measureWindow(server, options), ({ reason }) => new UnderLoad({ reason }))
    ),
    Effect.scoped
  )

/** Starts a server and measures what that took. */
export const startUp = (server: string): Effect.Effect<Start, Child.ChildError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const startedAt = performance.now()
      const { child } = yield* startServer(server)
      const wall = performance.now() - startedAt
      const { system, user } = yield* child.ask<NodeJS.CpuUsage>("cpu")
      return { cpu: (user + system) / 1000, wall }
    })
  )

interface Server {
  readonly child: Child.Child
  /** A port on this machine, or the endpoint that it is. */
  readonly port: string
}

const measureWindow = Effect.fnUntraced(function* (server: Server, options: Load) {
  const lifetime = options.warmUp + options.seconds + 30
  const told = [server.port, ...[options.connections, options.depth, lifetime].map(String)]
  if (options.loadMode !== undefined) told.push(options.loadMode)
  const load = yield* Child.spawn({ core: 1, args: [path(`./${options.load}`), ...told] })
  yield* heard(load.ask<LoadMessage>())
  yield* Effect.raceFirst(Effect.sleep(`${options.warmUp} seconds`), broken(load))
  const machineBefore = machineBusy()
  const [before] = yield* both(server.child.ask<NodeJS.CpuUsage>("cpu"), heard(load.ask<LoadMessage>("begin")))
  yield* Effect.raceFirst(Effect.sleep(`${options.seconds} seconds`), broken(load))
  const [after, message] = yield* both(server.child.ask<NodeJS.CpuUsage>("cpu"), heard(load.ask<LoadMessage>("end")))
  const machine = machineBusy() - machineBefore
  const { busy, p50, p99, requests, seconds } = (message as { readonly report: LoadReport }).report
  const used = after.user + after.system - before.user - before.system
  const serverBusy = used / 1e6 / seconds
  return {
    cpu: used / requests,
    perSecond: requests / seconds,
    p50,
    p99,
    serverBusy,
    loadBusy: busy,
    othersBusy: Math.max(0, machine / seconds - serverBusy - busy)
  }
})

const startServer = (name: string): Effect.Effect<Server, Child.ChildError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Child.spawn({
      core: 0,
      args: ["--import", new URL("./cpu.ts", import.meta.url).href, path(`./servers/${name}.ts`)]
    })
    const port = yield* child.prints(/listening on (?:\w+:\/\/127\.0\.0\.1:)?(\S+)/)
    return { child, port }
  })

/** A load only speaks unasked when something is wrong. */
const broken = (load: Child.Child) => Effect.andThen(heard(load.next<LoadMessage>()), Effect.never)

const heard = (message: Effect.Effect<LoadMessage, Child.ChildError>): Effect.Effect<LoadMessage, Child.ChildError> =>
  Effect.flatMap(message, (message) =>
    message.tag === "broken" ? Effect.fail(new Child.ChildError({ reason: message.reason })) : Effect.succeed(message)
  )

/** Seconds of CPU that the whole machine has spent in processes. */
const machineBusy = (): number =>
  Os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0) / 1000

const both = <A, B, E>(a: Effect.Effect<A, E>, b: Effect.Effect<B, E>) => Effect.all([a, b], { concurrency: 2 })

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
