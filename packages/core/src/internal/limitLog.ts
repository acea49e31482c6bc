import { never, type Timed } from "./deadlines.ts"
import type { ServerLog } from "./serverLog.ts"

interface Surroundings {
  readonly now: () => number
  readonly log: ServerLog
  readonly deadlines: { readonly by: (timed: Timed, moment: number) => void; readonly forget: (timed: Timed) => void }
}

/**
 * What is told of limits: a line at `Warn` when one is reached, and one at `Info` when
 * it is over, with how long it lasted and how often it was met. It is over when it was not
 * met for 10 seconds, or when the server has stopped. So whoever meets a limit all
 * the time, as a peer may, makes two lines in all.
 *
 * A limit that ends in an outcome has a row in `limitMet.ts`, and need say nothing: the
 * ledger looks there. Any other one says so at the place where it does something:
 *
 * ```text
 * context.limitLog.reached("maxConnections", limits.maxConnections, "refused", peer.name)
 * // Echo: maxConnections (4096) is reached: refused 192.0.2.1:5000
 * // Echo: maxConnections (4096) was reached for 12300 ms: 158 refused, 3 made room
 * ```
 *
 * The limit is called as its option, so that it is found. What was done is a word
 * that follows a number and comes before a name; whom it was done to is optional, and
 * so is what was done, where the limit alone is worth a line. One call for each peer or
 * request is cheap: a look into a map.
 */
export class LimitLog {
  private readonly context: Surroundings
  private readonly open = new Map<string, Episode>()

  constructor(context: Surroundings) {
    this.context = context
  }

  reached(limit: string, value: number | string, did?: string, whom?: string): void {
    const { context } = this
    if (context.log.silent) return
    const now = context.now()
    let episode = this.open.get(limit)
    if (episode === undefined) {
      episode = new Episode(limit, value, now, context, () => this.open.delete(limit))
      this.open.set(limit, episode)
      context.deadlines.by(episode, now + quietMillis)
      episode.begin(did, whom)
    }
    episode.meet(now, value, did)
  }

  /** The server has stopped: what has begun is over. */
  end(): void {
    for (const episode of this.open.values()) {
      this.context.deadlines.forget(episode)
      episode.end()
    }
  }
}

/** From when a limit is reached until it is over. */
class Episode implements Timed {
  dueAt = never
  queuedAt = never
  private readonly limit: string
  private value: number | string
  private readonly context: Surroundings
  private readonly onEnd: () => void
  private readonly from: number
  private last: number
  private readonly done = new Map<string, number>()

  constructor(limit: string, value: number | string, now: number, context: Surroundings, onEnd: () => void) {
    this.limit = limit
    this.value = value
    this.context = context
    this.onEnd = onEnd
    this.from = this.last = now
  }

  begin(did: string | undefined, whom: string | undefined): void {
    const what = did === undefined ? "" : `: ${whom === undefined ? `one ${did}` : `${did} ${whom}`}`
    this.say("Warn", `is reached${what}`, whom)
  }

  meet(now: number, value: number | string, did: string | undefined): void {
    this.last = now
    this.value = value
    if (did !== undefined) this.done.set(did, (this.done.get(did) ?? 0) + 1)
  }

  look(now: number): number {
    const until = this.last + quietMillis
    if (now < until) return until
    this.end()
    return Infinity
  }

  end(): void {
    this.onEnd()
    const counts = [...this.done].map(([did, times]) => `${times} ${did}`).join(", ")
    const what = counts === "" ? "" : `: ${counts}`
    this.say("Info", `was reached for ${this.last - this.from} ms${what}`)
  }

  private say(level: "Info" | "Warn", text: string, peer?: string): void {
    // Not one kind for all: what one limit tells much of keeps no other from being told.
    const { context, limit, value } = this
    context.log.say(level, `the limit ${limit}`, `${limit} (${value}) ${text}`, { limit, peer })
  }
}

/** How long a limit is not met when it is over. */
const quietMillis = 10_000
