import type { Link } from "./links.ts"
import type { Loop } from "./loop.ts"
import type { NetworkWire } from "./networkWire.ts"
import type { Random } from "./random.ts"

/** The way from one end of a connection in memory to the other: when what is sent is there. */
export class Path {
  to!: NetworkWire
  readonly loop: Loop
  readonly link: Link
  readonly label: string
  /** Whether what is sent is there at once. */
  readonly direct: boolean
  private random: Random | undefined
  /** What is on its way, in its order. */
  private readonly travelling: Array<() => void> = []
  private freeAt = 0
  private lastArrival = 0

  constructor(loop: Loop, link: Link, label: string) {
    this.loop = loop
    this.link = link
    this.label = label
    this.direct = link.latency === 0 && link.jitter === 0 && link.rate === Infinity
  }

  get chance(): Random {
    return (this.random ??= this.loop.random(this.label))
  }

  /** Calls `arrive` when what is sent now is there, after all that was sent before. */
  travel(arrive: () => void, bytes = 0): void {
    const { link, loop } = this
    if (this.direct) return arrive()
    const now = loop.now()
    this.freeAt = Math.max(this.freeAt, now) + (bytes / link.rate) * 1_000
    const jitter = link.jitter > 0 ? this.chance.float() * link.jitter : 0
    this.lastArrival = Math.max(this.lastArrival, this.freeAt + link.latency + jitter)
    this.travelling.push(arrive)
    loop.after(this.lastArrival - now, () => this.travelling.shift()?.())
  }
}
