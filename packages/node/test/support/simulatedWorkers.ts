/** Workers of a simulation under the real pool: only the programs and their pipes are not real. */
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import type * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import type * as Handler from "@socketserver/core/Handler"
import { PolicyError } from "@socketserver/core/ServerError"
import * as Simulation from "@socketserver/core/Simulation"
import type { Declared } from "@socketserver/testkit/Scenario"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { bytesOf, Claims, memoryCells } from "../../src/internal/worker/channel/claims.ts"
import type { Role } from "../../src/internal/worker/channel/given.ts"
import type { Link } from "../../src/internal/worker/channel/link.ts"
import type { Tick } from "../../src/internal/worker/channel/tick.ts"
import { WorkerHost } from "../../src/internal/worker/child/host.ts"
import type { Child, End } from "../../src/internal/worker/parent/child.ts"
import { type PoolOptions, slotsOf } from "../../src/internal/worker/parent/options.ts"
import { placeOn } from "../../src/internal/worker/parent/place.ts"
import { options as asked } from "./poolOptions.ts"

type World = Simulation.World["Service"]

/** What may go wrong with workers. */
export interface WorkerFaults {
  /** How long one takes to start at most, in milliseconds. Default: 0. */
  readonly start?: number | undefined
  /** How long what is sent to or from one travels at most, in milliseconds. Default: 0. */
  readonly channel?: number | undefined
  /** How probably one is killed within half a second of its start. Default: 0. */
  readonly crashes?: number | undefined
  /** How probably one neither reads nor writes for a while, as where a handler computes. Default: 0. */
  readonly hangs?: number | undefined
}

/** A policy whose workers are simulated. They serve `work`, as programs of their own would. */
export const simulatedWorkers = <Self, In, Out>(
  tag: Declared<Self, In, Out>,
  work: Handler.Handler<In, Out, never>,
  size: number,
  faults: WorkerFaults = {}
): Policy.Policy => {
  const name = [`workers:${size}`, ...Object.entries(faults).map(([fault, value]) => `${fault} ${value}`)].join(" ")
  const options: PoolOptions = { ...asked, policy: name, max: size, graceMillis: 1_000 }
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
        let started = 0
        const program = () => Layer.launch(Layer.provide(tag.serve(work), MemoryServer.layer(tag, { name: "worker" })))
        const start = (role: Role) =>
          startOne(world, tick, context, program() as never, role, options, faults, ++started)
        return yield* Effect.mapError(
          placeOn(served, server, options, tick, start),
          (problem) => new PolicyError({ policy: name, problem })
        )
      })
  }
}

const startOne = (
  world: World,
  tick: Tick,
  context: Context.Context<never>,
  program: Effect.Effect<never>,
  role: Role,
  options: PoolOptions,
  faults: WorkerFaults,
  id: number
): Child => {
  const chance = world.random(`worker ${id}`)
  const { crashes = 0, hangs = 0, start = 0 } = faults
  const channel = channelOf(world, chance, faults.channel ?? 0)
  const shared = new SharedArrayBuffer(bytesOf(slotsOf(options)))
  let onEnd: (end: End) => void = () => {}
  let over = false
  let stop: () => void = () => {}
  const end = (end: End): void => {
    if (over) return
    over = true
    channel.cut()
    stop()
    world.log(`worker ${id} ends`)
    world.after(1, () => onEnd(end))
  }
  const killed = (signal: string): void => end({ exitCode: undefined, signal, reason: undefined })
  world.after(chance.float() * start, () => {
    if (over) return
    world.log(`worker ${id} starts`)
    const run = Effect.runForkWith(context)
    const host = new WorkerHost({
      role,
      id,
      link: channel.its,
      claims: new Claims(memoryCells(shared)),
      tick,
      run: (effect) => void run(effect),
      onStop: () => end({ exitCode: 0, signal: undefined, reason: undefined }),
      onLost: () => {}
    })
    const fiber = Effect.runForkWith(Context.add(context, Remote.CurrentHost, host))(program)
    stop = () => fiber.interruptUnsafe()
    if (chance.chance(crashes)) world.after(chance.int(1, 500), () => killed("SIGSEGV"))
    if (chance.chance(hangs)) {
      world.after(chance.int(1, 500), () => {
        world.log(`worker ${id} hangs`)
        channel.hold()
        world.after(chance.int(1, 300), channel.release)
      })
    }
  })
  return {
    name: `worker-${id}`,
    link: channel.mine,
    claims: new Claims(memoryCells(shared)),
    kill: () => killed("SIGKILL"),
    onEnd: (ended) => {
      onEnd = ended
    }
  }
}

/** Two ends of a channel: what was sent arrives in order, later, in pieces. */
const channelOf = (world: World, chance: Simulation.Chance, delay: number) => {
  let open = true
  let held: Array<() => void> | undefined
  const a = { on: (_: Uint8Array) => {}, waiting: [] as Array<Uint8Array>, started: false }
  const b = { on: (_: Uint8Array) => {}, waiting: [] as Array<Uint8Array>, started: false }
  const linkOf = (mine: typeof a, other: typeof a): Link => {
    const travelling: Array<Uint8Array> = []
    let last = 0
    const arrive = (): void => {
      const piece = travelling.shift()
      if (piece === undefined || !open) return
      if (other.started) other.on(piece)
      else other.waiting.push(piece)
    }
    return {
      start: ({ onBytes }) => {
        mine.on = onBytes
        mine.started = true
        world.soon(() => {
          for (const piece of mine.waiting.splice(0)) if (open) mine.on(piece)
        })
      },
      send: (parts, bytes) => {
        const joined = Buffer.concat(parts, bytes)
        const cut = chance.chance(0.2) ? chance.int(1, joined.length) : joined.length
        for (const piece of [joined.subarray(0, cut), joined.subarray(cut)]) {
          if (piece.length === 0) continue
          travelling.push(piece)
          last = Math.max(last, world.now() + chance.float() * delay)
          const later = () => void world.after(last - world.now(), arrive)
          if (held === undefined) later()
          else held.push(later)
        }
      },
      whenSent: (sent) => sent(),
      close: () => {}
    }
  }
  return {
    mine: linkOf(a, b),
    its: linkOf(b, a),
    cut: () => {
      open = false
    },
    hold: () => {
      held ??= []
    },
    release: () => {
      const all = held ?? []
      held = undefined
      for (const later of all) later()
    }
  }
}

/** Loads what a worker loads at its start, so that runs at once find it there. */
export const prepare = <Self, In, Out>(
  tag: Declared<Self, In, Out>,
  work: Handler.Handler<In, Out, never>,
  ask: string
): Effect.Effect<void> => {
  const served = tag.serve(work, { policy: simulatedWorkers(tag, work, 1) })
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
