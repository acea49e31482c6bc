import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { DatagramConnection } from "./datagramConnection.ts"
import { DialogueStream } from "./dialogueStream.ts"
import { RequestStream } from "./requestStream.ts"
import type { ServerConnection } from "./serverConnection.ts"

/**
 * Where peers come in: those that are let in become connections, the others are
 * refused, and what has to happen before is bounded and ends with the server.
 */
export class Gate<In, Out> {
  readonly connections = new Map<number, ServerConnection<In, Out>>()
  private readonly context: ServerContext<In, Out>
  private readonly verifier: Transport.Verify | undefined
  private readonly onConnected: (connection: ServerConnection<In, Out>) => void
  private listeners: ReadonlyArray<Transport.Listening> = []
  /** Those that are not ready yet, and how each is broken off. */
  private readonly openings = new Set<() => void>()
  private state: "open" | "closing" | "closed" = "open"
  /** Whether the reading of datagrams is stopped, where it can be. */
  private paused = false

  constructor(
    context: ServerContext<In, Out>,
    verifier: Transport.Verify | undefined,
    onConnected: (connection: ServerConnection<In, Out>) => void
  ) {
    this.context = context
    this.verifier = verifier
    this.onConnected = onConnected
  }

  /** It is bound. */
  listen(listeners: ReadonlyArray<Transport.Listening>): void {
    this.listeners = listeners
    if (this.state === "open") {
      // Until now there was none to be told.
      this.paused = false
      return this.regulate()
    }
    // One of them has died while others were being bound.
    for (const listener of listeners) listener.close()
  }

  /** A peer has connected. */
  accept(wire: Wire.Wire): void {
    const { listener, peer } = wire
    const verified = this.verify(peer, listener)
    if (verified === Exit.void && !this.isFull && this.state === "open") return this.admit(wire)
    this.enter({ listener, destroy: () => wire.destroy() }, () => peer, Effect.as(verified, wire))
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
    this.enter(opening, () => peer, Effect.andThen(Effect.andThen(introduced, verified), secured))
  }

