import type * as Wire from "../Wire.ts"
import type { Path } from "./networkPath.ts"
import type { NetworkWire } from "./networkWire.ts"

/** What has come to one end: what its program has not read, what the sender is told of that, and the end. */
export class Receiving {
  bytesRead = 0
  paused = false
  endTold = false
  private readonly wire: NetworkWire
  /** The way back. */
  private readonly path: Path
  private readonly inbox: Array<Uint8Array> = []
  /** What was read, and the sender has not been told of. */
  private room = 0
  private endArrived = false

  constructor(wire: NetworkWire, path: Path) {
    this.wire = wire
    this.path = path
  }

  get begun(): boolean {
    return this.hasUnread || this.endArrived
  }

  get hasUnread(): boolean {
    return this.inbox.length > 0
  }

  arrives(piece: Uint8Array): void {
    const { path, wire } = this
    if (!wire.isClosed) {
      this.inbox.push(piece)
      return wire.schedule()
    }
    const { to } = path
    if (path.link.resetsOnClose || to.receiving.endTold) path.travel(() => to.breaks())
    else path.travel(() => to.sending.makesRoom(piece.length))
  }

  endArrives(): void {
    this.endArrived = true
    this.wire.schedule()
  }

  /** Hands over what has come, for as long as the program reads. */
  deliver(receiver: Wire.Receiver): void {
    const { loop, label } = this.path
    while (!this.paused && !this.wire.isClosed) {
      const bytes = this.next()
      if (bytes === undefined) break
      this.bytesRead += bytes.length
      loop.log?.(`${label} reads ${bytes.length}`)
      loop.reads?.(label)
      receiver.onData(bytes)
      this.read(bytes.length)
    }
  }

  /** Tells the program, once, that all has come. */
  tellEnd(receiver: Wire.Receiver): void {
    if (this.hasUnread || !this.endArrived || this.endTold || this.paused) return
    this.endTold = true
    receiver.onEnd()
  }

  private next(): Uint8Array | undefined {
    const { inbox } = this
    if (!this.path.link.joins || inbox.length < 2) return inbox.shift()
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
    const { path, room } = this
    if (room < path.link.window / 2 && this.hasUnread) return
    const { to } = path
    this.room = 0
    if (path.direct) to.sending.makesRoom(room)
    else path.travel(() => to.sending.makesRoom(room))
  }

  forget(): void {
    this.inbox.length = 0
  }
}
