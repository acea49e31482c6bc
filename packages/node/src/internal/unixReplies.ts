import * as Outcome from "@socketserver/core/Outcome"
import * as Result from "effect/Result"
import type { Libc } from "./libc.ts"
import { Budget } from "./unixBudget.ts"
import { type Sender, systemError, UnixDatagram } from "./unixDatagram.ts"

/** Told once how a reply ended. */
export type Sent = (failure?: Outcome.Undelivered) => void

interface Reply {
  readonly data: Uint8Array
  readonly to: Sender
  readonly sent: Sent
  readonly until: number
}

/** A peer whose queue is full, and what waits for it, in order. */
interface Waiting {
  readonly to: Sender
  replies: Array<Reply>
  /** How many it has taken in the last whole window, and since that. At first it is trusted to read. */
  took: number
  taking: number
  windowAt: number
  /** When it was last to be given one. */
  askedAt: number
  /** Until the next try, if nothing says before that there is room. */
  delayMillis: number
  timer: NodeJS.Timeout | undefined
  /** A socket that is connected to it, and so is told when it has room. */
  watcher: UnixDatagram | undefined
}

/**
 * The way back of a datagram socket. The kernel keeps few datagrams for each
 * peer (`net.unix.max_dgram_qlen`, often 10), and tells a socket that is not
 * connected nothing of the room that it has again. So a second socket is
 * connected to a peer that is full; and where that cannot be, a reply is tried
 * again at longer and longer intervals. Each peer has its own line, in order.
 *
 * What waits counts against the server's limit. A peer that reads fast may take
 * all of it: then the server waits for it, and nothing is lost. One that reads
 * slowly has a limit of its own, a lower one while the server is full; one that
 * takes nothing has nothing waiting then.
 */
export class Replies {
  /** Whether the server is full. */
  pressed = false
  private readonly system: Libc
  private readonly socket: UnixDatagram
  private readonly timeoutMillis: number
  private readonly budget: Budget
  private readonly waiting = new Map<string, Waiting>()
  private watchers = 0
  private closed = false

  constructor(system: Libc, socket: UnixDatagram, timeoutMillis: number) {
    this.system = system
    this.socket = socket
    this.timeoutMillis = timeoutMillis
    this.budget = new Budget(system, socket)
  }

  send(data: Uint8Array, to: Sender, sent: Sent): void {
    if (this.closed) return sent(stopped())
    const waiting = this.waiting.get(to.key)
    if (waiting === undefined || waiting.replies.length === 0) {
      const code = this.give(data, to)
      if (code === undefined || !full.has(code)) {
        if (waiting !== undefined) this.forget(waiting)
        return sent(code === undefined ? undefined : undelivered(code))
      }
    }
    const now = performance.now()
    const reply: Reply = { data, to, sent, until: now + this.timeoutMillis }
    if (waiting === undefined) return this.wait(reply, now)
    waiting.askedAt = now
    if (waiting.replies.length >= this.limit(waiting)) return sent(peerFull())
    waiting.replies.push(reply)
  }

  /** Gives up what waits. */
  close(): void {
    this.closed = true
    this.budget.close()
    for (const waiting of this.waiting.values()) {
      this.forget(waiting)
      for (const { sent } of waiting.replies) sent(stopped())
    }
  }

  private give(data: Uint8Array, to: Sender): string | undefined {
    if (!this.budget.allows(to, data.length)) return "EAGAIN"
    const code = this.socket.send(data, to.address)
    if (code === undefined) this.budget.add(to, data.length)
    return code
  }

  private wait(reply: Reply, now: number): void {
    const { to } = reply
    const waiting: Waiting = {
      to,
      replies: [reply],
      took: Infinity,
      taking: 0,
      windowAt: now,
      askedAt: now,
      delayMillis: firstMillis,
      timer: undefined,
      watcher: this.watcherOf(to)
    }
    this.waiting.set(to.key, waiting)
    this.later(waiting, true)
  }

  private watcherOf({ address }: Sender): UnixDatagram | undefined {
    if (this.watchers >= maxWatchers) return undefined
    const watcher = Result.getOrUndefined(UnixDatagram.open(this.system, 0))
    if (watcher === undefined) return undefined
    if (watcher.connect(address) !== undefined) return void watcher.close()
    this.watchers++
    return watcher
  }