  private enter(
    { destroy, listener }: Pick<Transport.Opening, "listener" | "destroy">,
    /** Who it is, as far as is known by then. */
    known: () => Peer.Peer,
    ready: Effect.Effect<Wire.Wire, Outcome.Refused>
  ): void {
    if (this.state !== "open") return destroy()
    if (this.isFull) {
      this.refuse(known(), listener, this.tooMany("connections"))
      return destroy()
    }
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      // The server stops: nothing of theirs has been received yet.
      fiber?.interruptUnsafe()
      destroy()
    }
    this.hold(end)
    fiber = this.context.run(
      Effect.matchCause(this.bounded(ready), {
        onFailure: (cause) => {
          const stopped = !this.letGo(end)
          const refused = cause.reasons.find(Cause.isFailReason)?.error
          // What is no refusal is a defect, which costs this peer its connection and nobody else anything.
          if (refused !== undefined) this.refuse(known(), listener, refused)
          else if (!stopped || !Cause.hasInterruptsOnly(cause)) this.lose(Cause.squash(cause))
          destroy()
        },
        onSuccess: (wire) => {
          if (!this.letGo(end)) return wire.destroy()
          this.context.tick.run(() => this.admit(wire))
        }
      })
    )
  }

  /** What comes before a connection takes a minute at most. */
  private bounded<A>(ready: Effect.Effect<A, Outcome.Refused>): Effect.Effect<A, Outcome.Refused> {
    const { openingMillis } = this.context.limits
    return Effect.timeoutOrElse(ready, {
      duration: openingMillis,
      orElse: () => Effect.fail(Outcome.refused(`it was not ready within ${openingMillis} ms`))
    })
  }

  /** A datagram has arrived. */
  receive(datagram: Wire.Datagram): void {
    const { listener, peer } = datagram
    const refuse = (refused: Outcome.Refused) => this.refuse(peer, listener, refused)
    const verified = this.verify(peer, listener)
    // What has arrived when a stop begins is still taken.
    if (this.state === "closed") return refuse(stops)
    if (this.isFull) return refuse(this.tooMany("datagrams"))
    if (verified === Exit.void) return this.admitDatagram(datagram)
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      fiber?.interruptUnsafe()
      refuse(stops)
    }
    this.hold(end)
    fiber = this.context.run(
      Effect.match(this.bounded(verified), {
        onFailure: (refused) => {
          if (this.letGo(end)) refuse(refused)
        },
        onSuccess: () => {
          if (this.letGo(end)) this.admitDatagram(datagram)
        }
      })
    )
  }

  /** Whether a peer may come in; at once, where that can be said at once. */
  private verify(peer: Peer.Peer, listener: Endpoint.Endpoint): Effect.Effect<void, Outcome.Refused> {
    if (this.verifier === undefined) return Exit.void
    const threw = (cause: unknown) => {
      this.context.run(Effect.logError(`verify failed for ${peer.name}, which is refused`, cause))
      return Exit.fail(Outcome.refused("verify failed"))
    }
    let allowed: ReturnType<Transport.Verify>
    // oxlint-disable-next-line socketserver/no-try -- verify is user code; what it throws refuses this peer and nothing more
    try {
      allowed = this.verifier(peer, listener)
    } catch (error) {
      return threw(error)
    }
    if (typeof allowed === "boolean") return allowed ? Exit.void : turnedAway
    return Effect.matchCauseEffect(allowed, {
      // Also where it was interrupted from within; at a stop nobody is asked any more.
      onFailure: threw,
      onSuccess: (allowed) => (allowed ? Exit.void : turnedAway)
    })
  }

  /** A peer is turned away before it is a connection. */
  refuse(peer: Peer.Peer, listener: Endpoint.Endpoint, refused: Outcome.Refused): void {
    const { context } = this
    const id = context.nextConnectionId()
    const openedAt = context.now()
    const info = { id, peer, listener, openedAt, bytesRead: 0, bytesWritten: 0, inFlight: 0 }
    context.ledger.record(refused, undefined, info)
  }

  /** A connection could not be accepted. */
  lose(cause: unknown): void {
    this.context.ledger.counts.Refused++
    const where = this.listeners.map(({ address }) => String(address)).join(", ") || this.context.service
    this.context.run(Effect.logWarning(`${where} could not accept a connection`, cause))
  }

  /** A connection that has been let in. */
  admit(wire: Wire.Wire, id = this.context.nextConnectionId()): void {
    const { context } = this
    if (context.protocol.kind === "messages") {
      const connection = new RequestStream(context, wire, id)
      this.register(connection)
      return wire.start(connection)
    }
    const connection = new DialogueStream(context as never, wire, id)
    this.register(connection as never)
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
    if (was) this.regulate()
    return was
  }

  private hold(end: () => void): void {
    this.openings.add(end)
    this.regulate()
  }

  /** Whether it was still there: it is not when the server stops. */
  private letGo(end: () => void): boolean {
    const there = this.openings.delete(end)
    this.regulate()
    return there
  }

  /** Whether no more may be let in. */
  private get isFull(): boolean {
    return this.connections.size + this.openings.size >= this.context.limits.maxConnections
  }

  /** Stops or resumes the reading of datagrams, where a transport can, as there is room or not. */
  private regulate(): void {
    if (this.paused === this.isFull) return
    this.paused = !this.paused
    for (const { flow } of this.listeners) (this.paused ? flow?.pause : flow?.resume)?.()
  }

  private tooMany(what: string): Outcome.Refused {
    return Outcome.refused(`more than ${this.context.limits.maxConnections} ${what}`)
  }

  /** A stop begins: nobody new is let in. */
  close(): void {
    this.state = "closing"
    for (const listener of this.listeners) listener.close()
    this.breakOff()
  }

  /** What has arrived by now was taken; nothing is taken any more. */
  shut(): void {
    this.state = "closed"
    // A datagram that has come since the stop began may be waiting to be let in.
    this.breakOff()
  }

  private breakOff(): void {
    const openings = [...this.openings]
    this.openings.clear()
    for (const end of openings) end()
  }

  /** The server has stopped. */
  end(): void {
    for (const listener of this.listeners) listener.ended?.()
  }
}

const notAllowed = Exit.fail(Outcome.refused("allow"))

const turnedAway = Exit.fail(Outcome.refused("verify"))

const stops = Outcome.refused("the server stops")
