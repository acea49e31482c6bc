import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"

/** Two connected wires: the client's, which sees the server as its peer, and the server's. */
export const pair = (
  listener: Endpoint.Endpoint,
  server: Peer.Peer,
  client: Peer.Peer
): readonly [client: Wire.Wire, server: Wire.Wire] => {
  const a = new MemoryWire(listener, server)
  const b = new MemoryWire(listener, client)
  a.other = b
  b.other = a
  return [a, b]
}

const highWaterMark = 65_536
const utf8 = new TextEncoder()

class MemoryWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly carries = "stream"
  readonly resetsOnClose = false
  other!: MemoryWire
  bytesRead = 0
  bytesWritten = 0
  get bytesUnsent(): number {
    return Math.max(0, this.other.buffered - highWaterMark)
  }
  private receiver: Wire.Receiver | undefined = undefined
  private readonly inbox: Array<Uint8Array> = []
  private buffered = 0
  private paused = false
  private ended = false
  private endDelivered = false
  private mustDrain = false
  private closed = false
  /** The connection was reset by the other end. */
  private broken: Error | undefined = undefined
  private scheduled = false

  constructor(listener: Endpoint.Endpoint, peer: Peer.Peer) {
    this.listener = listener
    this.peer = peer
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.schedule()
  }

  write(data: string | Uint8Array): boolean {
    if (this.ended || this.closed) return true
    const bytes = typeof data === "string" ? utf8.encode(data) : new Uint8Array(data)
    this.bytesWritten += bytes.length
    const { other } = this
    if (other.closed) {
      // Nobody is there to read it. Before its end has arrived here, that goes unnoticed; after it, the answer is a reset.
      if (this.endDelivered) {
        this.broken = new Error("connection reset by peer")
        this.schedule()
      }
      return true
    }
    other.inbox.push(bytes)
    other.buffered += bytes.length
    other.schedule()
    this.mustDrain = other.buffered > highWaterMark
    return !this.mustDrain
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.schedule()
  }

  end(): void {
    if (this.ended || this.closed) return
    this.ended = true
    this.schedule()
    this.other.schedule()
  }

  destroy(): void {
    if (this.closed) return
    this.closed = true
    // What was written can still be read, then the peer sees the end; with input unread, a reset.
    if (this.inbox.length > 0 && !this.other.closed) this.other.broken = new Error("connection reset by peer")
    this.ended = true
    this.inbox.length = 0
    this.buffered = 0
    queueMicrotask(() => this.receiver?.onClose(undefined))
    this.other.schedule()
  }

  reset(): void {
    if (this.closed) return
    this.other.broken = new Error("connection reset by peer")
    this.destroy()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { other, receiver } = this
    if (receiver === undefined || this.closed) return
    if (this.broken !== undefined) return this.finish(this.broken)
    while (!this.paused && !this.closed) {
      const bytes = this.inbox.shift()
      if (bytes === undefined) break
      this.buffered -= bytes.length
      this.bytesRead += bytes.length
      receiver.onData(bytes)
      if (other.mustDrain && this.buffered <= highWaterMark / 2) {
        other.mustDrain = false
        queueMicrotask(() => {
          if (!other.closed) other.receiver?.onDrain()
        })
      }
    }
    // Below the high-water mark it is the kernel's, as it would be with a socket.
    if (this.ended && other.buffered <= highWaterMark && !this.finished && !this.closed) {
      this.finished = true
      receiver.onFinish()
    }
    if (this.closed || this.inbox.length > 0) return
    if (other.ended && !this.endDelivered && !this.paused) {
      this.endDelivered = true
      receiver.onEnd()
      other.schedule()
    }
    if (this.endDelivered && this.finished) this.finish(undefined)
  }

  private finished = false

  private finish(error: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.inbox.length = 0
    this.buffered = 0
    this.receiver?.onClose(error)
    this.other.schedule()
  }
}
