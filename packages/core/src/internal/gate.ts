import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import { Connections } from "./connections.ts"
import type { ServerContext } from "./context.ts"
import { ControlledStream } from "./controlledStream.ts"
import { DatagramConnection } from "./datagramConnection.ts"
import { Capacity } from "./capacity.ts"
import { CalledStream } from "./calledStream.ts"
import { Census } from "./census.ts"
import { DialogueStream } from "./dialogueStream.ts"
import { Farewells } from "./farewells.ts"
import { GuardedWire } from "./guardedWire.ts"
import { Listeners } from "./listeners.ts"
import { Lookout } from "./lookout.ts"
import { Arrival, Openings, type Step } from "./openings.ts"
import { peerKeyOf } from "./peerKey.ts"
import { PeerQueue } from "./peerQueue.ts"
import { Room } from "./room.ts"
import { anybody } from "./slots.ts"
import { RequestStream } from "./requestStream.ts"
import type { ServerConnection } from "./serverConnection.ts"
import { type Verifying, verifying } from "./verifying.ts"

/**
 * Where peers come in, from the {@link Listeners}: those that are let in become
 * connections, at once or after their {@link Openings}, the others are refused.
 */
export class Gate<In, Out> {
  readonly connections = new Connections<ServerConnection<In, Out>>()
  /** Connections that have been let in since the start; datagrams are none. */
  admitted = 0
  /** Connections and datagrams that have arrived since the start, let in or not. */
  arrivals = 0
  private readonly context: ServerContext<In, Out>
  private readonly verify: Verifying
  private readonly onConnected: (connection: ServerConnection<In, Out>) => void
  private readonly listeners: Listeners
  private readonly openings: Openings
  readonly lookout: Lookout<In, Out>
  private readonly room: Room
  private readonly census: Census
  private readonly farewells: Farewells
  private readonly capacity: Capacity
  private readonly queue: PeerQueue
  private state: "open" | "closing" | "closed" = "open"

  constructor(
    context: ServerContext<In, Out>,
    verify: Transport.Verify | undefined,
    onConnected: (connection: ServerConnection<In, Out>) => void
  ) {
    this.context = context
    this.listeners = new Listeners(context.troubles)
    this.census = new Census(this.connections, () => this.openings.counted)
    this.verify = verifying(verify, this.census, context.log)
    this.onConnected = onConnected
    this.openings = new Openings(context, this.census, () => this.regulate())
    this.lookout = new Lookout(context, this.connections)
    this.room = new Room(context, () => [...this.connections.all, ...this.openings.arrivals])
    this.farewells = new Farewells(context as never)
    this.capacity = new Capacity(context, this.census, () => this.connections.size + this.openings.size)
    this.queue = new PeerQueue(context, this.census, this.capacity)
  }

  /** It is bound. */
  listen(listeners: ReadonlyArray<Transport.Listening>): void {
    this.listeners.bind(listeners)
    this.context.traffic.listen(listeners.map(({ address }) => address))
    if (this.state === "open") this.regulate()
    // One of them has died while others were being bound.
    else this.closeAll()
  }

  /** Where it listens, as text. */
  get addresses(): string {
    return this.listeners.addresses
  }

  /** A peer has connected. */
  accept(wire: Wire.Wire, scarcity?: Transport.Scarcity): void {
    this.arrivals++
    const { listener, peer } = wire
    const opening: Entrance = { listener, scarcity, destroy: () => wire.destroy(), speak: () => wire }
    const over = this.capacity.ofPeer(peer, 0, "connections")
    if (over !== undefined && !this.mayWait(opening, peer, 0)) return this.turnAway(opening, peer, over)
    const verified =
      over === undefined ? this.verify(peer, listener, 0) : Effect.suspend(() => this.verify(peer, listener, 1))
    const isEasy = scarcity === undefined && !this.boundsFirstBytes && !this.isFull && this.state !== "closed"
    if (verified === Exit.void && isEasy) return this.admit(wire)
    const mayCome = over === undefined && !(Exit.isExit(verified) && Exit.isFailure(verified))
    const hold = wire.hold && (() => wire.hold!())
    const begun = () => wire.begun ?? true
    const ready = (arrival: Arrival) =>
      Effect.andThen(
        this.placed(arrival, over, hold),
        Effect.andThen(verified, this.inTurn(arrival, this.firstByte(hold), Exit.succeed(wire)))
      )
    this.enter({ ...opening, begun }, peer, ready, mayCome)
  }

