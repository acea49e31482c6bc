import type { DecodeError } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { Heard } from "./incoming.ts"
import { Reader } from "./reading.ts"
import { StreamConnection } from "./streamConnection.ts"

/** A connection whose messages are requests. */
export class RequestStream<In, Out> extends StreamConnection<In, Out> {
  /** What it has decoded may be over the pipelining limit; `taken` messages have become requests. */
  private readonly reader: Reader<In>
  private taken = 0
  private fault: DecodeError | undefined = undefined
  protected isReading = true
  private dispatching = false

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
    this.reader = new Reader(context.side, wire.carries) as Reader<unknown> as Reader<In>
  }

  protected get hasInput(): boolean {
    return this.taken < this.reader.messages.length
  }

  onData(chunk: Uint8Array): void {
    if (this.closing.state !== "open") return
    this.activity.heard = new Heard(this.context.now())
    this.decode(chunk)
    this.progress()
  }

  onEnd(): void {
    if (this.closing.state === "open") this.decode(undefined)
    this.inputEnded()
  }

  /** Decodes a chunk, or the end of the input. */
  private decode(chunk: Uint8Array | undefined): void {
    const fault = this.reader.read(chunk, this.bytesRead)
    if (fault === undefined) return
    this.fault = fault
    this.closing.enter("faulty")
  }

  /** Makes requests of what is decoded, as many as may be in flight, and reads on when all are. */
  protected advance(): void {
    if (this.dispatching) return
    this.dispatching = true
    const { maxPipelined } = this.context.limits
    const { messages, payloads } = this.reader
    while (this.hasInput && this.line.inFlight < maxPipelined && this.closing.answers && !this.outbox.blocked) {
      const count = Math.min(maxPipelined - this.line.inFlight, messages.length - this.taken)
      for (let i = 0; i < count; i++) {
        this.line.add(messages[this.taken] as In, payloads[this.taken])
        this.taken++
      }
      this.line.offer()
    }
    this.dispatching = false
    if (!this.closing.answers) return
    if (!this.hasInput && this.taken > 0) {
      this.reader.clear()
      this.taken = 0
    }
    this.read(!this.hasInput && !this.outbox.blocked)
    if (this.line.inFlight === 0 && !this.hasInput) this.recordFault()
  }

  private recordFault(): void {
    const { fault } = this
    if (fault === undefined) return
    this.fault = undefined
    this.context.ledger.record(fault, undefined, this)
    const last = this.context.events.lastWords(fault, this)
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
    if (this.isReading === reading) return
    this.isReading = reading
    if (reading) return this.wire.resume()
    this.wire.pause()
    this.context.events.unread()
  }
}
