import type * as Endpoint from "../Endpoint.ts"
import type * as Peer from "../Peer.ts"
import type * as Wire from "../Wire.ts"
import type { Link } from "./links.ts"
import type { Loop } from "./loop.ts"
import { Path } from "./networkPath.ts"
import { Receiving } from "./networkReceiving.ts"
import { Sending } from "./networkSending.ts"

/** Two connected wires: the client's, which sees the server as its peer, and the server's. */
export const pair = (
  loop: Loop,
  link: Link,
  listener: Endpoint.Endpoint,
  server: Peer.Peer,
  client: Peer.Peer
): readonly [client: NetworkWire, server: NetworkWire] => {
  const there = new Path(loop, link, `${client.name}>`)
  const back = new Path(loop, link, `${client.name}<`)
  const a = new NetworkWire(there, listener, server)
  const b = new NetworkWire(back, listener, client)
  there.to = b
  back.to = a
  return [a, b]
}

/**
 * One end of a connection in memory. What is unsent is the program's; what
 * travels or waits to be read is the system's, as much as the window takes.
 */
export class NetworkWire implements Wire.Wire {
  readonly peer: Peer.Peer
  readonly listener: Endpoint.Endpoint
  readonly carries = "stream"
  readonly resetsOnClose: boolean
  /** Where events forget something. Elsewhere they say it all, and a server need not look. */
  readonly probe: (() => void) | undefined
  readonly sending: Sending
  readonly receiving: Receiving
  receiver: Wire.Receiver | undefined = undefined
  private readonly path: Path
  /** `broken`: the other end has reset it, and the program is about to hear of it. `deaf`: it hears of nothing until it looks. */
  private state: "open" | "broken" | "deaf" | "closed" = "open"
  private scheduled = false

  constructor(path: Path, listener: Endpoint.Endpoint, peer: Peer.Peer) {
    const { forgets, resetsOnClose } = path.link
    this.path = path
    this.listener = listener
    this.peer = peer
    this.resetsOnClose = resetsOnClose
    this.probe = forgets ? () => this.look() : undefined
    this.sending = new Sending(this, path)
    this.receiving = new Receiving(this, path)
  }

  get bytesRead(): number {
    return this.receiving.bytesRead
  }

  get bytesWritten(): number {
    return this.sending.bytesWritten
  }

  get bytesUnsent(): number {
    return this.sending.bytesUnsent
  }

  get begun(): boolean {
    return this.receiving.begun
  }

  get isClosed(): boolean {
    return this.state === "closed"
  }

  /** Whether nothing that is written goes anywhere, nor is the program told of anything. */
  get isMute(): boolean {
    return this.state === "closed" || this.state === "deaf"
  }

  start(receiver: Wire.Receiver): void {
    this.receiver = receiver
    this.schedule()
  }

  write(data: string | Uint8Array): boolean {
    return this.sending.write(data)
  }

  pause(): void {
    this.receiving.paused = true
  }

  resume(): void {
    this.receiving.paused = false
    this.schedule()
  }

  end(): void {
    if (!this.isClosed) this.sending.end()
  }

  /** What was handed over can still be read, then the peer sees the end; with input unread, a reset. */
  destroy(): void {
    this.close(this.receiving.hasUnread)
  }

  reset(): void {
    this.close(true)
  }

  private close(resets: boolean): void {
    if (this.isClosed) return
    const { label, loop } = this.path
    this.state = "closed"
    loop.log?.(`${label} ${resets ? "resets" : "closes"}`)
    this.receiving.forget()
    this.sending.close(resets)
    loop.soon(() => this.receiver?.onClose(undefined))
  }

  /** The other end has reset it. */
  breaks(): void {
    if (this.state !== "open") return
    const { label, link, loop } = this.path
    if (!link.forgets || this.bytesUnsent === 0) {
      this.state = "broken"
      return this.schedule()
    }
    this.state = "deaf"
    loop.sometimes?.("a reset is forgotten")
    loop.log?.(`${label} forgets`)
    loop.soon(() => this.receiver?.onEnd())
  }

  private look(): void {
    if (this.state === "deaf") this.state = "broken"
    if (this.state === "broken") this.schedule()
  }

  /** Delivers in a later turn. */
  schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.path.loop.soon(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { receiver, receiving, sending } = this
    if (receiver === undefined || this.isMute) return
    if (this.state === "broken") return this.lose(new Error("connection reset by peer"))
    receiving.deliver(receiver)
    if (!this.isClosed) sending.tellFinish(receiver)
    if (!this.isClosed) receiving.tellEnd(receiver)
    if (receiving.endTold && sending.finishTold) this.lose(undefined)
  }

  private lose(error: Error | undefined): void {
    if (this.isClosed) return
    const { label, loop } = this.path
    this.state = "closed"
    this.sending.forget()
    this.receiving.forget()
    loop.log?.(`${label} ${error === undefined ? "ends" : "is reset"}`)
    this.receiver?.onClose(error)
  }
}