  /** A peer has connected, and something comes before its first byte is the protocol's. It counts as a connection. */
  open(opening: Transport.Opening): void {
    this.arrivals++
    const { allow, begun, handshakeMillis, headerMillis, hold, introduce, listener, peer, scarcity, secure } = opening
    // Without a handshake its wire is there at once.
    const speak = (known: Peer.Peer) => {
      const secured = handshakeMillis === undefined ? secure(known) : undefined
      return Exit.isExit(secured) && Exit.isSuccess(secured) ? (secured.value as Wire.Wire) : undefined
    }
    const entrance: Entrance = { listener, scarcity, destroy: () => opening.destroy(), speak, allow, begun }
    // Whoever introduces others may have as many as there are of those.
    const over = introduce === undefined ? this.capacity.ofPeer(peer, 0, "connections") : undefined
    if (over !== undefined && !this.mayWait(entrance, peer, 0)) return this.turnAway(entrance, peer, over)
    const step = (name: string, millis: number | undefined, keeps: boolean): Step | undefined =>
      millis === undefined ? undefined : { name, millis, hold, keeps }
    const header = step("header", headerMillis, false)
    const last = step("handshake", handshakeMillis, this.boundsFirstBytes) ?? this.firstByte(hold)
    const ready = (arrival: Arrival) =>
      Effect.andThen(
        this.placed(arrival, over, hold),
        Effect.flatMap(this.inTurn(arrival, header, introduce ?? Effect.succeed(peer), anybody), (known) => {
          const placed = known === peer ? Exit.void : this.introduced(arrival, known, entrance, hold)
          const verified = Effect.suspend(() =>
            allow?.(known) === false ? notAllowed : this.verify(known, listener, 1)
          )
          const secured = Effect.suspend(() => secure(known))
          return Effect.andThen(Effect.andThen(placed, verified), this.inTurn(arrival, last, secured))
        })
      )
    const mayCome = over === undefined && (introduce !== undefined || allow?.(peer) !== false)
    this.enter(entrance, peer, ready, mayCome)
  }

  /** Whether one over what its peer may have may wait for that. `itself` is 1 where it is counted already. */
  private mayWait({ allow, scarcity }: Entrance, peer: Peer.Peer, itself: 0 | 1): boolean {
    if (scarcity !== undefined || this.state !== "open") return false
    return this.queue.takes(peerKeyOf(peer), itself) && allow?.(peer) !== false
  }

  /** Waits for a place of its peer, if it is over what that may have. It is in the queue at once. */
  private placed(
    arrival: Arrival,
    over: Outcome.Refused | undefined,
    hold: Transport.Opening["hold"]
  ): Effect.Effect<void, Outcome.Refused> {
    if (over === undefined) return Exit.void
    this.openings.enqueue(arrival, this.queue)
    return this.queue.wait(arrival, over, hold)
  }

  /** Where the first byte has to come in time, those that wait for it are bounded, too. */
  private firstByte(hold: Transport.Opening["hold"]): Step | undefined {
    const { firstByteMillis: millis } = this.context.limits
    return this.boundsFirstBytes ? { name: "first byte", millis, hold, keeps: true } : undefined
  }

  private get boundsFirstBytes(): boolean {
    return this.context.limits.firstByteMillis < Infinity
  }

  private inTurn<A>(
    arrival: Arrival,
    step: Step | undefined,
    use: Effect.Effect<A, Outcome.Refused>,
    key?: string
  ): Effect.Effect<A, Outcome.Refused> {
    return step === undefined ? use : this.openings.inTurn(arrival, step, use, key)
  }

  /** It is known now who a peer is, which may have too many. */
  private introduced(
    arrival: Arrival,
    peer: Peer.Peer,
    entrance: Entrance,
    hold: Transport.Opening["hold"]
  ): Effect.Effect<void, Outcome.Refused> {
    this.openings.introduce(arrival, peer)
    const over = this.capacity.ofPeer(peer, 1, "connections")
    return over === undefined || this.mayWait(entrance, peer, 1) ? this.placed(arrival, over, hold) : Exit.fail(over)
  }

  private turnAway(opening: Entrance, peer: Peer.Peer, refused: Outcome.Refused): void {
    if (this.state === "closed") return this.destroy(opening)
    const info = this.refuse(peer, opening.listener, refused)
    const wire = this.state === "open" ? opening.speak?.(peer) : undefined
    if (wire === undefined || !this.farewells.say(wire, refused, info)) this.destroy(opening)
  }