  private forget(waiting: Waiting): void {
    this.waiting.delete(waiting.to.key)
    clearTimeout(waiting.timer)
    if (waiting.watcher === undefined) return
    this.watchers--
    waiting.watcher.close()
  }

  /** Tries again: when the peer has room, if `watched`, and after a while at the latest. */
  private later(waiting: Waiting, watched: boolean): void {
    const { watcher } = waiting
    const again = () => this.retry(waiting)
    clearTimeout(waiting.timer)
    if (watched) watcher?.onWritable(again)
    const delay = watched && watcher !== undefined ? lastMillis : waiting.delayMillis
    waiting.timer = setTimeout(again, delay)
  }

  private retry(waiting: Waiting): void {
    const now = performance.now()
    const { replies } = waiting
    const ended: Array<readonly [Reply, Outcome.Undelivered | undefined]> = []
    let next = 0
    for (; next < replies.length; next++) {
      const reply = replies[next] as Reply
      const code = this.give(reply.data, reply.to)
      if (code !== undefined && full.has(code)) break
      ended.push([reply, code === undefined ? undefined : undelivered(code)])
    }
    const moved = next > 0
    waiting.delayMillis = moved ? firstMillis : Math.min(2 * waiting.delayMillis, lastMillis)
    waiting.taking += next
    if (now - waiting.windowAt >= windowMillis) {
      waiting.took = waiting.taking
      waiting.taking = 0
      waiting.windowAt = now
    }
    // Those that have waited too long come first.
    let late = next
    while (late < replies.length && (replies[late] as Reply).until <= now) late++
    waiting.replies = replies.slice(late, late + this.limit(waiting))
    for (const reply of replies.slice(next, late)) ended.push([reply, peerFull()])
    for (const reply of replies.slice(late + waiting.replies.length)) ended.push([reply, peerFull()])
    // A peer that takes nothing is remembered for a while after its last reply was given up.
    if (waiting.replies.length === 0 && (moved || now - waiting.askedAt > rememberMillis)) this.forget(waiting)
    // Room of which nothing came is not this peer's: it is the server's own that lacks.
    else this.later(waiting, moved)
    // Whoever is told may send again.
    for (const [{ sent }, failure] of ended) sent(failure)
  }

  /** How many replies may wait for a peer. */
  private limit({ took }: Waiting): number {
    if (took >= fast) return Infinity
    if (!this.pressed) return maxWaiting
    return took > 0 ? maxSlow : 0
  }
}

// The first interval is short, since a peer that reads has room at once; the
// last is what waiting for one that does not costs.
const firstMillis = 1
const lastMillis = 32

// A peer that takes so many in each window is not what the server waits for.
const windowMillis = 250
const fast = 64

// Replies that wait for a peer that is not: a quarter of a server's limit by default; and while the server is full.
const maxWaiting = 1_024
const maxSlow = 64

// Peers that have a socket to be watched by; more are tried at intervals.
const maxWatchers = 128

// How long a peer that takes nothing is known as such after it was last to be given something.
const rememberMillis = 1_000

// There is no room at the peer, or at the moment none in the system.
const full = new Set(["EAGAIN", "ENOBUFS", "ENOMEM"])

const peerFull = () => Outcome.undelivered("PeerFull")

const stopped = () => Outcome.undelivered("Other", new Error("the server has stopped"))

const undelivered = (code: string): Outcome.Undelivered =>
  Outcome.undelivered(reasonOf(code), systemError(code, "sendto"))

const reasonOf = (code: string): Outcome.Undelivered["reason"] => {
  switch (code) {
    case "ECONNREFUSED":
    case "ENOENT":
    case "ENOTDIR":
      return "PeerGone"
    case "EMSGSIZE":
      return "TooLarge"
    // Its path may not be written to, has another socket now, or the peer listens to somebody else only.
    case "EACCES":
    case "EPERM":
    case "EPROTOTYPE":
      return "Unreachable"
    default:
      return "Other"
  }
}
