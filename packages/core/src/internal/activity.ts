import type * as Wire from "../Wire.ts"
import { never } from "./deadlines.ts"
import { Heard } from "./incoming.ts"
import { takenOf } from "./progress.ts"

/**
 * When what last happened on a connection, by its server's clock: all that its
 * deadlines are told by. Noting something must cost next to nothing.
 */
export class Activity {
  /** When it was accepted. */
  readonly opened: Heard
  /** When the peer was last heard of; the same while it has not been. */
  heard: Heard
  /** When last nothing but the peer was waited for from then on, if connections may be idle too long. */
  freeAt: number
  /** When the last request was whole. */
  requestedAt: number
  /** Whether the peer was sent what it had not asked for. */
  pushed = false
  /** Since when a frame is on its way; the time in which nothing was read is left out. */
  private frameAt = never
  private pausedAt = never
  /** Called once, where others wait until the peer has sent its first byte. Not initialised: few are waited for. */
  declare onHeard: (() => void) | undefined
  // Few peers do not keep up.
  private writing: { takenBytes: number; at: number } | undefined = undefined

  constructor(now: number) {
    this.opened = this.heard = new Heard(now)
    this.freeAt = this.requestedAt = now
  }

  /** Whether the peer has sent anything. */
  get hasHeard(): boolean {
    return this.heard !== this.opened
  }

  /** Nobody waits for its first byte any more: it has come, or will not. */
  heardFirst(): void {
    const { onHeard } = this
    this.onHeard = undefined
    onHeard?.()
  }

  /** What was received has been decoded, `whole` if it has completed a frame; `held` bytes of one are left, which has begun then. */
  decoded(held: number, whole: boolean, at: number): void {
    if (held > 0 && !whole && this.frameAt !== never) return
    this.frameAt = held === 0 ? never : at
    this.pausedAt = never
  }

  /** Whether the rest of a frame is waited for. */
  get inFrame(): boolean {
    return this.frameAt !== never
  }

  /** Since when the rest of one is waited for, as far as nothing else is. */
  get inFrameSince(): number | undefined {
    return this.frameAt === never ? undefined : this.frameAt
  }

  paused(now: number): void {
    if (this.frameAt !== never && this.pausedAt === never) this.pausedAt = now
  }

  resumed(now: number): void {
    if (this.frameAt !== never && this.pausedAt !== never) this.frameAt += now - Math.max(this.pausedAt, this.frameAt)
    this.pausedAt = never
  }

  /** When a frame will have taken `millis`, if its bytes are read. */
  frameDue(millis: number): number {
    return this.frameAt === never || this.pausedAt !== never ? Infinity : this.frameAt + millis
  }

  /** When the peer will have been silent for `millis`. */
  idleDue(millis: number): number {
    return Math.max(this.heard.at, this.freeAt) + millis
  }

  /** Something of what was written has not left. */
  unsent(wire: Wire.Wire, now: number): void {
    this.writing ??= { takenBytes: takenOf(wire), at: now }
  }

  get isUnsent(): boolean {
    return this.writing !== undefined
  }

  /** Since when nothing has left, as far as a look now and then can tell. */
  get unsentSince(): number | undefined {
    return this.writing?.at
  }

  /** Everything has left. */
  sent(): void {
    this.writing = undefined
  }

  /** When nothing will have left for `millis`, as far as a look now and then can tell. */
  writeDue(wire: Wire.Wire, now: number, millis: number): number {
    const { writing } = this
    if (writing === undefined) return Infinity
    const takenBytes = takenOf(wire)
    if (takenBytes !== writing.takenBytes) {
      writing.takenBytes = takenBytes
      writing.at = now
    }
    return writing.at + millis
  }
}
