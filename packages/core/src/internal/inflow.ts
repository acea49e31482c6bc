import type * as Wire from "../Wire.ts"
import type { InputEnd } from "./relay.ts"

/** Whoever has an input, as far as it asks that or tells it of something. */
export interface InputOwner {
  /** Reading stops, or goes on. */
  onReading?(reading: boolean): void
  /** Whether what arrives may be decoded now; otherwise `goOn` is called when it may. */
  mayDecode?(): boolean
  /** Goes on in the next turn of the event loop, where others have theirs. */
  later?(f: () => void): void
  /** The wire is given away, with what is to be told of a stop. */
  onGivenAway?(onStop: () => void): void
  /** Somebody is going to wait for what the peer sends. */
  onAwaited?(): void
  /** The bytes are taken that were handed on. */
  onTaken?(): void
}

/** What comes in from a wire: whether it is read, and whether more is to come. */
export class Inflow {
  readonly wire: Wire.Wire
  readonly owner: InputOwner
  isReading = true
  /** `ended` by the peer or a fault, `stopped` by the server, which makes nothing of what has come of a message. */
  state: "open" | InputEnd = "open"
  /** Whether the server stops, and reading goes on. */
  isTold = false

  constructor(wire: Wire.Wire, owner: InputOwner) {
    this.wire = wire
    this.owner = owner
  }

  get isOpen(): boolean {
    return this.state === "open"
  }

  /** Whether the server stops, which whoever takes it now has not heard of. */
  get isStopping(): boolean {
    return this.isTold || this.state === "stopped"
  }

  read(reading: boolean): void {
    if (this.isReading === reading) return
    this.isReading = reading
    this.owner.onReading?.(reading)
    if (reading) this.wire.resume()
    else this.wire.pause()
  }
}
