import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"

/** Two connected wires: the client's, which sees the server as its peer, and the server's. */
export const pair = (server: Peer.Peer, client: Peer.Peer): readonly [client: Wire.Wire, server: Wire.Wire] => {
  const a = new MemoryWire(server)
  const b = new MemoryWire(client)
  a.other = b
  b.other = a
  return [a, b]
}

const highWaterMark = 65_536
const utf8 = new TextEncoder()

class MemoryWire implements Wire.Wire {
  readonly peer: Peer.Peer
  other!: MemoryWire
  bytesRead = 0
  bytesWritten = 0
  private receiver: Wire.Receiver | undefined = undefined
  private readonly inbox: Array<Uint8Array> = []
  private buffered = 0
  private paused = false
  private ended = false
  private endDelivered = false
  private mustDrain = false
  private closed = false
  private reset: Error | undefined = undefined
  private scheduled = false

  constructor(peer: Peer.Peer) {
    this.peer = peer
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.schedule()
  }

  write(data: string | Uint8Array): boolean {
    if (this.ended || this.closed) return true
    const bytes = typeof data === "string" ? utf8.encode(data) : data.slice()
    this.bytesWritten += bytes.length
    const { other } = this
    if (!other.closed) {
      other.inbox.push(bytes)
      other.buffered += bytes.length
      other.schedule()
    }
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
    // Closing after a half-close of both ends is the regular end; anything else resets the peer.
    if (!(this.ended && this.inbox.length === 0) && !this.other.closed) {
      this.other.reset = new Error("connection reset by peer")
    }
    this.inbox.length = 0
    this.buffered = 0
    queueMicrotask(() => this.receiver?.onClose(undefined))
    this.other.schedule()
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
    if (this.reset !== undefined) return this.finish(this.reset)
    if (this.ended && other.buffered === 0 && !this.finished) {
      this.finished = true
      receiver.onFinish()
    }
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
    if (this.closed || this.inbox.length > 0) return
    if (other.ended && !this.endDelivered && !this.paused) {
      this.endDelivered = true
      receiver.onEnd()
      other.schedule()
    }
    if (this.endDelivered && (this.finished || other.closed)) this.finish(undefined)
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
