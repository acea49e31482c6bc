import type { Codec, DecodeError, Decoder } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import { Connected } from "./connected.ts"
import { decode } from "./decoders.ts"
import type { Engine } from "./engine.ts"
import type { Incoming } from "./incoming.ts"

/** A connection whose messages are requests. */
export class Messages<In, Out> extends Connected<In, Out> {
  private readonly decoder: Decoder<In>
  /** Decoded, but over the pipelining limit; `taken` of them have become requests. */
  private decoded: Array<In> = []
  private taken = 0
  private fault: DecodeError | undefined = undefined
  private reading = true
  private dispatching = false

  constructor(engine: Engine<In, Out>, wire: Wire.Wire, id: number) {
    super(engine, wire, id)
    this.decoder = (engine.protocol.server as Codec<In, Out>).decoder()
  }

  protected get hasInput(): boolean {
    return this.taken < this.decoded.length
  }

  onData(chunk: Uint8Array): void {
    if (this.state !== "open" || this.inputEnded || this.stopping) return
    this.heard = { at: this.engine.now() }
    this.decode(chunk)
  }

  onEnd(): void {
    if (this.inputEnded) return
    if (this.state === "open" && !this.stopping) this.decode(undefined)
    this.inputEnded = true
    this.progress()
  }

  /** Decodes a chunk, or the end of the input. */
  private decode(chunk: Uint8Array | undefined): void {
    this.fault = decode(this.decoder, chunk, this.decoded, this.bytesRead)
    if (this.fault !== undefined) this.inputEnded = true
    this.progress()
  }

  /** Makes requests of what is decoded, as many as may be in flight, and reads on when all are. */
  protected advance(): void {
    if (this.dispatching) return
    this.dispatching = true
    const { maxPipelined } = this.engine.limits
    while (this.hasInput && this.inFlight < maxPipelined && this.state === "open" && !this.outbox.blocked) {
      const count = Math.min(maxPipelined - this.inFlight, this.decoded.length - this.taken)
      const batch = new Array<Incoming<In, Out>>(count)
      for (let i = 0; i < count; i++) batch[i] = this.receive(this.decoded[this.taken++] as In)
      this.engine.arrive(batch)
    }
    this.dispatching = false
    if (this.state !== "open") return
    if (!this.hasInput && this.taken > 0) {
      this.decoded = []
      this.taken = 0
    }
    this.read(!this.hasInput && !this.outbox.blocked)
    if (this.inFlight === 0 && !this.hasInput) this.recordFault()
  }

  private recordFault(): void {
    const { fault } = this
    if (fault === undefined) return
    this.fault = undefined
    this.engine.ledger.record(fault, undefined, this)
    const last = this.engine.lastWords(fault, this)
    if (last?._tag === "Reply") this.outbox.add(last.value)
  }

  override onClose(error: unknown): void {
    this.recordFault()
    super.onClose(error)
  }

  override cut(): void {
    this.recordFault()
    super.cut()
  }

  private read(reading: boolean): void {
    if (this.reading === reading) return
    this.reading = reading
    if (reading) this.wire.resume()
    else this.wire.pause()
  }
}
