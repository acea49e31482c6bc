import type * as Wire from "../Wire.ts"
import type { ServerContext } from "./context.ts"

/** Who is read, or not for a moment. */
type Read = Pick<Wire.Wire, "pause" | "resume">

/**
 * What peers send behind the last request that counts. It is read, since a close with
 * something unread is a reset, and nothing is made of it; but so much in a moment at
 * most, of all of them: what was read is memory until it is collected.
 */
export class Discards {
  private readonly context: Pick<ServerContext<never, never>, "after" | "now">
  private readonly waiting = new Set<Read>()
  private since = -Infinity
  private bytes = 0

  constructor(context: Pick<ServerContext<never, never>, "after" | "now">) {
    this.context = context
  }

  /** So much has come. More of it is not read before the moment is over, where this was too much. */
  took(read: Read, bytes: number): void {
    const { context, waiting } = this
    const now = context.now()
    if (now - this.since >= momentMillis) {
      this.since = now
      this.bytes = 0
    }
    this.bytes += bytes
    if (this.bytes <= most) return
    read.pause()
    if (waiting.size === 0) context.after(this.since + momentMillis - now, this.goOn)
    waiting.add(read)
  }

  private readonly goOn = (): void => {
    const all = [...this.waiting]
    this.waiting.clear()
    for (const read of all) read.resume()
  }
}

/** 8 MiB a quarter of a second: an eighth of what V8 lets accumulate outside of its heap before it collects it. */
const momentMillis = 250
const most = 8 * 1_048_576
