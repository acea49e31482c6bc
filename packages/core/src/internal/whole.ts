import type * as Connection from "../Connection.ts"
import * as Outcome from "../Outcome.ts"
import type { Codec } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { Connected } from "./connected.ts"
import { Duplex } from "./duplex.ts"
import type { Engine } from "./engine.ts"
import type { Outbox } from "./outbox.ts"

/** A connection that is one request. */
export class Whole<In, Out> extends Connected<Connection.Connection<In, Out>, never> {
  private readonly duplex: Duplex<In, Out>

  constructor(engine: Engine<Connection.Connection<In, Out>, never>, wire: Wire.Wire, id: number) {
    super(engine, wire, id)
    const codec = engine.protocol.server as Codec<unknown, never> as Codec<In, Out>
    this.duplex = new Duplex({
      wire,
      codec,
      outbox: this.outbox as Outbox<never> as Outbox<Out>,
      info: this,
      holds: true
    })
  }

  /** Makes the request, when the connection is accepted. */
  open(): void {
    this.engine.arrive([this.receive(this.duplex)])
  }

  override started(): void {
    super.started()
    this.duplex.begun()
  }

  protected readonly hasInput = false

  onData(chunk: Uint8Array): void {
    if (this.state !== "open" || this.stopping) return
    this.heard = { at: this.engine.now() }
    this.engine.turn.run(() => this.duplex.onData(chunk))
  }

  onEnd(): void {
    this.engine.turn.run(() => {
      // Only the handler's reading ends; it may still write.
      if (this.state === "open") this.duplex.onEnd()
      this.inputEnded = true
      this.progress()
    })
  }

  override onClose(error: unknown): void {
    this.duplex.onClose(error)
    super.onClose(error)
  }

  override stop(): void {
    this.duplex.stop()
    super.stop()
  }

  protected override get verdict(): Outcome.Outcome {
    this.duplex.begun()
    return this.duplex.fault ?? Outcome.completed
  }

  protected advance(): void {}

  protected override progress(): void {
    // The connection ends with its handler.
    if (this.state === "open" && this.inFlight === 0) this.shut()
  }
}
