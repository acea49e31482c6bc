import type * as Wire from "../Wire.ts"
import { Heard } from "./incoming.ts"

/** When something last happened on a connection, so that one which is silent for too long can be closed. */
export class Activity {
  /** When the peer was last heard of. */
  heard: Heard
  /** When the last request was answered that left none in flight, if connections may be idle too long. */
  answeredAt = 0
  private movedBytes = 0
  private movedAt = 0

  constructor(now: number) {
    this.heard = new Heard(now)
  }

  /** Whether anything was received, sent or answered since, as far as a look now and then can tell. */
  isSince(time: number, wire: Wire.Wire, now: number): boolean {
    // What is unsent falls while the peer reads.
    const moved = wire.bytesRead + wire.bytesWritten - wire.bytesUnsent
    if (moved !== this.movedBytes) {
      this.movedBytes = moved
      this.movedAt = Math.max(this.heard.at, now)
    }
    return Math.max(this.heard.at, this.answeredAt, this.movedAt) > time
  }
}
