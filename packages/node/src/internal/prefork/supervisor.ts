/** All copies of a program: in which order they start, how they are replaced, and how they end. */
import type * as Outcome from "@socketserver/core/Outcome"
import { lineOf, type Stopped } from "../launch/servers.ts"
import type { Manager } from "../launch/manager.ts"
import { plus } from "../launch/summary.ts"
import type { Tick } from "../worker/channel/tick.ts"
import { type CopyChild, CopyHandle, type CopyLimits, type Owner } from "./copyHandle.ts"
import { Lending, type Lent } from "./lending.ts"
import { Measures } from "./measures.ts"
import type { Asked, Standing, Told } from "./messages.ts"
import { Slot, type SlotOwner } from "./slot.ts"

/** What a supervisor asks of its platform. */
export interface Ground {
  readonly tick: Tick
  /** Starts the program once more. */
  readonly spawn: (standing: Standing) => CopyChild
  /** The socket that the copy in a place asks for. */
  readonly bind: (place: number, asked: Asked) => Promise<Bound>
  /** The sockets that a place has alone. */
  readonly socketsOf: (place: number) => ReadonlyArray<Lent>
  readonly say: (line: string) => void
  /** Who has started the program, and wants to hear how it does. */
  readonly manager?: Pick<Manager, "ready" | "reloading" | "stopping" | "watch"> | undefined
  /** All copies have ended. */
  readonly onEnd: (status: number) => void
}

/** What the supervisor binds, and keeps. */
export type Bound = Omit<Extract<Told, { answer: number }>, "answer"> & {
  readonly socket?: { readonly close: () => void } | undefined
}

/**
 * Runs copies of this program that accept on the same addresses.
 *
 * It binds for them, starts again those that end or hang, replaces all of them one
 * by one when it is told to, and stops them. It serves nothing itself.
 */
export class Supervisor {
  private readonly ground: Ground
  private readonly limits: CopyLimits
  private readonly slots: ReadonlyArray<Slot>
  private readonly lending: Lending
  private stoppedAt: number | undefined = undefined
  /** The place whose copy is being replaced. */
  private replacing: number | undefined = undefined
  private isThere = false
  /** Whether a restart was asked for before all of them were there. */
  private again = false
  private status = 0
  private stopMillis: number | undefined = undefined
  /** What the servers of copies have done that have stopped, by their names. */
  private readonly totals = new Map<string, Outcome.Totals>()
  /** What they have counted, for who asks. */
  readonly measures: Measures<CopyHandle>

  constructor(count: number, limits: CopyLimits, ground: Ground) {
    this.ground = ground
    this.limits = limits
    this.measures = new Measures(ground.tick)
    this.slots = Array.from({ length: count }, () => new Slot(this.owner, ground.tick))
    this.lending = new Lending(this.slots, ground.socketsOf)
  }

  /** One shows whether the program starts at all. The last one says where they listen, when all others do. */
  start(): void {
    const last = this.slots.length - 1
    if (this.stoppedAt !== undefined) return
    const [first] = this.slots as [Slot, ...Array<Slot>]
    first.start(last === 0)
    if (!first.hasServed) return
    for (const slot of this.slots.slice(1, -1)) slot.start(false)
    if (this.slots.slice(0, -1).every(({ hasServed }) => hasServed)) this.slots[last]?.start(true)
  }

  /** Replaces one copy after the other; the next one when the new one is ready. Asked for during a restart, it begins anew. */
  restart(): void {
    if (this.stoppedAt !== undefined) return
    if (!this.isThere) {
      this.again = true
      return
    }
    if (this.replacing === undefined) this.ground.manager?.reloading()
    else if (this.replacing !== 0) this.slots[this.replacing]?.keep()
    this.replace(0)
  }

  /** Stops all copies; the second time at once. */
  stop(status: number): void {
    if (this.stoppedAt !== undefined) {
      for (const slot of this.slots) slot.kill()
      return this.ground.onEnd(status)
    }
    this.stopAll()
  }

