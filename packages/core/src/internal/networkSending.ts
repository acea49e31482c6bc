import type * as Wire from "../Wire.ts"
import type { Path } from "./networkPath.ts"
import type { NetworkWire } from "./networkWire.ts"

/** What one end sends: what is unsent, how much of the other end's window is taken, and the end. */
export class Sending {
  bytesWritten = 0
  bytesUnsent = 0
  finishTold = false
  private readonly wire: NetworkWire
  private readonly path: Path
  private readonly unsent: Array<Uint8Array> = []
  /** Of the other end's window. */
  private taken = 0
  private mustDrain = false
  private ended = false
  private endSent = false

  constructor(wire: NetworkWire, path: Path) {
    this.wire = wire
    this.path = path
  }

  write(data: string | Uint8Array): boolean {
    if (this.ended || this.wire.isMute) return true
    const bytes = typeof data === "string" ? utf8.encode(data) : new Uint8Array(data)
    this.bytesWritten += bytes.length
    if (bytes.length > 0) this.unsent.push(bytes)
    this.bytesUnsent += bytes.length
    this.pump()
    if (this.bytesUnsent > this.path.link.highWater) this.mustDrain = true
    return !this.mustDrain
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.pump()
  }

  /** Hands over what the window has room for. */
  private pump(): void {
    const { path, unsent, wire } = this
    if (wire.isClosed) return
    const { direct, link, loop, to } = path
    if (direct && to.isClosed && !link.resetsOnClose) {
      // Nobody is there to read it. Before its end has been seen here, that goes unnoticed; after it, the answer is a reset.
      this.forget()
      if (wire.receiving.endTold) wire.breaks()
    }
    const [min, max] = link.chunk
    while (unsent.length > 0) {
      const room = link.window - this.taken
      // As TCP: no silly windows. Without it, rooms of one byte go round for ever.
      if (this.taken > 0 && room < Math.min(max, this.bytesUnsent, link.window / 2)) {
        loop.sometimes?.("a window is full")
        break
      }
      const first = unsent[0] as Uint8Array
      const most = max === Infinity ? room : Math.min(room, path.chance.int(min, max))
      const piece = first.length <= most ? first : first.subarray(0, most)
      if (piece === first) unsent.shift()
      else unsent[0] = first.subarray(most)
      this.bytesUnsent -= piece.length
      this.taken += piece.length
      if (direct) to.receiving.arrives(piece)
      else path.travel(() => to.receiving.arrives(piece), piece.length)
    }
    if (unsent.length > 0) return
    if (this.mustDrain) {
      this.mustDrain = false
      loop.soon(() => {
        if (!wire.isMute) wire.receiver?.onDrain()
      })
    }
    if (this.ended && !this.endSent) {
      wire.schedule()
      this.sendEnd()
    }
  }

  private sendEnd(): void {
    if (this.endSent) return
    this.endSent = true
    const { path } = this
    path.travel(() => path.to.receiving.endArrives())
  }

  /** The other end has read so much. */
  makesRoom(bytes: number): void {
    this.taken -= bytes
    this.pump()
  }

  /** Tells the program, once, that all has left. */
  tellFinish(receiver: Wire.Receiver): void {
    if (!this.endSent || this.finishTold) return
    this.finishTold = true
    receiver.onFinish()
  }

  /** Sends what is left as if there were no window, and the end; with `resets`, a reset instead. */
  close(resets: boolean): void {
    const { path, unsent } = this
    const { to } = path
    if (!resets && !path.link.resetsOnClose) {
      for (const bytes of unsent) path.travel(() => to.receiving.arrives(bytes), bytes.length)
    }
    this.forget()
    if (resets) path.travel(() => to.breaks())
    else this.sendEnd()
  }

  forget(): void {
    this.unsent.length = 0
    this.bytesUnsent = 0
  }
}

const utf8 = new TextEncoder()
