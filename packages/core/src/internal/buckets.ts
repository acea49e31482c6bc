/**
 * A bucket of tokens for each key, as the one moment at which it will be full
 * again (the generic cell rate algorithm). One that is full is forgotten; beyond
 * so many keys the one that was used longest ago is, too.
 */
export class Buckets {
  private readonly interval: number
  private readonly depth: number
  private readonly maxDelay: number
  private readonly maxKeys: number
  /** When each is full again, the one that was used longest ago first. */
  private readonly fullAt = new Map<string, number>()

  /** All times are in milliseconds: between two tokens, until an empty bucket is full, and how long one may be waited for. */
  constructor(interval: number, burst: number, maxDelay: number, maxKeys: number) {
    this.interval = interval
    this.depth = interval * burst
    this.maxDelay = maxDelay
    this.maxKeys = maxKeys
  }

  get size(): number {
    return this.fullAt.size
  }

  /** Takes a token: how long it has to be waited for; or, below 0, how long it would have to be, and none is taken. */
  take(key: string, now: number): number {
    const { depth, fullAt, interval } = this
    const next = Math.max(fullAt.get(key) ?? 0, now) + interval
    // What is no more than a rounding is none.
    const wait = next - depth - now
    const millis = wait < 1e-6 ? 0 : wait
    if (millis > this.maxDelay) return -millis
    fullAt.delete(key)
    this.forget(now)
    fullAt.set(key, next)
    return millis
  }

  private forget(now: number): void {
    for (const [key, at] of this.fullAt) {
      if (at > now && this.fullAt.size < this.maxKeys) return
      this.fullAt.delete(key)
    }
  }
}
