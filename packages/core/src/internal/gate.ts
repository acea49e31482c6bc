import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { DatagramConnection } from "./datagramConnection.ts"
import { DialogueStream } from "./dialogueStream.ts"
import { GuardedWire } from "./guardedWire.ts"
import { Listeners } from "./listeners.ts"
import { Lookout } from "./lookout.ts"
import { Openings } from "./openings.ts"
import { Room } from "./room.ts"
import * as sizes from "./size.ts"
import { RequestStream } from "./requestStream.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { type Verifying, verifying } from "./verifying.ts"

/**
 * Where peers come in, from the {@link Listeners}: those that are let in become
 * connections, at once or after their {@link Openings}, the others are refused.
 */
export class Gate<In, Out> {
  readonly connections = new Map<number, ServerConnection<In, Out>>()
  /** Connections that have been let in since the start; datagrams are none. */
  admitted = 0
  private readonly context: ServerContext<In, Out>
  private readonly verify: Verifying
  private readonly onConnected: (connection: ServerConnection<In, Out>) => void
  private readonly listeners: Listeners
  private readonly openings: Openings
  readonly lookout: Lookout<In, Out>
  private readonly room: Room
  private state: "open" | "closing" | "closed" = "open"
  /** Whether nobody new is let in, though the server goes on. */
  isSuspended = false

  constructor(
    context: ServerContext<In, Out>,
    verify: Transport.Verify | undefined,
    onConnected: (connection: ServerConnection<In, Out>) => void
  ) {
    this.context = context
    this.listeners = new Listeners(context.troubles)
    this.verify = verifying(verify, context.run)
    this.onConnected = onConnected
    this.openings = new Openings(context, () => this.regulate())
    this.lookout = new Lookout(context, this.connections)
    this.room = new Room(context, () => [...this.connections.values(), ...this.openings.occupants])
  }

  /** It is bound. */
  listen(listeners: ReadonlyArray<Transport.Listening>): void {
    this.listeners.bind(listeners)
    if (this.state === "open") this.regulate()
    // One of them has died while others were being bound.
    else this.listeners.close()
  }

  /** A peer has connected. */
  accept(wire: Wire.Wire): void {
    const { listener, peer } = wire
    const verified = this.verify(peer, listener)
    if (verified === Exit.void && !this.isFull && this.state === "open") return this.admit(wire)
    const mayCome = !(Exit.isExit(verified) && Exit.isFailure(verified))
    this.enter({ listener, destroy: () => wire.destroy() }, () => peer, Effect.as(verified, wire), mayCome)
  }

  /** A peer has connected, and something comes before its first byte is the protocol's. It counts as a connection. */
  open(opening: Transport.Opening): void {
    const { allow, introduce, listener, secure } = opening
    let { peer } = opening
    const introduced = Effect.map(introduce ?? Effect.succeed(peer), (introduced) => {
      peer = introduced
    })
    const verified = Effect.suspend(() => (allow?.(peer) === false ? notAllowed : this.verify(peer, listener)))
    const secured = Effect.suspend(() => secure(peer))
    const mayCome = introduce !== undefined || allow?.(peer) !== false
    this.enter(opening, () => peer, Effect.andThen(Effect.andThen(introduced, verified), secured), mayCome)
  }

  private enter(
    opening: Pick<Transport.Opening, "listener" | "destroy">,
    /** Who it is, as far as is known by then. */
    known: () => Peer.Peer,
    ready: Effect.Effect<Wire.Wire, Outcome.Refused>,
    /** Whether others may have to make room for it: not for somebody who is refused anyhow. */
    mayCome: boolean
  ): void {
    const { listener } = opening
    const destroy = () =>
      this.context.troubles.attempt(`a peer of ${listener} cannot be turned away`, () => opening.destroy())
    if (this.state !== "open") return destroy()
    // One connection less makes room for another only where it is their number that is at its limit.
    const isMany = !this.isSuspended && !this.context.budget.isTight
    if (this.isFull && !(mayCome && isMany && this.room.make() && !this.isFull)) {
      this.refuse(known(), listener, this.fullness("connections"))
      if (isMany) this.room.turnedAway()
      return destroy()
    }
    const until = (ready: Effect.Effect<Wire.Wire, Outcome.Refused>, leave: () => boolean) =>
      Effect.matchCause(ready, {
        onFailure: (cause) => {
          const stopped = !leave()
          const refused = cause.reasons.find(Cause.isFailReason)?.error
          // What is no refusal is a defect, which costs this peer its connection and nobody else anything.
          if (refused !== undefined) this.refuse(known(), listener, refused)
          else if (!stopped || !Cause.hasInterruptsOnly(cause)) this.lose(Cause.squash(cause))
          destroy()
        },
        onSuccess: (wire) => {
          if (!leave()) return new GuardedWire(wire, this.context).destroy()
          this.context.tick.run(() => this.admit(wire))
        }
      })
    this.openings.begin(ready, destroy, until, {
      known,
      refuse: (refused) => this.refuse(known(), listener, refused)
    })
  }

