import * as Effect from "effect/Effect"
import type { Side } from "../Codec.ts"
import type * as Wire from "../Wire.ts"
import { Backpressure } from "./backpressure.ts"
import { type Bounds, Collected } from "./collected.ts"
import type { Gathered } from "./resuming.ts"
import type { Tick } from "./tick.ts"
import type { Unencodable } from "./unencodable.ts"
import type { Encoded, Framed } from "./writing.ts"

/** Whose output it is. */
export interface Owner {
  /** Something was sent, or is not because the peer does not keep up. */
  readonly holding: { readonly account: () => void }
  /** Not all that was written has left at once. */
  readonly timeouts: { readonly unsent: () => void }
  /** Whether what is collected waits for more that is about to follow. */
  readonly gathers?: (output: Gathered) => boolean
}

/**
 * The writing half of a connection: when what is {@link Collected} may be sent,
 * and whether the peer keeps up. While it does not, what is added stays here.
 */
export class Outbox<Out> implements Gathered {
  private readonly wire: Wire.Wire
  private readonly tick: Tick
  private readonly collected: Collected<Out>
  private readonly pressure = new Backpressure()
  owner: Owner | undefined = undefined
  turnsWaited = 0
  private marked = false
  /** The transport is being changed: nothing is handed to it. */
  private held = false
  /**
   * `open`; `ending` if it is to end after what is collected; `ended` when
   * nothing more can be written; `finished` when all of it has left; `closed`
   * when nobody reads it.
   */
  private state: "open" | "ending" | "ended" | "finished" | "closed" = "open"

  constructor(wire: Wire.Wire, side: Side<unknown, Out>, tick: Tick, bounds?: Bounds) {
    this.wire = wire
    this.collected = new Collected(wire, side, bounds)
    this.tick = tick
  }

  /** The peer does not keep up. */
  get blocked(): boolean {
    return this.pressure.isOn
  }

  /** Whether nobody reads what is written. */
  get isClosed(): boolean {
    return this.state === "closed"
  }

  /** Whether nothing more is written, though it may be read. */
  get isEnding(): boolean {
    return this.state === "ending" || this.state === "ended" || this.state === "finished"
  }

  /** Whether everything that was written has left, and nothing more will be. */
  get isFinished(): boolean {
    return this.state === "finished"
  }

  /** What the system has not taken yet. It falls while the peer reads. */
  get unsent(): number {
    return this.collected.size + this.wire.bytesUnsent
  }

  /** Adds a message; says why if it cannot be encoded. */
  add(message: Out | Encoded | Framed): string | undefined {
    if (this.state !== "open") return undefined
    const { collected } = this
    const problem = collected.add(message)
    if (problem !== undefined) return problem
    if (collected.isFull && !collected.separate) this.sendNow()
    else if (!this.marked) {
      this.marked = true
      this.tick.mark(this)
    }
    return undefined
  }

  /** Makes the frame of a message that is added later, or says why it has none. */
  frame(message: Out | Encoded): Framed | Unencodable {
    return this.collected.frame(message)
  }

  /** Sends bytes as they are. */
  pass(bytes: Uint8Array): void {
    if (this.state !== "open") return
    this.wrote(this.wire.write(bytes))
    this.owner?.holding.account()
  }

  /** Sends what there is, then half-closes. */
  end(): void {
    if (this.state !== "open") return
    this.state = "ending"
    this.sendNow()
  }

  /** At the end of a turn. */
  flush(): void {
    if (!this.marked || this.owner?.gathers?.(this) !== true) this.sendNow()
  }

  /** Sends what the transport takes. */
  sendNow(): void {
    this.marked = false
    this.turnsWaited = 0
    if (!this.held && (!this.blocked || this.collected.separate)) this.send()
    else this.owner?.holding.account()
  }

  /** Hands all that there is to the transport, whether the peer keeps up or not. */
  handOver(): void {
    this.marked = false
    this.turnsWaited = 0
    this.send(true)
  }

  /** Sends what there is; what is added from now on waits for {@link release}. */
  hold(): void {
    this.handOver()
    this.held = true
    this.pressure.wrote(false)
  }

  release(): void {
    if (!this.held) return
    this.held = false
    this.onDrain()
  }

  /** Completes when the peer keeps up (again), or is gone. */
  get writable(): Effect.Effect<void> {
    return this.room((wait) => wait)
  }

  /** The same; what waits does what else has to be done meanwhile. */
  room(waiting: (wait: Effect.Effect<void>) => Effect.Effect<void>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const full = !this.blocked && this.full
      if (full) this.sendNow()
      const drained = this.blocked ? waiting(this.pressure.off) : Effect.void
      // Datagrams may be taken at once, again and again: others want their turn, too.
      return this.collected.separate && (full || drained !== Effect.void)
        ? Effect.andThen(drained, Effect.yieldNow)
        : drained
    })
  }

  /** Whether more should wait until it is {@link writable}. */
  get full(): boolean {
    const { collected } = this
    return collected.isFull || (this.blocked && !collected.separate)
  }

  /** Whether so much waits for the peer that nothing more of what it has not asked for is added. */
  get isOverfull(): boolean {
    return this.blocked && this.unsent >= this.collected.most
  }

  /** Whether there is something that has not been handed to the transport. */
  get pending(): boolean {
    return this.marked || !this.collected.isEmpty
  }

  onDrain(): void {
    if (this.held) return
    // Datagrams do not wait for it.
    this.pressure.lift(() => {
      if (!this.collected.separate) this.send()
    })
  }

  /** Everything that was written has left. Who has been ended does not say that it has drained. */
  onFinish(): void {
    if (this.state === "ended") this.state = "finished"
    this.onDrain()
  }

  close(): void {
    this.state = "closed"
    this.collected.clear()
    this.pressure.end()
  }

  private wrote(writable: boolean): void {
    this.pressure.wrote(writable)
    if (!writable || this.wire.bytesUnsent > 0) this.owner?.timeouts.unsent()
  }

  private send(everything?: boolean): void {
    if (this.state !== "open" && this.state !== "ending") return
    this.wrote(this.collected.send(everything))
    this.owner?.holding.account()
    if (this.state !== "ending" || !this.collected.isEmpty) return
    this.state = "ended"
    this.wire.end()
  }
}
