import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import type { Outbox } from "./outbox.ts"
import { Unencodable } from "./unencodable.ts"
import type { Framed } from "./writing.ts"

/**
 * An end of a wire, whoever holds it: what is known of the connection, and how a
 * message is sent on it.
 */
export abstract class WireEnd<Out> implements Connection.Info {
  readonly wire: Wire.Wire
  readonly outbox: Outbox<Out>
  readonly id: number
  readonly openedAt: number

  constructor(wire: Wire.Wire, outbox: Outbox<Out>, id: number, openedAt: number) {
    this.wire = wire
    this.outbox = outbox
    this.id = id
    this.openedAt = openedAt
  }

  abstract get inFlight(): number
  abstract get endedBy(): Connection.EndedBy | undefined

  get kind(): "stream" | "datagram" {
    return this.wire.carries === "datagrams" ? "datagram" : "stream"
  }
  get peer(): Peer.Peer {
    return this.wire.peer
  }
  get listener(): Endpoint.Endpoint {
    return this.wire.listener
  }
  get bytesRead(): number {
    return this.wire.bytesRead
  }
  get bytesWritten(): number {
    return this.wire.bytesWritten
  }

  /**
   * Sends a message. The effect waits while the peer does not read; and with the
   * message where much waits for the peer already, for many may send at once.
   */
  protected sent(message: Out): Effect.Effect<void, Connection.ConnectionError> {
    if (!this.outbox.isOverfull) return this.added(message)
    return Effect.flatMap(this.writable, () => this.sent(message))
  }

  /** The same of several, between which nothing else is sent: all of them, or none. */
  protected sentTogether(messages: ReadonlyArray<Out>): Effect.Effect<void, Connection.ConnectionError> {
    if (this.outbox.isOverfull) return Effect.flatMap(this.writable, () => this.sentTogether(messages))
    const all: Array<Framed> = []
    for (const message of messages) {
      const framed = this.outbox.frame(message)
      if (framed instanceof Unencodable) return this.fails({ _tag: "EncodeFailed", problem: framed.problem })
      all.push(framed)
    }
    if (this.outbox.isClosed || this.outbox.isEnding) return this.fails({ _tag: "Closed" })
    for (const framed of all) this.outbox.add(framed)
    return this.keptUp
  }

  private added(message: Out): Effect.Effect<void, Connection.ConnectionError> {
    if (this.outbox.isClosed || this.outbox.isEnding) return this.fails({ _tag: "Closed" })
    const problem = this.outbox.add(message)
    return problem === undefined ? this.keptUp : this.fails({ _tag: "EncodeFailed", problem })
  }

  /** Waits until the other end keeps up with what was added, if it does not. Most wait for nobody. */
  private get keptUp(): Effect.Effect<void, Connection.ConnectionError> {
    if (!this.outbox.full && !this.outbox.blocked) return Effect.void
    return Effect.flatMap(this.writable, () => (this.outbox.isClosed ? this.fails({ _tag: "Closed" }) : Effect.void))
  }

  /** Waits until the other end keeps up. */
  protected get writable(): Effect.Effect<void> {
    return this.outbox.writable
  }

  protected fails(reason: Connection.Reason): Effect.Effect<never, Connection.ConnectionError> {
    return Effect.fail(new Connection.ConnectionError({ reason, peer: this.peer }))
  }
}
