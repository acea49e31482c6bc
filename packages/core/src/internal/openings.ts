import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type { Census } from "./census.ts"
import type { ServerContext } from "./context.ts"
import { peerKeyOf } from "./peerKey.ts"
import type { PeerQueue } from "./peerQueue.ts"
import type { Occupant } from "./room.ts"
import { anybody, type Slot, Slots } from "./slots.ts"
import { Passing } from "./passing.ts"
import { Silent } from "./silent.ts"

type Surroundings = Pick<
  ServerContext<never, never>,
  "after" | "afterTick" | "deadlines" | "limitLog" | "limits" | "now" | "run"
>

/** What comes before a connection, of which only so much happens at a time. */
export interface Step {
  /** What it is: `"handshake"`. */
  readonly name: string
  /** How long it waits for its turn. */
  readonly millis: number
  /** Stops reading; returns what reads on. */
  readonly hold: (() => () => void) | undefined
  /** How many bytes were taken in of its peer, where that is known: without any it keeps its turn only while nobody else wants it. */
  readonly taken: (() => number) | undefined
  /** Whether the turn is kept for what comes after it. */
  readonly keeps: boolean
}

/**
 * Peers that are not ready yet: what comes before a connection is bounded, and ends
 * with the server. At a stop, what has begun has a moment to {@link finish}.
 */
export class Openings {
  private readonly context: Surroundings
  private readonly slots: Slots
  private readonly silent: Silent
  private readonly onChange: () => void
  private readonly census: Census
  /** Each, and how it is broken off; whether it is closed, too. */
  private readonly all = new Passing<Arrival, (closes: boolean) => void>()
  /** Those that became connections while they {@link finish}, and have sent nothing yet. */
  private readonly unheard = new Set<Arrival>()
  private onFinished: (() => void) | undefined = undefined

  constructor(context: Surroundings, census: Census, onChange: () => void) {
    this.context = context
    this.slots = new Slots(context)
    this.silent = new Silent(context, this.slots)
    this.census = census
    this.onChange = onChange
  }

  get size(): number {
    return this.all.size
  }

  get arrivals(): Iterable<Arrival> {
    return this.all.keys()
  }

  /** Those that count as their peers' connections. */
  get counted(): Iterable<Arrival> {
    return [...this.all.keys()].filter(({ queue }) => queue === undefined)
  }

  /**
   * Begins one. `until` makes of what has to happen before, which takes a minute at
   * most, what is done after. It calls `leave`, which says whether the peer was
   * still there: it is not when the server stops, and `stopped` was called.
   */
  begin<A>(
    arrival: Arrival,
    ready: Effect.Effect<A, Outcome.Refused>,
    stopped: () => void,
    until: (ready: Effect.Effect<A, Outcome.Refused>, leave: () => boolean) => Effect.Effect<void>
  ): void {
    const { openingMillis } = this.context.limits
    const bounded = Effect.timeoutOrElse(ready, {
      duration: openingMillis,
      orElse: () => Effect.fail(Outcome.refused(`it was not ready within ${openingMillis} ms`, "Opening"))
    })
    let fiber: Fiber.Fiber<void> | undefined
    const end = (closes: boolean) => {
      fiber?.interruptUnsafe()
      if (closes) stopped()
    }
    this.all.set(arrival, end)
    if (arrival.queue === undefined) this.census.came("opening", arrival)
    this.onChange()
    fiber = this.context.run(until(bounded, () => this.leave(arrival)))
    fiber.addObserver(() => this.look())
  }

  /** Does one step of it, in its turn; nothing is read before. */
  inTurn<A>(
    arrival: Arrival,
    step: Step,
    use: Effect.Effect<A, Outcome.Refused>,
    /** Whose share it is. */
    key = arrival.peerKey
  ): Effect.Effect<A, Outcome.Refused> {
    return Effect.suspend(() => {
      const slot = this.slots.ask(key)
      arrival.slot = slot
      const cameAt = this.context.now()
      const turn = slot.state === "taken" ? Effect.void : this.turn(slot, step)
      const used = Effect.suspend(() => {
        this.listen(slot, step, cameAt)
        return Effect.mapError(use, (refused) => (slot.state === "waiting" ? this.turnless(step) : refused))
      })
      return Effect.onExit(Effect.andThen(turn, used), (exit) =>
        Effect.sync(() => {
          this.silent.forget(slot)
          slot.readOn?.()
          if (exit._tag === "Failure" || !step.keeps || slot.state === "waiting") this.slots.leave(slot)
        })
      )
    })
  }

  /** While it says nothing more, others that wait may have its turn. Then it is not read, and waits behind them. */
  private listen(slot: Slot, { hold, taken }: Step, cameAt: number): void {
    if (hold === undefined || taken === undefined) return
    let before = taken()
    const listened = {
      from: cameAt,
      isSilent: () => {
        const last = before
        before = taken()
        return last === before
      },
      giveWay: (wasSilent: boolean) => {
        slot.readOn = hold()
        slot.onTaken = () => {
          slot.readOn?.()
          slot.readOn = undefined
          this.silent.listen(slot, listened)
        }
        this.slots.giveUp(slot, wasSilent)
      }
    }
    this.silent.listen(slot, listened)
  }

  /** It has given its turn up, and its time is over before it has another. */
  private turnless({ millis, name }: Step): Outcome.Refused {
    const silence = "it sent nothing more while others waited"
    return Outcome.refused(`no second turn for its ${name} within ${millis} ms: ${silence}`, "MaxOpening")
  }

