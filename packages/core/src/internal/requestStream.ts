import type { DecodeError } from "../Protocol.ts"
import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"
import { Heard } from "./incoming.ts"
import { Reader } from "./reading.ts"
import { StreamConnection } from "./streamConnection.ts"

/** A connection whose messages are requests. */
export class RequestStream<In, Out> extends StreamConnection<In, Out> {
  private readonly reader: Reader<In>
  private fault: DecodeError | undefined = undefined
  protected isReading = true
  private dispatching = false

  constructor(context: ServerContext<In, Out>, wire: Wire.Wire, id: number) {
    super(context, wire, id)
    this.reader = new Reader(context.side, wire.carries) as Reader<unknown> as Reader<In>
  }

  protected get hasInput(): boolean {
    return this.reader.isBehind
  }

  onData(chunk: Uint8Array): void {
    if (this.closing.state !== "open") return
    this.activity.heard = new Heard(this.context.now())
    this.decode(this.reader.read(chunk, this.bytesRead, this.room))
    this.progress()
  }

  onEnd(): void {
    if (this.closing.state === "open") this.decode(this.reader.read(undefined, this.bytesRead, this.room))
    this.inputEnded()
  }

  /** How many more requests may be in flight. */
  private get room(): number {
    return this.outbox.blocked ? 0 : Math.max(0, this.context.limits.maxPipelined - this.line.inFlight)
  }

  /** Makes requests of what was decoded, until there was a fault. */
  private decode(fault: DecodeError | undefined): void {
    const { messages, payloads } = this.reader
    if (messages.length > 0) {
      this.reader.clear()
      for (let i = 0; i < messages.length; i++) this.line.add(messages[i] as In, payloads[i])
      this.line.offer()
    }
    if (fault === undefined) return
    this.fault = fault
    this.closing.enter("faulty")
  }

  /** Decodes as many requests as may be in flight, and reads on when nothing is left undecoded. */
  protected advance(): void {
    if (this.dispatching) return
    this.dispatching = true
    for (let room = this.room; room > 0 && this.hasInput && this.closing.answers; room = this.room) {
      this.decode(this.reader.more(this.bytesRead, room))
    }
    this.dispatching = false
    if (!this.closing.answers) return
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
