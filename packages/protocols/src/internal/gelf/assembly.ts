import type { Chunk } from "./model.ts"

/** What holds at most of messages that are not whole. */
export interface Bounds {
  readonly maxOpen: number
  readonly maxOpenPerPeer: number
  readonly maxBytes: number
  readonly maxMessageBytes: number
  readonly millis: number
}

/** A message some of whose chunks have come. */
interface Open {
  readonly key: string
  /** Whose it is, as far as messages are bounded by peer. */
  readonly peer: string
  readonly since: number
  readonly chunks: Array<Uint8Array | undefined>
  missing: number
  bytes: number
}

/** Why a chunk did not help. */
export type Problem = "contradictory" | "too large"

/** How many messages were given up, and why. */
export interface GivenUp {
  expired: number
  evicted: number
  contradictory: number
  tooLarge: number
}

/**
 * Messages whose chunks come in any order. Each is looked for by its sender and its id,
 * lives for as long as its chunks may take, and makes room for newer ones where there
 * are too many: first of its own peer, then of all.
 */
export class Assembly {
  readonly givenUp: GivenUp = { expired: 0, evicted: 0, contradictory: 0, tooLarge: 0 }
  bytes = 0
  private readonly bounds: Bounds
  /** In the order in which they began. */
  private readonly open = new Map<string, Open>()
  private readonly peers = new Map<string, Map<string, Open>>()

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  get size(): number {
    return this.open.size
  }

  /** The message that a chunk completes, or why it belongs to none; nothing where others are missing. */
  add(sender: string, peer: string, chunk: Chunk, now: number): Uint8Array | Problem | undefined {
    this.expire(now)
    const { bounds } = this
    const key = `${chunk.id} ${sender}`
    const open = this.open.get(key) ?? this.begin(key, peer, chunk.count, now)
    const known = open.chunks[chunk.index]
    if (open.chunks.length !== chunk.count || (known !== undefined && !isSame(known, chunk.bytes))) {
      this.giveUp(open, "contradictory")
      return "contradictory"
    }
    if (known !== undefined) return undefined
    open.chunks[chunk.index] = chunk.bytes.slice()
    open.missing--
    this.grow(open, chunk.bytes.length + chunkCost)
    if (open.bytes - (open.chunks.length - open.missing) * chunkCost - openCost > bounds.maxMessageBytes) {
      this.giveUp(open, "tooLarge")
      return "too large"
    }
    if (open.missing === 0) {
      this.remove(open)
      return joined(open.chunks as Array<Uint8Array>)
    }
    // It is the newest, and stays: it alone is less than all may have.
    for (const oldest of this.open.values()) {
      if (this.bytes <= bounds.maxBytes || oldest === open) break
      this.giveUp(oldest, "evicted")
    }
    return undefined
  }

  /** Gives up those whose time is over; how long it is until the next one's is. */
  expire(now: number): number {
    for (const oldest of this.open.values()) {
      const left = oldest.since + this.bounds.millis - now
      if (left > 0) return left
      this.giveUp(oldest, "expired")
    }
    return Infinity
  }

  private begin(key: string, peer: string, count: number, now: number): Open {
    const { bounds } = this
    const all = this.peers.get(peer)
    if (all !== undefined && all.size >= bounds.maxOpenPerPeer) this.giveUp(firstOf(all), "evicted")
    if (this.open.size >= bounds.maxOpen) this.giveUp(firstOf(this.open), "evicted")
    const open: Open = { key, peer, since: now, chunks: Array(count), missing: count, bytes: 0 }
    this.open.set(key, open)
    const mine = this.peers.get(peer)
    if (mine === undefined) this.peers.set(peer, new Map([[key, open]]))
    else mine.set(key, open)
    this.grow(open, openCost)
    return open
  }

  private grow(open: Open, bytes: number): void {
    open.bytes += bytes
    this.bytes += bytes
  }

  private giveUp(open: Open, why: keyof GivenUp): void {
    this.remove(open)
    this.givenUp[why]++
  }

  private remove(open: Open): void {
    this.open.delete(open.key)
    const mine = this.peers.get(open.peer)
    mine?.delete(open.key)
    if (mine?.size === 0) this.peers.delete(open.peer)
    this.bytes -= open.bytes
  }
}

/** What a message takes beside its chunks, and a chunk beside its bytes: so that empty ones are bounded, too. */
const openCost = 1_024
const chunkCost = 128

const firstOf = (all: ReadonlyMap<string, Open>): Open => all.values().next().value as Open

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