  /** A datagram has arrived. */
  receive(datagram: Wire.Datagram): void {
    const { listener, peer } = datagram
    const refuse = (refused: Outcome.Refused) => this.refuse(peer, listener, refused)
    const verified = this.verify(peer, listener)
    // What has arrived when a stop begins is still taken.
    if (this.state === "closed") return refuse(stops)
    if (this.isFull) return refuse(this.fullness("datagrams"))
    if (verified === Exit.void) return this.admitDatagram(datagram)
    this.openings.begin(
      verified,
      () => refuse(stops),
      (ready, leave) =>
        Effect.match(ready, {
          onFailure: (refused) => {
            if (leave()) refuse(refused)
          },
          onSuccess: () => {
            if (leave()) this.admitDatagram(datagram)
          }
        })
    )
  }

  /** A peer is turned away before it is a connection. */
  refuse(peer: Peer.Peer, listener: Endpoint.Endpoint, refused: Outcome.Refused): void {
    const { context } = this
    const id = context.nextConnectionId()
    const openedAt = context.date()
    const info = { id, peer, listener, openedAt, bytesRead: 0, bytesWritten: 0, inFlight: 0 }
    context.ledger.record(refused, undefined, info)
  }

  /** A connection could not be accepted. */
  lose(cause: unknown): void {
    this.context.ledger.counts.Refused++
    const where = this.listeners.addresses || this.context.service
    this.context.run(Effect.logWarning(`${where} could not accept a connection`, cause))
  }

  /** A connection that has been let in. */
  admit(transports: Wire.Wire, id = this.context.nextConnectionId()): void {
    const { context } = this
    const wire = new GuardedWire(transports, context)
    this.admitted++
    if (context.protocol.kind === "messages") {
      const connection = new RequestStream(context, wire, id)
      this.register(connection)
      connection.watch()
      return wire.start(connection)
    }
    const connection = new DialogueStream(context as never, wire, id)
    this.register(connection as never)
    connection.watch()
    wire.start(connection)
    connection.open()
  }

  /** A datagram that has been let in. */
  private admitDatagram(datagram: Wire.Datagram): void {
    const connection = new DatagramConnection(this.context, datagram, this.context.nextConnectionId())
    this.register(connection)
    connection.open()
  }

  private register(connection: ServerConnection<In, Out>): void {
    this.connections.set(connection.id, connection)
    this.regulate()
    this.onConnected(connection)
  }

  /** A connection has ended; whether it was one. */
  release(connection: ServerConnection<In, Out>): boolean {
    const was = this.connections.delete(connection.id)
    if (was) {
      connection.uncharge()
      this.regulate()
    }
    return was
  }

  /** Whether no more may be let in. */
  private get isFull(): boolean {
    const { budget, limits } = this.context
    return this.isSuspended || this.connections.size + this.openings.size >= limits.maxConnections || budget.isTight
  }

  private fullness(what: string): Outcome.Refused {
    const { budget, limits } = this.context
    if (this.isSuspended) return suspended
    if (!budget.isTight) return tooMany(limits.maxConnections, what)
    budget.refused()
    return Outcome.refused(`nearly maxMemory (${sizes.format(limits.maxMemory)}) is held`)
  }

  /** Lets nobody new in, or lets them in again. */
  suspend(suspended: boolean): void {
    this.isSuspended = suspended
    this.regulate()
  }

  /** Other limits hold. */
  limited(): void {
    this.regulate()
    for (const connection of this.connections.values()) connection.limited()
  }

  /** Whether there is room has changed. */
  regulate(): void {
    this.listeners.regulate(this.isFull)
  }

  /** A stop begins: nobody new is let in. */
  close(): void {
    this.state = "closing"
    this.listeners.close()
    this.openings.breakOff()
  }

  /** What has arrived by now was taken; nothing is taken any more. */
  shut(): void {
    this.state = "closed"
    // A datagram that has come since the stop began may be waiting to be let in.
    this.openings.breakOff()
  }

  /** The server has stopped. */
  end(): void {
    this.lookout.end()
    this.listeners.end()
  }
}

const tooMany = (max: number, what: string): Outcome.Refused => Outcome.refused(`more than ${max} ${what}`)

const suspended = Outcome.refused("accepting is suspended")

const notAllowed = Exit.fail(Outcome.refused("allow"))

const stops = Outcome.refused("the server stops")