  private turn(slot: Slot, { hold, millis, name }: Step): Effect.Effect<void, Outcome.Refused> {
    const { maxOpening, maxOpeningPerPeer } = this.context.limits
    this.silent.awaited()
    const who = slot.key === anybody ? "behind a balancer" : slot.key
    // A peer that is over its own share is in nobody else's way.
    if (this.slots.isFull) this.context.limitLog.reached("maxOpening", maxOpening, "held back", who)
    const readOn = hold?.()
    const taken = Effect.callback<void>((resume) => {
      slot.onTaken = () => {
        readOn?.()
        resume(Effect.void)
      }
      // Between the question and this its fiber may have yielded.
      if (slot.state === "taken") slot.onTaken()
    })
    const many = `${maxOpening} in all and ${maxOpeningPerPeer} of a peer`
    return Effect.timeoutOrElse(taken, {
      duration: millis,
      orElse: () =>
        Effect.fail(
          Outcome.refused(`no turn for its ${name} within ${millis} ms, with ${many} at a time`, "MaxOpening")
        )
    })
  }

  /** Takes over the turn of one that is open, where it was kept: what ends it. */
  keep(arrival: Arrival): (() => void) | undefined {
    const { slot } = arrival
    arrival.slot = undefined
    const leaves = slot?.state === "taken" ? this.kept(slot) : undefined
    if (this.onFinished === undefined) return leaves
    this.unheard.add(arrival)
    return () => {
      leaves?.()
      this.unheard.delete(arrival)
      this.look()
    }
  }

  /** It waits for a first byte, and may do so without a turn where others want that. */
  private kept(slot: Slot): () => void {
    const leaves = () => {
      this.silent.forget(slot)
      this.slots.leave(slot)
    }
    this.silent.listen(slot, { from: this.context.now(), isSilent: () => true, giveWay: leaves })
    return leaves
  }

  /** Other limits hold. */
  limited(): void {
    this.slots.give()
  }

  private leave(arrival: Arrival): boolean {
    const was = this.all.delete(arrival)
    if (was) this.gone(arrival)
    this.onChange()
    return was
  }

  private gone(arrival: Arrival): void {
    arrival.isSpare = false
    if (arrival.queue === undefined) this.census.left("opening", arrival)
    else arrival.queue.leave(arrival)
  }

  /** Its turn is another's, also where its fiber was ended before it could say so. */
  private letGo({ slot }: Arrival): void {
    if (slot === undefined) return
    this.silent.forget(slot)
    this.slots.leave(slot)
  }

  /** It is known now who one is. */
  introduce(arrival: Arrival, peer: Peer.Peer): void {
    const isThere = this.all.has(arrival)
    if (isThere) this.census.left("opening", arrival)
    arrival.peer = peer
    if (isThere) this.census.came("opening", arrival)
  }

  /** It waits for a place of its peer, and counts as none of its connections meanwhile. */
  enqueue(arrival: Arrival, queue: PeerQueue): void {
    if (this.all.has(arrival)) this.census.left("opening", arrival)
    queue.enter(arrival)
  }

  /** Takes one out that makes room for another, and breaks it off; whether it was there. Who asks closes it. */
  takeOut(arrival: Arrival): boolean {
    const end = this.all.get(arrival)
    if (end === undefined || !this.leave(arrival)) return false
    end(false)
    this.letGo(arrival)
    return true
  }

  /** A stop begins: whoever waits for a turn or a place will have none. */
  breakOffWaiting(): void {
    this.breakOff(({ queue, slot }) => queue !== undefined || slot?.state === "waiting")
  }

  /**
   * Nobody comes any more. Who has sent something may go on for so long, until the
   * first byte of its connection has come. Then `then` is called: at once where there is nobody.
   */
  finish(millis: number, then: () => void): void {
    this.breakOff((arrival) => !arrival.hasBegun || arrival.slot?.state === "waiting")
    if (this.all.size === 0) return then()
    this.onFinished = () => {
      this.onFinished = undefined
      cancel()
      this.unheard.clear()
      this.breakOff()
      this.context.afterTick(then)
    }
    const cancel = this.context.after(millis, this.onFinished)
  }

  private look(): void {
    if (this.all.size + this.unheard.size === 0) this.onFinished?.()
  }

  /** The server stops: nothing of theirs has been received yet. */
  breakOff(which: (arrival: Arrival) => boolean = () => true): void {
    const all = [...this.all].filter(([arrival]) => which(arrival))
    for (const [arrival] of all) {
      this.all.delete(arrival)
      this.gone(arrival)
    }
    for (const [arrival, end] of all) {
      end(true)
      this.letGo(arrival)
    }
  }

  /** Nothing of them is waited for any more. */
  end(): void {
    this.breakOff()
    this.silent.end()
    this.onFinished?.()
  }
}

/** Somebody who has asked for nothing yet. */
export class Arrival implements Occupant {
  /** Who it is, as far as is known by now. */
  peer: Peer.Peer
  readonly requestedAt: number
  /** Whether it is there, and no datagram, which makes no room for others. */
  isSpare: boolean
  /** Its turn, while it has one or waits for it. */
  slot: Slot | undefined = undefined
  /** Where it waits for a place of its peer, while it does. */
  queue: PeerQueue | undefined = undefined
  /** Called when it has got that. */
  onGiven: () => void = () => {}
  readonly giveWay: Occupant["giveWay"]
  private readonly begun: (() => boolean) | undefined

  constructor(
    peer: Peer.Peer,
    at: number,
    giveWay?: (arrival: Arrival, refused: Outcome.Refused) => void,
    begun?: () => boolean
  ) {
    this.peer = peer
    this.requestedAt = at
    this.isSpare = giveWay !== undefined
    this.giveWay = (refused) => giveWay?.(this, refused)
    this.begun = begun
  }

  /** Whether the peer has sent something, as far as that is known. */
  get hasBegun(): boolean {
    return this.begun?.() ?? true
  }

  get peerKey(): string {
    return peerKeyOf(this.peer)
  }
}
