import * as Outcome from "../Outcome.ts"
import type { Payload } from "../Protocol.ts"
import type { Holder } from "./budget.ts"
import { requestCost } from "./line.ts"
import type { ValueHolder } from "./reading.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * What a connection holds in memory, as its server's budget knows it: what has arrived and is not
 * answered, what is not sent, what handlers take that wait for a peer, and what others hold for it.
 */
export abstract class Holding<In, Out> implements Holder, ValueHolder {
  /** Below 0 once it holds nothing any more. */
  charged = 0
  // Only where a policy has its requests handled elsewhere.
  declare private aside: number | undefined
  // Only where handlers wait for a peer.
  declare private waitingCost: number | undefined
  declare private awaitedCost: number | undefined
  /** What of its input has a bound of its own. Only where anything has. */
  declare bounded: number | undefined
  protected readonly on: ServerConnection<In, Out>

  constructor(on: ServerConnection<In, Out>) {
    this.on = on
  }

  /** What has arrived and is no request yet, but for what has a bound of its own; with `costs`, what that takes in memory. */
  protected abstract inputBytes(costs: boolean): number
  /** What it holds of a message that is not whole, in memory. */
  protected abstract readonly unfinishedBytes: number

  /** What has arrived and is not answered, and what is not sent. With `costs`, what that takes in memory. */
  bytes(costs: boolean): number {
    const { line, outbox } = this.on
    const input = this.inputBytes(costs) + (this.bounded ?? 0)
    const held = line.bytes(costs) + outbox.unsent + (this.aside ?? 0) + input
    return costs ? held + (this.waitingCost ?? 0) : held
  }

  /** Whether a request may begin, the first of those that are there or not: its peer keeps up, and not too many replies wait for one before them. */
  mayBegin(isFirst: boolean): boolean {
    const { context, line, outbox } = this.on
    const { maxBuffered } = context.limits
    if (outbox.full && !outbox.isClosed) return false
    return isFirst || this.charged < maxBuffered || line.parkedBytes + outbox.unsent + (this.aside ?? 0) < maxBuffered
  }

  /** Whether that is as much as a connection may. */
  get isMost(): boolean {
    const { bounded = 0 } = this
    const { maxBuffered } = this.on.context.limits
    // It costs more than it is.
    return this.charged - bounded >= maxBuffered && this.bytes(false) - bounded >= maxBuffered
  }

  account(): void {
    const { charged } = this
    if (charged < 0) return
    const held = this.bytes(true)
    if (held === charged) return
    this.charged = held
    this.on.context.budget.change(held - charged)
  }

  weigh(payload: Payload): number {
    const { budget, protocol, side } = this.on.context
    if (!budget.looks) return 0
    const { length } = payload
    // In an inbox it counts by its bytes, whatever is in them.
    return protocol.kind === "connection"
      ? length + side.weight(length)
      : requestCost + length + side.weight(length, payload)
  }

  /** Nothing is made of what comes that would be thrown away at once, since nobody holds more. */
  mayHold(bytes: number): boolean {
    const { budget } = this.on.context
    return !budget.looks || budget.mayHold(this, bytes)
  }

  /** More has come than it may hold: its connection is reset, and nothing is made of that. */
  overflow(): void {
    if (this.charged >= 0) this.on.context.budget.refuse(this)
  }

  charge(bytes: number, isAwaited = false): void {
    this.aside = (this.aside ?? 0) + bytes
    if (isAwaited) this.awaitedCost = (this.awaitedCost ?? 0) + bytes
    this.add(bytes)
  }

  /** Handlers that wait for a peer take so much more, or less: beside what was received, and what is sent. */
  waits(bytes: number): void {
    this.waitingCost = (this.waitingCost ?? 0) + bytes
    this.add(bytes)
  }

  /** The same of its own peer, which is to say something. */
  awaits(bytes: number): void {
    this.awaitedCost = (this.awaitedCost ?? 0) + bytes
    this.waits(bytes)
  }

  private add(bytes: number): void {
    // One that has ended counts no more. It still says what was not let go of.
    if (this.charged < 0) return
    this.charged += bytes
    this.on.context.budget.change(bytes)
  }

  /** It holds nothing any more. */
  end(): void {
    const { charged } = this
    const { budget } = this.on.context
    budget.leave(this)
    this.charged = -1
    if (charged > 0) budget.change(-charged)
  }

  get isStuck(): boolean {
    return this.on.outbox.blocked || this.awaitsMost
  }

  get stuckSince(): number | undefined {
    const { activity, outbox } = this.on
    if (outbox.blocked) return activity.unsentSince
    // Of these it is known at once.
    if (this.awaitsMost) return -Infinity
    // Whoever sends the rest of a message slowly, or never, has others wait as much as who does not read.
    return this.unfinishedBytes * 2 >= this.charged ? activity.inFrameSince : undefined
  }

  /** Whether most of what it holds is held by handlers that wait for what its peer says. */
  private get awaitsMost(): boolean {
    const { awaitedCost } = this
    return awaitedCost !== undefined && awaitedCost > 0 && awaitedCost * 2 >= this.charged
  }

  abstract goOn(): void

  evict(): void {
    const { context, line, outbox, wire } = this.on
    const outcome = Outcome.cancelled("OutOfMemory")
    if (line.inFlight === 0) context.ledger.record(outcome, undefined, this.on)
    this.on.endedBy ??= "self"
    line.cancelAll(outcome)
    this.end()
    outbox.close()
    wire.reset()
  }
}
