import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { ServerError } from "../ServerError.ts"
import { Consumers } from "./consumers.ts"
import type { ServerContext } from "./context.ts"
import type { Incoming } from "./incoming.ts"
import type { Line } from "./line.ts"
import { Ring } from "./ring.ts"
import { type Source, streamed } from "./source.ts"
import { Turn } from "./turn.ts"

type Ended = Exit.Exit<never, ServerError | Cause.Done>

/** Who waits for a request. */
interface Taker<In, Out> {
  /** Gets a request; without it, takes what it likes from the source. */
  readonly one: ((exit: Exit.Exit<readonly [Incoming<In, Out>]>) => void) | undefined
  readonly resume: (exit: Exit.Exit<void> | Ended) => void
}

/**
 * From the event loop to whoever takes the requests: a policy, or a program that
 * consumes them itself. What nobody has taken waits on its connection, and
 * connections wait in a {@link Ring}.
 */
export class Intake<In, Out> implements Source<Incoming<In, Out>, ServerError> {
  /** All requests, one by one: what is not pulled is not taken. */
  readonly requests: Stream.Stream<Incoming<In, Out>, ServerError>
  private readonly context: ServerContext<In, Out>
  private readonly ring: Ring<Incoming<In, Out>>
  private takers: Array<Taker<In, Out>> = []
  private exit: Ended | undefined = undefined
  readonly consumers: Consumers
  /** Of the connections that wait, how many nobody waits for any more. */
  private stale = 0
  private armed = false
  /** What begins in a turn of the event loop, and whether one is counted. */
  private readonly turn: Turn
  private inTurn = false
  /** Whether some of the places of those that were taken last were free again at once. */
  private placesPass = false

  constructor(context: ServerContext<In, Out>) {
    this.context = context
    this.ring = new Ring(context.limits.turnShare)
    this.turn = new Turn(context)
    this.consumers = new Consumers(context, () => this.drop())
    this.requests = streamed(
      Stream.unwrap(Effect.as(this.consumers.one, Stream.fromPull(Effect.succeed(this.takeOne)))),
      Effect.as(this.consumers.one, this)
    )
  }

  /**
   * Requests have arrived. All that arrive in one turn of the event loop, on
   * whatever connections, reach the policy together at its end: waking the
   * policy costs more than an echo (`pnpm bench`, "1 outstanding": 1.3 times
   * `node:net` with a wake for each, 1.0 times with one for all).
   */
  arrive(line: Line<In, Out>): void {
    this.ring.add(line)
    this.arm()
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    this.context.tick.soon(this.deliver)
  }

  /**
   * A turn: those who wait for requests get them, until it has had its share. The
   * rest comes in the next one, so that the event loop reads, accepts and fires
   * timers in between, however much some peers have sent at once.
   */
  private readonly deliver = (): void =>
    this.context.tick.run(() => {
      this.armed = false
      const wasQuick = this.turn.isQuick
      this.begin()
      if (this.consumers.areGone && this.ring.size > 0) this.context.afterTick(() => this.consumers.look(), 2)
      // Answers given at once make room for what their connections have over the pipelining limit.
      while (this.turn.left > 0 && this.takers.length > 0 && this.ring.size > 0) this.serve()
      if (this.ring.size > 0) {
        // Who is still there to take them has found the turn over; the others wait for places.
        const isPlaced = this.takers.length > 0
        const isQuick = isPlaced ? this.turn.isQuick : wasQuick && this.placesPass
        const share = isPlaced ? this.quickShare : this.context.limits.turnShare
        this.ring.settle(isQuick ? share : 1)
        if (isPlaced) this.arm()
      } else if (this.exit !== undefined) this.dismiss(this.exit)
      this.inTurn = this.turn.left === 0 && this.ring.size > 0
    })

  /** How many requests of a connection begin one after the other where all are quick, in a turn that many share. */
  private get quickShare(): number {
    const { maxPipelined, turnRequests } = this.context.limits
    return Math.max(1, Math.min(maxPipelined, turnRequests / 32))
  }

  private serve(): void {
    const taker = this.takers.shift() as Taker<In, Out>
    if (taker.one === undefined) return taker.resume(Exit.void)
    const incoming = this.next()
    if (incoming === undefined) this.takers.unshift(taker)
    else taker.one(Exit.succeed([incoming]))
  }

  private begin(): void {
    this.inTurn = true
    this.turn.begin(1)
  }

  /** The next request whose turn it is. */
  readonly next = (): Incoming<In, Out> | undefined => {
    const { turn } = this
    if (!this.inTurn) {
      this.begin()
      this.placesPass = turn.beganAt - turn.spentAt <= 1
      this.arm()
    }
    if (turn.isOver) return undefined
    const incoming = this.ring.next()
    if (incoming !== undefined) turn.spend()
    return incoming
  }

  readonly back = (incoming: Incoming<In, Out>, isShared: boolean): void => incoming.on.line.back(incoming, isShared)

  readonly more: Effect.Effect<void, ServerError | Cause.Done> = Effect.callback((resume) =>
    this.wait({ one: undefined, resume })
  )

  /** The next request alone; ends with `Done` when the server has stopped. */
  readonly takeOne: Pull.Pull<readonly [Incoming<In, Out>], ServerError> = Effect.suspend(() => {
    // Whoever is resumed with a request, and takes again at once, has no right to another's.
    const incoming = this.takers.length > 0 ? undefined : this.next()
    return incoming === undefined ? this.waitOne : Effect.succeed([incoming] as const)
  })

  private readonly waitOne: Pull.Pull<readonly [Incoming<In, Out>], ServerError> = Effect.callback((resume) =>
    this.wait({ one: resume, resume: resume as Taker<In, Out>["resume"] })
  )

  /** A fiber may yield between looking and waiting: what has come meanwhile is delivered. */
  private wait(taker: Taker<In, Out>): Effect.Effect<void> {
    this.takers.push(taker)
    if (this.ring.size > 0) this.arm()
    else if (this.exit !== undefined) this.dismiss(this.exit)
    return Effect.sync(() => {
      this.takers = this.takers.filter((other) => other !== taker)
    })
  }

  private dismiss(exit: Ended): void {
    const { takers } = this
    this.takers = []
    for (const taker of takers) taker.resume(exit)
  }

  /** A request that waits has been cancelled. Connections that have no other are let go of when they are many. */
  abandon(line: Line<In, Out>): void {
    if (!line.queued || line.hasWaiting || ++this.stale <= Math.max(16, this.ring.size / 2)) return
    this.stale = 0
    this.ring.retain(hasWaiting)
  }

  /** Whether requests of other connections wait. */
  othersWait(request: Incoming<In, Out>): boolean {
    this.ring.retain(hasWaiting)
    return this.ring.size > (request.on.line.queued ? 1 : 0)
  }

  /** Nothing will come any more. */
  end(exit: Exit.Exit<never, ServerError | Cause.Done> = ended): void {
    if (this.exit !== undefined) return
    this.exit = exit
    this.ring.retain(hasWaiting)
    if (this.ring.size === 0) this.dismiss(exit)
  }

  /** What waits is taken by nobody. */
  private drop(): void {
    for (let incoming = this.ring.next(); incoming !== undefined; incoming = this.ring.next())
      incoming.on.replies.drop(incoming)
  }
}

const hasWaiting = ({ hasWaiting }: { readonly hasWaiting: boolean }): boolean => hasWaiting

const ended: Ended = Exit.fail(Cause.Done())
