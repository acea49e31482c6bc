import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import type { Admitting } from "./admitting.ts"
import { Capacity } from "./capacity.ts"
import type { Census } from "./census.ts"
import type { ServerContext } from "./context.ts"
import { Farewells } from "./farewells.ts"
import { GuardedWire } from "./guardedWire.ts"
import { Arrival, Openings, type Step } from "./openings.ts"
import { peerKeyOf } from "./peerKey.ts"
import { PeerQueue } from "./peerQueue.ts"
import { Room } from "./room.ts"
import { anybody } from "./slots.ts"
import { type Verifying, verifying } from "./verifying.ts"

/**
 * How peers come in: at once, or after their {@link Openings}; where they have too many, after they have
 * waited for their own, or after others have made room. All others are turned away.
 */
export class Entry<In, Out> {
  /** Connections and datagrams that have arrived since the start, let in or not. */
  arrivals = 0
  readonly openings: Openings
  readonly capacity: Capacity
  readonly queue: PeerQueue
  private readonly context: ServerContext<In, Out>
  private readonly admitting: Admitting<In, Out>
  private readonly verify: Verifying
  private readonly room: Room
  private readonly farewells: Farewells
  private readonly onLost: (cause: unknown) => void
  private state: "open" | "closing" | "closed" = "open"

  constructor(options: {
    readonly context: ServerContext<In, Out>
    readonly admitting: Admitting<In, Out>
    readonly census: Census
    readonly verify: Transport.Verify | undefined
    /** There are more that are being opened, or fewer. */
    readonly onChanged: () => void
    /** One could not be opened, for a reason that is no refusal. */
    readonly onLost: (cause: unknown) => void
  }) {
    const { admitting, census, context, onChanged, verify } = options
    this.context = context
    this.onLost = options.onLost
    this.admitting = admitting
    const { connections } = admitting
    this.openings = new Openings(context, census, onChanged)
    this.capacity = new Capacity(context, census, () => connections.size + this.openings.size)
    this.queue = new PeerQueue(context, census, this.capacity)
    this.room = new Room(context, () => [...connections.all, ...this.openings.arrivals])
    this.verify = verifying(verify, census, context.log)
    this.farewells = new Farewells(context as never)
  }

  /** A peer has connected. */
  accept(wire: Wire.Wire, scarcity?: Transport.Scarcity): void {
    this.arrivals++
    this.context.accepted++
    const { listener, peer } = wire
    const opening: Entrance = { listener, scarcity, destroy: () => wire.destroy(), speak: () => wire }
    const over = this.capacity.ofPeer(peer, 0, "connections")
    if (over !== undefined && !this.mayWait(opening, peer, 0)) return this.turnAway(opening, peer, over)
    const verified =
      over === undefined ? this.verify(peer, listener, 0) : Effect.suspend(() => this.verify(peer, listener, 1))
    const isEasy = scarcity === undefined && !this.boundsFirstBytes && !this.isFull && this.state !== "closed"
    if (verified === Exit.void && isEasy) return this.admitting.connection(wire)
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
    this.context.accepted++
    const { allow, begun, handshakeMillis, headerMillis, hold, introduce, listener, peer, scarcity, secure, taken } =
      opening
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
      millis === undefined ? undefined : { name, millis, hold, taken, keeps }
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
    return this.boundsFirstBytes ? { name: "first byte", millis, hold, taken: undefined, keeps: true } : undefined
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
    const { isOneTooMany } = this.capacity
    if (this.isFull && !(mayCome && isOneTooMany && this.room.make() && !this.isFull)) {
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
          else if (!stopped || !Cause.hasInterruptsOnly(cause)) this.onLost(Cause.squash(cause))
          destroy()
        },
        onSuccess: (wire) => {
          if (!leave()) return new GuardedWire(wire, this.context).destroy()
          const heard = this.openings.keep(arrival)
          this.context.tick.run(() => this.admitting.connection(wire, undefined, heard))
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
    const isFull = datagram.isLast === true ? this.context.budget.isTight : this.isFull
    if (isFull) return refuse(this.capacity.fullness("datagrams"))
    if (verified === Exit.void) return this.admitting.datagram(datagram)
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
            if (leave()) this.admitting.datagram(datagram)
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

  get isOpen(): boolean {
    return this.state === "open"
  }

  private get isFull(): boolean {
    return this.capacity.isFull
  }

  /** Whoever waits for its own peer is in nobody else's way. Whether nobody new may come in then. */
  clear(): boolean {
    while (this.queue.size > 0 && this.isFull && this.capacity.isMany && this.queue.makeRoom());
    return this.isFull
  }

  /** Other limits hold. */
  limited(): void {
    this.openings.limited()
    this.queue.limited()
  }

  /** A stop begins: nobody new is let in, but who waits in a queue of the system. */
  close(): void {
    this.state = "closing"
    this.farewells.end()
    this.openings.breakOffWaiting()
  }

  /** What has arrived by now was taken; nothing is taken any more. */
  shut(): void {
    this.state = "closed"
    this.openings.end()
  }
}

/** What is known of a peer that has come, and is nothing yet. */
interface Entrance extends Pick<Transport.Opening, "listener" | "scarcity" | "destroy" | "allow" | "begun"> {
  /** Its wire, where something can be written on it already. */
  readonly speak?: ((peer: Peer.Peer) => Wire.Wire | undefined) | undefined
}

const notAllowed = Exit.fail(Outcome.refused("allow", "Allow"))

const stops = Outcome.refused("the server stops", "Stopping")
