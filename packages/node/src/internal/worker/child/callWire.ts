/** The wire of a call: look here for how a worker's server reads, writes and closes what is a connection to it. */
import type * as Endpoint from "@socketserver/core/Endpoint"
import type * as Peer from "@socketserver/core/Peer"
import type * as Wire from "@socketserver/core/Wire"
import { writeClose } from "../channel/calls.ts"
import { count, type FrameWriter, Tell } from "../channel/frames.ts"
import type { Tick } from "../channel/tick.ts"

interface Options {
  readonly id: number
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly writer: FrameWriter
  readonly tick: Tick
  readonly whole: boolean
  readonly windowBytes: number
  readonly carries: Wire.Wire["carries"]
  /** Whether the handler has ended. */
  readonly isOver: () => boolean
  /** Its server in the parent stops, and everything that was read before was delivered. */
  readonly onStopped: () => void
  /** It is gone; if it was never started, nobody has seen the call. */
  readonly onClosed: (started: boolean) => void
}

/**
 * A call as a connection of the worker's server. A request has its input, one
 * message, from the start; a whole connection's bytes come and go as frames.
 */
export class CallWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly carries: Wire.Wire["carries"]
  readonly resetsOnClose = false
  bytesWritten = 0
  bytesUnsent = 0
  private readonly options: Options
  private readonly inbox: CallInput
  private receiver: Wire.Receiver | undefined = undefined
  private mustDrain = false
  private ended = false
  private closed = false

  constructor(options: Options) {
    const { id, onStopped, whole, writer } = options
    this.peer = options.peer
    this.listener = options.listener
    this.carries = options.carries
    this.options = options
    this.inbox = new CallInput((bytes) => {
      if (whole) writer.add(Tell.credit, id, count(bytes))
    }, onStopped)
  }

  get bytesRead(): number {
    return this.inbox.bytesRead
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.inbox.start(receiver)
  }

  /** The parent has sent bytes, or the end of them. */
  input(chunk: Uint8Array | undefined): void {
    this.inbox.add(chunk)
  }

  /** The parent has sent a control message for its request, or that no more come. */
  control(payload: Uint8Array | undefined): void {
    if (this.closed) return
    const { id, writer } = this.options
    if (payload !== undefined) writer.add(Tell.credit, id, count(1))
    this.receiver?.onControl?.(payload)
  }

  /** The handler of its request waits for the peer, or goes on. */
  awaits(waiting: boolean): void {
    const { id, writer } = this.options
    if (!this.closed) writer.add(Tell.awaits, id, writeClose(waiting))
  }

  /** The parent reads no more, because its server stops. */
  stop(): void {
    this.inbox.stop()
  }

  /** The parent has taken what was written. */
  taken(bytes: number): void {
    this.bytesUnsent -= bytes
    if (!this.mustDrain || this.bytesUnsent > this.options.windowBytes / 2) return
    this.mustDrain = false
    if (!this.closed) this.receiver?.onDrain()
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    this.close(new Error("nobody waits for the answer any more"))
  }

  write(data: string | Uint8Array): boolean {
    const { id, whole, writer } = this.options
    // What a request answers goes as messages, beside the wire.
    if (!whole || this.ended || this.closed) return true
    const bytes = typeof data === "string" ? Buffer.from(data) : data
    writer.add(Tell.data, id, bytes)
    this.bytesWritten += bytes.length
    this.bytesUnsent += bytes.length
    // Who was told to wait is told when to go on, whatever is written meanwhile.
    this.mustDrain ||= this.bytesUnsent > this.options.windowBytes
    return !this.mustDrain
  }

  pause(): void {
    this.inbox.pause()
  }

  resume(): void {
    this.inbox.resume()
  }

  end(): void {
    const { id, isOver, tick, whole, writer } = this.options
    if (this.ended || this.closed) return
    this.ended = true
    // What follows from the end of the handler is said by its outcome.
    if (whole && !isOver()) writer.add(Tell.end, id)
    tick.soon(() => {
      if (!this.closed) this.receiver?.onFinish()
    })
  }

  destroy(): void {
    if (!this.closed) this.options.tick.soon(() => this.close(undefined))
  }

  reset(): void {
    if (this.closed) return
    if (this.options.whole) this.options.writer.add(Tell.reset, this.options.id)
    this.destroy()
  }

  private close(error: unknown): void {
    if (this.closed) return
    this.closed = true
    this.inbox.close()
    this.options.onClosed(this.receiver !== undefined)
    this.receiver?.onClose(error)
  }
}

/** What the parent has sent for a call, until its server takes it. */
class CallInput {
  private readonly onTaken: (bytes: number) => void
  private receiver: Wire.Receiver | undefined = undefined
  private readonly chunks: Array<Uint8Array> = []
  private bytes = 0
  private readonly onStopped: () => void
  private ended = false
  private stopped = false
  private endDelivered = false
  private paused = false
  private closed = false

  constructor(onTaken: (bytes: number) => void, onStopped: () => void) {
    this.onTaken = onTaken
    this.onStopped = onStopped
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

  /** No more bytes, and no end of them either. */
  stop(): void {
    this.stopped = true
    this.add(undefined)
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
    if (this.stopped) this.onStopped()
    else receiver.onEnd()
  }
}
