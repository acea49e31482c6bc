import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import { count, type FrameWriter, Tell } from "../channel/frames.ts"

/** What may be on its way in one direction, for one call, before the receiver has taken it. */
export const windowBytes = 65_536

/**
 * A call as a connection of the worker's server. A request has its input, one
 * message, from the start; a whole connection's bytes come and go as frames.
 */
export class CallWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly keepsBoundaries: boolean
  readonly resetsOnClose = false
  bytesRead = 0
  bytesWritten = 0
  bytesUnsent = 0
  private readonly id: number
  private readonly writer: FrameWriter
  private readonly whole: boolean
  private readonly isOver: () => boolean
  private readonly onClosed: (started: boolean) => void
  private receiver: Wire.Receiver | undefined = undefined
  private readonly inbox: Array<Uint8Array> = []
  private inputEnded = false
  private endDelivered = false
  private paused = false
  private mustDrain = false
  private ended = false
  private closed = false

  constructor(options: {
    readonly id: number
    readonly peer: Peer.Peer
    readonly listener: Endpoint.Endpoint
    readonly writer: FrameWriter
    readonly whole: boolean
    readonly keepsBoundaries: boolean
    /** Whether the handler has ended. */
    readonly isOver: () => boolean
    /** It is gone; if it was never started, nobody has seen the call. */
    readonly onClosed: (started: boolean) => void
  }) {
    this.id = options.id
    this.peer = options.peer
    this.listener = options.listener
    this.keepsBoundaries = options.keepsBoundaries
    this.writer = options.writer
    this.whole = options.whole
    this.isOver = options.isOver
    this.onClosed = options.onClosed
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.deliver()
  }

  /** The parent has sent bytes, or the end of them. */
  input(chunk: Uint8Array | undefined): void {
    if (chunk === undefined) this.inputEnded = true
    else this.inbox.push(chunk)
    this.deliver()
  }

  /** The parent has taken what was written. */
  taken(bytes: number): void {
    this.bytesUnsent -= bytes
    if (!this.mustDrain || this.bytesUnsent > windowBytes / 2) return
    this.mustDrain = false
    if (!this.closed) this.receiver?.onDrain()
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    this.close(new Error("nobody waits for the answer any more"))
  }

  write(data: string | Uint8Array): boolean {
    // What a request answers goes as messages, beside the wire.
    if (!this.whole || this.ended || this.closed) return true
    const bytes = typeof data === "string" ? Buffer.from(data) : data
    this.writer.add(Tell.data, this.id, bytes)
    this.bytesWritten += bytes.length
    this.bytesUnsent += bytes.length
    // Who was told to wait is told when to go on, whatever is written meanwhile.
    this.mustDrain ||= this.bytesUnsent > windowBytes
    return !this.mustDrain
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.deliver()
  }

  end(): void {
    if (this.ended || this.closed) return
    this.ended = true
    // What follows from the end of the handler is said by its outcome.
    if (this.whole && !this.isOver()) this.writer.add(Tell.end, this.id)
    queueMicrotask(() => {
      if (!this.closed) this.receiver?.onFinish()
    })
  }

  destroy(): void {
    if (!this.closed) queueMicrotask(() => this.close(undefined))
  }

  reset(): void {
    if (this.closed) return
    if (this.whole) this.writer.add(Tell.reset, this.id)
    this.destroy()
  }

  private close(error: unknown): void {
    if (this.closed) return
    this.closed = true
    this.inbox.length = 0
    this.onClosed(this.receiver !== undefined)
    this.receiver?.onClose(error)
  }

  private deliver(): void {
    const { receiver } = this
    if (receiver === undefined) return
    while (!this.paused && !this.closed) {
      const chunk = this.inbox.shift()
      if (chunk === undefined) break
      this.bytesRead += chunk.length
      if (this.whole) this.writer.add(Tell.credit, this.id, count(chunk.length))
      receiver.onData(chunk)
    }
    if (this.paused || this.closed || this.inbox.length > 0 || !this.inputEnded || this.endDelivered) return
    this.endDelivered = true
    receiver.onEnd()
  }
}
