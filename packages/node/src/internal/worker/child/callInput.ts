/** The input of a call's wire, from the channel to the worker's server. */
import type * as Wire from "@socketserver/core/Wire"

/** What the parent has sent for a call, until its server takes it. */
export class CallInput {
  private readonly onTaken: (bytes: number) => void
  private receiver: Wire.Receiver | undefined = undefined
  private readonly chunks: Array<Uint8Array> = []
  private bytes = 0
  private ended = false
  private endDelivered = false
  private paused = false
  private closed = false

  constructor(onTaken: (bytes: number) => void) {
    this.onTaken = onTaken
  }

  get bytesRead(): number {
    return this.bytes
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.deliver()
  }

  /** Bytes, or the end of them. */
  add(chunk: Uint8Array | undefined): void {
    if (chunk === undefined) this.ended = true
    else this.chunks.push(chunk)
    this.deliver()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.deliver()
  }

  close(): void {
    this.closed = true
    this.chunks.length = 0
  }

  private deliver(): void {
    const { receiver } = this
    if (receiver === undefined) return
    while (!this.paused && !this.closed) {
      const chunk = this.chunks.shift()
      if (chunk === undefined) break
      this.bytes += chunk.length
      this.onTaken(chunk.length)
      receiver.onData(chunk)
    }
    if (this.paused || this.closed || this.chunks.length > 0 || !this.ended || this.endDelivered) return
    this.endDelivered = true
    receiver.onEnd()
  }
}
