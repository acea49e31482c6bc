import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Endpoint from "../Endpoint.ts"
import * as Outcome from "../Outcome.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"
import type { Engine, Runner } from "./engine.ts"

/**
 * Where peers come in: those that are let in become connections of the engine,
 * the others are refused, and what has to happen before is bounded and ends
 * with the server.
 */
export class Gate<In, Out> {
  private readonly engine: Engine<In, Out>
  private readonly run: Runner
  private readonly verifier: Transport.Verify | undefined
  /** Those whose handshake, header or verification is under way, and how each is broken off. */
  private readonly openings = new Set<() => void>()

  constructor(engine: Engine<In, Out>, run: Runner, verifier: Transport.Verify | undefined) {
    this.engine = engine
    this.run = run
    this.verifier = verifier
  }

  get waiting(): number {
    return this.openings.size
  }

  private enter(end: () => void): void {
    this.openings.add(end)
    this.engine.regulate()
  }

  /** Whether it was still there: it is not when the server stops. */
  private leave(end: () => void): boolean {
    const there = this.openings.delete(end)
    this.engine.regulate()
    return there
  }

  /** A peer has connected. */
  accept(wire: Wire.Wire): void {
    const { engine } = this
    const { listener, peer } = wire
    const verified = this.verify(peer, listener)
    if (verified === Exit.void && !engine.full && !engine.stopBegins) return engine.admit(wire)
    this.open({ peer, listener, destroy: () => wire.destroy(), wire: Effect.as(verified, wire) })
  }

  /** A peer has connected, and something comes before its first byte is the protocol's. It counts as a connection. */
  open(opening: Transport.Opening): void {
    const { engine } = this
    const { destroy, listener, wire } = opening
    if (engine.stopBegins) return destroy()
    if (engine.full) {
      this.refuse(opening.peer, listener, Outcome.refused(`more than ${engine.limits.maxConnections} connections`))
      return destroy()
    }
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      // The server stops: nothing of theirs has been received yet.
      fiber?.interruptUnsafe()
      destroy()
    }
    this.enter(end)
    fiber = this.run(
      Effect.matchCause(wire, {
        onFailure: (cause) => {
          this.leave(end)
          const refused = cause.reasons.find(Cause.isFailReason)?.error
          // What is no refusal is a defect, which costs this peer its connection and nobody else anything.
          if (refused !== undefined) this.refuse(opening.peer, listener, refused)
          else if (!Cause.hasInterruptsOnly(cause)) engine.lose(Cause.squash(cause))
          destroy()
        },
        onSuccess: (wire) => {
          if (!this.leave(end)) return wire.destroy()
          engine.turn.run(() => engine.admit(wire))
        }
      })
    )
  }

  /** A datagram has arrived. */
  receive(datagram: Wire.Datagram): void {
    const { engine } = this
    const { listener, peer } = datagram
    const refuse = (refused: Outcome.Refused) => this.refuse(peer, listener, refused)
    const verified = this.verify(peer, listener)
    if (engine.isStopping) return refuse(stops)
    if (engine.full) return refuse(Outcome.refused(`more than ${engine.limits.maxConnections} datagrams`))
    if (verified === Exit.void) return engine.exchange(datagram)
    let fiber: Fiber.Fiber<void> | undefined
    const end = () => {
      fiber?.interruptUnsafe()
      refuse(stops)
    }
    this.enter(end)
    fiber = this.run(
      Effect.match(verified, {
        onFailure: (refused) => {
          if (this.leave(end)) refuse(refused)
        },
        onSuccess: () => {
          if (this.leave(end)) engine.exchange(datagram)
        }
      })
    )
  }

  /** Whether a peer may come in; at once, where that can be said at once. */
  verify(peer: Peer.Peer, listener: Endpoint.Endpoint): Effect.Effect<void, Outcome.Refused> {
    if (this.verifier === undefined) return Exit.void
    const threw = (cause: unknown) => {
      this.run(Effect.logError(`verify failed for ${peer.name}, which is refused`, cause))
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
    const { engine } = this
    const id = engine.nextConnectionId()
    const openedAt = engine.now()
    const info = { id, peer, listener, openedAt, bytesRead: 0, bytesWritten: 0, inFlight: 0 }
    engine.ledger.record(refused, undefined, info)
  }

  /** The server stops. */
  close(): void {
    const openings = [...this.openings]
    this.openings.clear()
    for (const end of openings) end()
  }
}

const turnedAway = Exit.fail(Outcome.refused("verify"))

const stops = Outcome.refused("the server stops")