  private destroy(opening: Entrance): void {
    const { listener } = opening
    this.context.troubles.attempt(`a peer of ${listener} cannot be turned away`, () => opening.destroy())
  }

  private enter(
    opening: Entrance,
    peer: Peer.Peer,
    readyOf: (arrival: Arrival) => Effect.Effect<Wire.Wire, Outcome.Refused>,
    /** Whether others may have to make room for it: not for somebody who is refused anyhow. */
    mayCome: boolean
  ): void {
    const { begun, listener, scarcity } = opening
    const destroy = () => this.destroy(opening)
    if (this.state === "closed") return destroy()
    if (scarcity !== undefined) {
      // Its own place is one of the last, so that who makes room does so for the next.
      if (mayCome && !this.queue.makeRoom()) this.room.make("Scarcity")
      this.context.limitLog.reached(scarcity.of, scarcity.limit, "refused", peer.name)
      return this.turnAway(opening, peer, Outcome.refused(`no ${scarcity.of} are left`, "Scarcity"))
    }
    if (mayCome && !this.capacity.isSuspended) this.context.budget.makeRoom()
    // One connection less makes room for another only where it is their number that is at its limit.
    const { isMany } = this.capacity
    if (this.isFull && !(mayCome && isMany && this.room.make() && !this.isFull)) {
      return this.turnAway(opening, peer, this.capacity.fullness("connections"))
    }
    const giveWay = (arrival: Arrival, refused: Outcome.Refused) => {
      if (!this.openings.takeOut(arrival)) return
      this.turnAway(opening, arrival.peer, refused)
      this.queue.left(arrival)
    }
    const arrival = new Arrival(peer, this.context.now(), giveWay, begun)
    const until = (ready: Effect.Effect<Wire.Wire, Outcome.Refused>, leave: () => boolean) =>
      Effect.matchCause(ready, {
        onFailure: (cause) => {
          const stopped = !leave()
          this.queue.left(arrival)
          const refused = cause.reasons.find(Cause.isFailReason)?.error
          // What is no refusal is a defect, which costs this peer its connection and nobody else anything.
          if (refused !== undefined && !stopped) return this.turnAway(opening, arrival.peer, refused)
          if (refused !== undefined) this.refuse(arrival.peer, listener, refused)
          else if (!stopped || !Cause.hasInterruptsOnly(cause)) this.lose(Cause.squash(cause))
          destroy()
        },
        onSuccess: (wire) => {
          if (!leave()) return new GuardedWire(wire, this.context).destroy()
          const heard = this.openings.keep(arrival)
          this.context.tick.run(() => this.admit(wire, undefined, heard))
        }
      })
    this.openings.begin(arrival, readyOf(arrival), destroy, until)
  }

  /** A datagram has arrived. */
  receive(datagram: Wire.Datagram): void {
    this.arrivals++
    const { listener, peer } = datagram
    const refuse = (refused: Outcome.Refused) => void this.refuse(peer, listener, refused, "datagram")
    // What has arrived when a stop begins is still taken.
    if (this.state === "closed") return refuse(stops)
    const over = this.capacity.ofPeer(peer, 0, "datagrams")
    if (over !== undefined) return refuse(over)
    const verified = this.verify(peer, listener, 0)
    if (this.isFull) return refuse(this.capacity.fullness("datagrams"))
    if (verified === Exit.void) return this.admitDatagram(datagram)
    const arrival = new Arrival(peer, this.context.now())
    this.openings.begin(
      arrival,
      verified,
      () => refuse(stops),
      (ready, leave) =>
        Effect.match(ready, {
          onFailure: (refused) => {
            if (leave()) refuse(refused)
            this.queue.left(arrival)
          },
          onSuccess: () => {
            if (leave()) this.admitDatagram(datagram)
          }
        })
    )
  }

