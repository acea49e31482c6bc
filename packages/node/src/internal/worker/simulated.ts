/** A worker of a simulation: a program in virtual time, and two pipes. */
import * as Remote from "@socketserver/core/Remote"
import type * as Simulation from "@socketserver/core/Simulation"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { bytesOf, Claims, memoryCells } from "./channel/claims.ts"
import type { Role } from "./channel/given.ts"
import type { Link } from "./channel/link.ts"
import type { Tick } from "./channel/tick.ts"
import { WorkerHost } from "./child/host.ts"
import type { Child, End } from "./parent/child.ts"
import { type PoolOptions, slotsOf } from "./parent/options.ts"

type World = Simulation.World["Service"]

interface Setting {
  readonly world: World
  readonly tick: Tick
  readonly context: Context.Context<never>
  readonly role: Role
  readonly options: PoolOptions
  readonly faults: {
    readonly start?: number | undefined
    readonly channel?: number | undefined
    readonly crashes?: number | undefined
    readonly hangs?: number | undefined
  }
  readonly id: number
}

/** Starts a worker that runs `program`. */
export const startSimulated = (setting: Setting, program: Effect.Effect<never>): Child => {
  const { context, faults, id, options, role, tick, world } = setting
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
    // The first ones are ready before: otherwise it is the start of the server that fails.
    const ready = id <= options.max ? (faults.channel ?? 0) + 1 : 0
    if (chance.chance(crashes)) world.after(ready + chance.int(1, 500), () => killed("SIGSEGV"))
    if (chance.chance(hangs)) {
      world.after(chance.int(1, 500), () => {
        if (over) return
        world.log(`worker ${id} hangs`)
        world.sometimes("a worker hangs")
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

/** One end of a channel. */
interface Pipe {
  on: (bytes: Uint8Array) => void
  readonly waiting: Array<Uint8Array>
  started: boolean
}

/** Two ends of a channel: what was sent arrives in order, later, in pieces. */
const channelOf = (world: World, chance: Simulation.Chance, delay: number) => {
  let open = true
  let held: Array<() => void> | undefined
  const a: Pipe = { on: () => {}, waiting: [], started: false }
  const b: Pipe = { on: () => {}, waiting: [], started: false }
  const linkOf = (mine: Pipe, other: Pipe): Link => {
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
