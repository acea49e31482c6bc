import * as Cause from "effect/Cause"
import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import type * as Transport from "../Transport.ts"
import { Admitting } from "./admitting.ts"
import { Census } from "./census.ts"
import { Connections } from "./connections.ts"
import type { ServerContext } from "./context.ts"
import { Entry } from "./entry.ts"
import { Listeners } from "./listeners.ts"
import { Lookout } from "./lookout.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * Whether anybody comes in, from when it is bound until it has stopped: what the {@link Listeners} bring goes
 * through the {@link Entry}, and becomes a connection by {@link Admitting} it.
 */
export class Gate<In, Out> {
  readonly connections = new Connections<ServerConnection<In, Out>>()
  readonly entry: Entry<In, Out>
  readonly admitting: Admitting<In, Out>
  readonly lookout: Lookout<In, Out>
  private readonly context: ServerContext<In, Out>
  private readonly listeners: Listeners

  constructor(
    context: ServerContext<In, Out>,
    verify: Transport.Verify | undefined,
    onConnected: (connection: ServerConnection<In, Out>) => void
  ) {
    const { connections } = this
    this.context = context
    this.listeners = new Listeners(context.troubles)
    const census = new Census(connections, () => this.entry.openings.counted)
    const onChanged = () => this.regulate()
    this.admitting = new Admitting(context, connections, census, (connection) => {
      onChanged()
      onConnected(connection)
    })
    const onLost = (cause: unknown) => this.lose(cause)
    this.entry = new Entry({ context, admitting: this.admitting, census, verify, onChanged, onLost })
    this.lookout = new Lookout(context, connections)
  }

  /** It is bound. */
  listen(listeners: ReadonlyArray<Transport.Listening>): void {
    this.listeners.bind(listeners)
    this.context.traffic.listen(listeners.map(({ address }) => address))
    if (this.entry.isOpen) return this.regulate()
    // One of them has died while others were being bound.
    this.listeners.close()
    this.listeners.shut()
  }

  /** Where it listens, as text. */
  get addresses(): string {
    return this.listeners.addresses
  }

  /** A connection could not be accepted, or a datagram not be received. */
  lose(cause: unknown, kind: Connection.Info["kind"] = "stream", at?: Endpoint.Endpoint): void {
    this.context.ledger.counts.Refused++
    this.context.ledger.refusals.Opening++
    this.context.traffic.lost(at)
    const listener = this.listeners.addresses
    const [what, problem] =
      kind === "datagram" ? ["datagram", "could not be received"] : ["connection", "could not be accepted"]
    const text = `a ${what}${listener && ` to ${listener}`} ${problem}`
    const facts = { listener, outcome: "Refused" }
    this.context.log.say("Warn", `${what}s that ${problem}`, text, facts, Cause.die(cause))
  }

  /** A connection has ended; whether it was one. */
  release(connection: ServerConnection<In, Out>): boolean {
    const was = this.admitting.release(connection)
    if (was) {
      this.regulate()
      this.entry.queue.left(connection)
    }
    return was
  }

  /** Whether nobody new is let in, though the server goes on. */
  get isSuspended(): boolean {
    return this.entry.capacity.isSuspended
  }

  /** Peers that are not ready yet: in a handshake, before their header, or being verified. */
  get opening(): number {
    return this.entry.openings.size
  }

  /** Lets nobody new in, or lets them in again. */
  suspend(suspended: boolean): void {
    const { capacity, queue } = this.entry
    capacity.isSuspended = suspended
    this.regulate()
    if (!suspended) queue.limited()
  }

  /** Other limits hold. */
  limited(): void {
    this.regulate()
    this.entry.limited()
    for (const connection of this.connections.values()) connection.limited()
  }

  /** Whether there is room has changed. */
  regulate(): void {
    this.listeners.regulate(this.entry.clear())
  }

  /** A stop begins: nobody new is let in, but who waits in a queue. */
  close(): void {
    this.listeners.close()
    this.entry.close()
  }

  /** Whether somebody waits in a queue of the system: who does is taken in, one or some in a turn of the event loop. */
  get hasQueue(): boolean {
    return this.listeners.queue
  }

  /** Nobody comes any more. What comes before a connection, and has begun, gets a moment to end; then `then` is called. */
  finish(then: () => void): void {
    const { drainMillis } = this.context.limits
    this.entry.openings.finish(Math.min(openingMillis, drainMillis / 2), then)
  }

  /** The queues have been emptied. */
  closeQueues(): void {
    this.listeners.shut()
  }

  /** What has arrived by now was taken; nothing is taken any more. */
  shut(): void {
    this.entry.shut()
  }

  /** The server has stopped. */
  end(): void {
    this.lookout.end()
    this.listeners.end()
  }
}

/** How long a stop lets what comes before a connection go on, and waits for its first byte; half of a drain that is shorter than twice that. */
const openingMillis = 500