  /** A peer is turned away before it is a connection. */
  refuse(
    peer: Peer.Peer,
    listener: Endpoint.Endpoint,
    refused: Outcome.Refused,
    kind: Connection.Info["kind"] = "stream"
  ): Connection.Info {
    const { context } = this
    const id = context.nextConnectionId()
    const openedAt = context.date()
    const info = {
      id,
      kind,
      peer,
      listener,
      openedAt,
      bytesRead: 0,
      bytesWritten: 0,
      inFlight: 0,
      endedBy: "self"
    } as const
    context.ledger.record(refused, undefined, info)
    return info
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

  /** A connection that has been let in. */
  admit(transports: Wire.Wire, id = this.context.nextConnectionId(), onHeard?: () => void): void {
    const { context } = this
    const wire = new GuardedWire(transports, context)
    this.admitted++
    if (context.protocol.kind === "messages") {
      const connection = streamOf(context, wire, id)
      if (onHeard !== undefined) connection.onHeard = onHeard
      this.register(connection)
      connection.watch()
      return wire.start(connection)
    }
    const connection = new DialogueStream(context as never, wire, id)
    if (onHeard !== undefined) connection.onHeard = onHeard
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
    this.connections.add(connection)
    this.context.traffic.came(connection)
    this.census.came("connections", connection)
    this.regulate()
    this.onConnected(connection)
  }

  /** A connection has ended; whether it was one. */
  release(connection: ServerConnection<In, Out>): boolean {
    const was = this.connections.delete(connection)
    if (was) {
      this.context.traffic.left(connection)
      this.census.left("connections", connection)
      connection.onHeard?.()
      connection.uncharge()
      this.regulate()
      this.queue.left(connection)
    }
    return was
  }

  private get isFull(): boolean {
    return this.capacity.isFull
  }

  /** Whether nobody new is let in, though the server goes on. */
  get isSuspended(): boolean {
    return this.capacity.isSuspended
  }

  /** Peers that are not ready yet: in a handshake, before their header, or being verified. */
  get opening(): number {
    return this.openings.size
  }

  /** Lets nobody new in, or lets them in again. */
  suspend(suspended: boolean): void {
    this.capacity.isSuspended = suspended
    this.regulate()
    if (!suspended) this.queue.limited()
  }

  /** Other limits hold. */
  limited(): void {
    this.regulate()
    this.openings.limited()
    this.queue.limited()
    for (const connection of this.connections.values()) connection.limited()
  }

  /** Whether there is room has changed. */
  regulate(): void {
    // Whoever waits for its own peer is in nobody else's way.
    while (this.queue.size > 0 && this.isFull && this.capacity.isMany && this.queue.makeRoom());
    this.listeners.regulate(this.isFull)
  }

  /** A stop begins: nobody new is let in, but who waits in a queue. */
  close(): void {
    this.state = "closing"
    this.listeners.close()
    this.farewells.end()
    this.openings.breakOffWaiting()
  }

  /** Whether somebody waits in a queue of the system: who does is taken in, one or some in a turn of the event loop. */
  get hasQueue(): boolean {
    return this.listeners.queue
  }

  /** Nobody comes any more. What comes before a connection, and has begun, gets a moment to end; then `then` is called. */
  finish(then: () => void): void {
    const { drainMillis } = this.context.limits
    this.openings.finish(Math.min(openingMillis, drainMillis / 2), then)
  }

  /** The queues have been emptied. */
  closeQueues(): void {
    this.listeners.shut()
  }

  private closeAll(): void {
    this.listeners.close()
    this.listeners.shut()
  }

  /** What has arrived by now was taken; nothing is taken any more. */
  shut(): void {
    this.state = "closed"
    this.openings.end()
  }

  /** The server has stopped. */
  end(): void {
    this.lookout.end()
    this.listeners.end()
  }
}

/** What is known of a peer that has come, and is nothing yet. */
interface Entrance extends Pick<Transport.Opening, "listener" | "scarcity" | "destroy" | "allow" | "begun"> {
  /** Its wire, where something can be written on it already. */
  readonly speak?: ((peer: Peer.Peer) => Wire.Wire | undefined) | undefined
}

const streamOf = <In, Out>(context: ServerContext<In, Out>, wire: Wire.Wire, id: number): RequestStream<In, Out> => {
  const { control } = context.protocol
  if (control === undefined) return new RequestStream(context, wire, id)
  if (wire.carries === "payloads") return new CalledStream(context, wire, id)
  return new ControlledStream(context, wire, id, control)
}

/** How long a stop lets what comes before a connection go on, and waits for its first byte; half of a drain that is shorter than twice that. */
const openingMillis = 500

const notAllowed = Exit.fail(Outcome.refused("allow", "Allow"))

const stops = Outcome.refused("the server stops", "Stopping")
