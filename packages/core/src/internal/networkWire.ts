import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import type { Link } from "./links.ts"
import type { Loop } from "./loop.ts"
import type { Random } from "./random.ts"

/** Two connected wires: the client's, which sees the server as its peer, and the server's. */
export const pair = (
  loop: Loop,
  link: Link,
  listener: Endpoint.Endpoint,
  server: Peer.Peer,
  client: Peer.Peer
): readonly [client: NetworkWire, server: NetworkWire] => {
  const a = new NetworkWire(loop, link, listener, server, `${client.name}>`)
  const b = new NetworkWire(loop, link, listener, client, `${client.name}<`)
  a.other = b
  b.other = a
  return [a, b]
}

/**
 * One end of a connection in memory. What is `unsent` is the program's; what
 * travels or waits to be read is the system's, as much as the window takes.
 */
export class NetworkWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly carries = "stream"
  other!: NetworkWire
  bytesRead = 0
  bytesWritten = 0
  bytesUnsent = 0
  private readonly loop: Loop
  private readonly link: Link
  private readonly label: string
  /** Whether what is sent is there at once. */
  private readonly direct: boolean
  /** Where events forget something. Elsewhere they say it all, and a server need not look. */
  readonly probe: (() => void) | undefined
  private random: Random | undefined
  private receiver: Wire.Receiver | undefined = undefined
  private readonly unsent: Array<Uint8Array> = []
  /** Of the other end's window. */
  private taken = 0
  private readonly inbox: Array<Uint8Array> = []
  /** What was read, and the sender has not been told of. */
  private room = 0
  private paused = false
  private mustDrain = false
  private ended = false
  private endSent = false
  private endArrived = false
  private endDelivered = false
  private finished = false
  private closed = false
  /** The connection was reset by the other end. */
  private broken: Error | undefined = undefined
  private deaf = false
  private scheduled = false
  /** What is on its way, in its order. */
  private readonly travelling: Array<() => void> = []
  private freeAt = 0
  private lastArrival = 0

  constructor(loop: Loop, link: Link, listener: Endpoint.Endpoint, peer: Peer.Peer, label: string) {
    this.loop = loop
    this.link = link
    this.listener = listener
    this.peer = peer
    this.label = label
    this.probe = link.forgets ? () => this.look() : undefined
    this.direct = link.latency === 0 && link.jitter === 0 && link.rate === Infinity
  }

  get resetsOnClose(): boolean {
    return this.link.resetsOnClose
  }

  get begun(): boolean {
    return this.inbox.length > 0 || this.endArrived
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.schedule()
  }

  write(data: string | Uint8Array): boolean {
    if (this.ended || this.closed || this.deaf) return true
    const bytes = typeof data === "string" ? utf8.encode(data) : new Uint8Array(data)
    this.bytesWritten += bytes.length
    if (bytes.length > 0) this.unsent.push(bytes)
    this.bytesUnsent += bytes.length
    this.pump()
    if (this.bytesUnsent > this.link.highWater) this.mustDrain = true
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
    this.pump()
  }

  /** What was handed over can still be read, then the peer sees the end; with input unread, a reset. */
  destroy(): void {
    this.close(this.inbox.length > 0)
  }

  reset(): void {
    this.close(true)
  }

  private close(resets: boolean): void {
    if (this.closed) return
    this.closed = true
    this.loop.log?.(`${this.label} ${resets ? "resets" : "closes"}`)
    const { other } = this
    if (!resets && !this.link.resetsOnClose) {
      for (const bytes of this.unsent) this.travel(() => other.arrives(bytes), bytes.length)
    }
    this.forget()
    this.inbox.length = 0
    if (resets) this.travel(() => other.breaks())
    else this.sendEnd()
    this.loop.soon(() => this.receiver?.onClose(undefined))
  }

  private forget(): void {
    this.unsent.length = 0
    this.bytesUnsent = 0
  }

  /** Calls `arrive` when what is sent now is there, after all that was sent before. */
  private travel(arrive: () => void, bytes = 0): void {
    const { link, loop } = this
    if (this.direct) return arrive()
    const now = loop.now()
    this.freeAt = Math.max(this.freeAt, now) + (bytes / link.rate) * 1_000
    const jitter = link.jitter > 0 ? this.chance.float() * link.jitter : 0
    this.lastArrival = Math.max(this.lastArrival, this.freeAt + link.latency + jitter)
    this.travelling.push(arrive)
    loop.after(this.lastArrival - now, () => this.travelling.shift()?.())
  }

  private get chance(): Random {
    return (this.random ??= this.loop.random(this.label))
  }

  /** Hands over what the window has room for. */
  private pump(): void {
    if (this.closed) return
    const { link, other, unsent } = this
    if (this.direct && other.closed && !link.resetsOnClose) {
      // Nobody is there to read it. Before its end has been seen here, that goes unnoticed; after it, the answer is a reset.
      this.forget()
      if (this.endDelivered) this.breaks()
    }
    const [min, max] = link.chunk
    while (unsent.length > 0) {
      const room = link.window - this.taken
      // As TCP: no silly windows. Without it, rooms of one byte go round for ever.
      if (this.taken > 0 && room < Math.min(max, this.bytesUnsent, link.window / 2)) {
        this.loop.sometimes?.("a window is full")
        break
      }
      const first = unsent[0] as Uint8Array
      const most = max === Infinity ? room : Math.min(room, this.chance.int(min, max))
      const piece = first.length <= most ? first : first.subarray(0, most)
      if (piece === first) unsent.shift()
      else unsent[0] = first.subarray(most)
      this.bytesUnsent -= piece.length
      this.taken += piece.length
      if (this.direct) other.arrives(piece)
      else this.travel(() => other.arrives(piece), piece.length)
    }
    if (unsent.length > 0) return
    if (this.mustDrain) {
      this.mustDrain = false
      this.loop.soon(() => {
        if (!this.closed && !this.deaf) this.receiver?.onDrain()
      })
    }
    if (this.ended && !this.endSent) {
      this.schedule()
      this.sendEnd()
    }
  }

  private sendEnd(): void {
    if (this.endSent) return
    this.endSent = true
    const { other } = this
    this.travel(() => {
      other.endArrived = true
      other.schedule()
    })
  }

  private arrives(piece: Uint8Array): void {
    if (!this.closed) {
      this.inbox.push(piece)
      return this.schedule()
    }
    const { other } = this
    if (this.link.resetsOnClose || other.endDelivered) this.travel(() => other.breaks())
    else this.travel(() => other.makesRoom(piece.length))
  }

  private breaks(): void {
    if (this.closed || this.broken !== undefined) return
    this.broken = new Error("connection reset by peer")
    if (this.link.forgets && this.bytesUnsent > 0) {
      this.deaf = true
      this.loop.sometimes?.("a reset is forgotten")
      this.loop.log?.(`${this.label} forgets`)
      return this.loop.soon(() => this.receiver?.onEnd())
    }
    this.schedule()
  }

  private look(): void {
    const { broken } = this
    if (broken === undefined || this.closed) return
    this.deaf = false
    this.schedule()
  }

  private makesRoom(bytes: number): void {
    this.taken -= bytes
    this.pump()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.loop.soon(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { receiver } = this
    if (receiver === undefined || this.closed || this.deaf) return
    if (this.broken !== undefined) return this.lose(this.broken)
    while (!this.paused && !this.closed) {
      const bytes = this.next()
      if (bytes === undefined) break
      this.bytesRead += bytes.length
      this.loop.log?.(`${this.label} reads ${bytes.length}`)
      this.loop.reads?.(this.label)
      receiver.onData(bytes)
      this.read(bytes.length)
    }
    if (this.endSent && !this.finished && !this.closed) {
      this.finished = true
      receiver.onFinish()
    }
    if (this.closed || this.inbox.length > 0) return
    if (this.endArrived && !this.endDelivered && !this.paused) {
      this.endDelivered = true
      receiver.onEnd()
    }
    if (this.endDelivered && this.finished) this.lose(undefined)
  }

  private next(): Uint8Array | undefined {
    const { inbox } = this
    if (!this.link.joins || inbox.length < 2) return inbox.shift()
    const joined = new Uint8Array(inbox.reduce((sum, piece) => sum + piece.length, 0))
    let at = 0
    for (const piece of inbox) {
      joined.set(piece, at)
      at += piece.length
    }
    inbox.length = 0
    return joined
  }

  private read(bytes: number): void {
    this.room += bytes
    if (this.room < this.link.window / 2 && this.inbox.length > 0) return
    const { other, room } = this
    this.room = 0
    if (this.direct) other.makesRoom(room)
    else this.travel(() => other.makesRoom(room))
  }

  private lose(error: Error | undefined): void {
    if (this.closed) return
    this.closed = true
    this.forget()
    this.inbox.length = 0
    this.loop.log?.(`${this.label} ${error === undefined ? "ends" : "is reset"}`)
    this.receiver?.onClose(error)
  }
}

const utf8 = new TextEncoder()
