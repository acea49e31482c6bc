import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Transport from "../Transport.ts"
import type * as Wire from "../Wire.ts"

/** A client's datagram socket as a wire: each write is a datagram, and each datagram a message. */
export class DatagramWire implements Transport.DatagramWire {
  readonly carries = "datagrams"
  readonly resetsOnClose = false
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly maxMessageBytes: number
  bytesRead = 0
  bytesWritten = 0
  bytesUnsent = 0
  private readonly options: Transport.DatagramWireOptions
  private receiver: Wire.Receiver | undefined = undefined
  private paused = false
  private closed = false
  private failure: unknown = undefined
  private ending = false
  private blocked = false
  private waiting: Array<Uint8Array> = []
  private waitingBytes = 0
  private readonly soon: (f: () => void) => void

  constructor(options: Transport.DatagramWireOptions) {
    this.options = options
    this.soon = options.soon ?? queueMicrotask
    this.peer = options.peer
    this.listener = options.listener
    this.maxMessageBytes = options.maxMessageBytes
  }

  received(data: Uint8Array): void {
    if (this.closed) return
    this.bytesRead += data.length
    if (this.receiver !== undefined && !this.paused) return this.receiver.onData(data)
    if (this.waiting.length === maxWaiting || this.waitingBytes + data.length > maxWaitingBytes) return
    this.waiting.push(data)
    this.waitingBytes += data.length
  }

  broken(error: unknown): void {
    this.finish(error)
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    // Whoever comes late hears of it, too.
    if (this.closed) this.tell()
    else this.deliver()
  }

  write(data: string | Uint8Array): boolean {
    if (this.closed || this.ending) return true
    const bytes = typeof data === "string" ? utf8.encode(data) : data
    this.bytesUnsent += bytes.length
    this.options.send(bytes, (error) => {
      this.bytesUnsent -= bytes.length
      if (error !== undefined) return this.finish(error)
      this.bytesWritten += bytes.length
      if (this.bytesUnsent > 0 || this.closed) return
      if (this.blocked) {
        this.blocked = false
        this.receiver?.onDrain()
      }
      if (this.ending) this.receiver?.onFinish()
    })
    this.blocked = this.bytesUnsent > highWaterMark
    return !this.blocked
  }

  pause(): void {
    this.paused = true
    if (!this.closed) this.options.flow?.pause()
  }

  resume(): void {
    this.paused = false
    this.deliver()
    if (!this.paused && !this.closed) this.options.flow?.resume()
  }

  /** Nobody hears of it: datagrams have no end. */
  end(): void {
    if (this.ending || this.closed) return
    this.ending = true
    if (this.bytesUnsent === 0) this.soon(() => this.receiver?.onFinish())
  }

  destroy(): void {
    this.finish(undefined)
  }

  reset(): void {
    this.finish(undefined)
  }

  private deliver(): void {
    while (!this.paused && !this.closed && this.receiver !== undefined) {
      const data = this.waiting.shift()
      if (data === undefined) return
      this.waitingBytes -= data.length
      this.receiver.onData(data)
    }
  }

  private finish(error: unknown): void {
    if (this.closed) return
    this.closed = true
    this.waiting = []
    this.failure = error
    this.options.close()
    if (this.receiver !== undefined) this.tell()
  }

  private tell(): void {
    this.soon(() => this.receiver?.onClose(this.failure))
  }
}

const utf8 = new TextEncoder()

const highWaterMark = 65_536

// What nobody reads is bounded, as it is in the kernel: in datagrams, and in bytes.
const maxWaiting = 1_024
const maxWaitingBytes = 1_048_576