  /** Stops all copies, since something is wrong with the program. */
  fail(status: number): void {
    if (this.stoppedAt !== undefined) return
    this.status = status
    this.stopAll()
  }

  /** Some of them are there, and none hangs. */
  private get isAlive(): boolean {
    return this.slots.some(({ isRunning }) => isRunning) && !this.slots.some(({ hangs }) => hangs)
  }

  private stopAll(): void {
    this.stoppedAt = this.ground.tick.now()
    this.ground.manager?.stopping()
    for (const slot of this.slots) slot.stop()
    this.gone()
  }

  private replace(place: number): void {
    this.replacing = place
    if (place < this.slots.length) this.slots[place]?.replace()
    else this.replaced()
  }

  /** The restart is over, whether or not all were replaced. */
  private replaced(): void {
    this.replacing = undefined
    this.ground.manager?.ready()
  }

  /** All copies are there for the first time. */
  private there(): void {
    this.isThere = true
    this.ground.manager?.ready()
    this.ground.manager?.watch(() => this.isAlive)
    if (this.again) this.restart()
  }

  private gone(): void {
    if (this.stoppedAt === undefined || this.slots.some(({ isRunning }) => isRunning)) return
    const millis = this.ground.tick.now() - this.stoppedAt
    for (const [name, totals] of this.totals) this.ground.say(lineOf({ ...totals, name, millis }))
    this.totals.clear()
    this.ground.onEnd(this.status)
  }

  private get owner(): SlotOwner {
    return {
      spawn: (slot, standing) => {
        const place = this.slots.indexOf(slot)
        return new CopyHandle(this.ground.spawn(standing), this.ownerOf(slot, place), this.limits, this.ground.tick)
      },
      onServing: (slot) => {
        this.lending.look()
        if (!this.slots.every(({ hasServed }) => hasServed)) return this.start()
        if (!this.isThere) this.there()
        if (this.replacing !== undefined && this.slots[this.replacing] === slot) this.replace(this.replacing + 1)
      },
      // Nobody was told yet that it serves: a program that cannot start ends, and does not try for ever.
      onCannotStart: (ending) => {
        if (this.stoppedAt !== undefined) return
        this.ground.say(ending.problem ?? ending.why)
        this.fail(ending.status === 0 ? 1 : ending.status)
      },
      onNotReplaced: (slot, { why }) => {
        if (this.replacing === undefined || this.slots[this.replacing] !== slot) return this.ground.say(why)
        this.replaced()
        this.ground.say(`${why}; the restart ends here, and the old copies go on`)
      },
      onGone: () => this.gone(),
      say: this.ground.say
    }
  }

  private ownerOf(slot: Slot, place: number): Owner {
    return {
      onReady: (copy) => slot.onReady(copy),
      onLate: (copy, ending) => slot.onLate(copy, ending),
      onSilent: (copy) => {
        slot.onSilent(copy, this.limits.hangMillis / 2)
        this.lending.look()
      },
      onEnd: (copy, ending) => {
        this.measures.left(copy)
        slot.onEnd(copy, ending)
        if (this.stoppedAt === undefined) this.lending.look()
      },
      stopMillis: () => this.stopMillis,
      onStopMillis: (millis) => (this.stopMillis = millis),
      onListens: (copy) => this.measures.came(copy),
      onMeasured: (copy, own) => this.measures.measured(copy, own),
      onGather: (answer) => this.measures.gather(answer),
      measures: () => this.measures.isAsked,
      onAsked: (_, asked, answer) =>
        void this.ground.bind(place, asked).then(({ socket, ...answered }) => answer(answered, socket)),
      onStopped: (all: ReadonlyArray<Stopped>) => {
        for (const stopped of all) {
          const before = this.totals.get(stopped.name)
          this.totals.set(stopped.name, before === undefined ? stopped : plus(before, stopped))
        }
      }
    }
  }
}
