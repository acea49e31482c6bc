/** The options of a pool of workers. Their defaults are those of the policies, which make them. */
export interface PoolOptions {
  /** The policy, as it is written in configuration. */
  readonly policy: string
  readonly kind: "thread" | "process"
  /** Workers at a time. */
  readonly max: number
  /** Whether there are always `max` of them; otherwise as many as there are requests, and `spares`. */
  readonly fixed: boolean
  /** Workers that wait, started ahead, if the number is not fixed. */
  readonly spares: number
  /** Workers that start together, if the number is not fixed; each beyond those begins a moment after the one before. */
  readonly startsAtOnce?: number | undefined
  /** Requests that a worker handles before it is replaced. */
  readonly recycle: number
  /** Requests that a worker handles at a time. */
  readonly each: number
  /** Whether a request has a claim, so that it is known whether it has begun. */
  readonly hasClaims: boolean
  /** Requests that a worker is given ahead of their turn, beyond those that it handles. */
  readonly prefetch: number
  /** The same where they take next to no time. Default: no more. */
  readonly prefetchQuick?: number | undefined
  /** Requests that wait for a worker. */
  readonly queue: number
  /** The heap of a worker in MiB, if it is limited. */
  readonly memoryMb: number | undefined
  /** How long a worker may take for a request before it is killed. */
  readonly deadlineMillis: number
  /** How long a worker may take to start. */
  readonly startMillis: number
  /** How long a worker that was told to end, or to let go of a request, may take before it is killed. */
  readonly graceMillis: number
  /** How long a reply that nobody reads may keep a worker that others wait for. */
  readonly placeMillis: number
  /** What may be on its way in one direction, for one call, before the receiver has taken it, in bytes. Default: 64 KiB. */
  readonly windowBytes?: number | undefined
  /** How often a request is given to another worker when the one that had it crashed. */
  readonly retries: number
  /** The module that is started, if not the program itself. */
  readonly entry: string | undefined
  /** Whether the program is bundled into one file first. */
  readonly bundle: boolean
}

/** How many calls of a worker have a claim at a time, also those of which it has yet to hear that they were revoked. */
export const slotsOf = (options: Pick<PoolOptions, "each" | "hasClaims" | "prefetch" | "prefetchQuick">): number =>
  options.hasClaims ? options.each + 4 * aheadOf(options).most : 0

/** How many requests a worker is given ahead. */
export const aheadOf = ({ prefetch, prefetchQuick = prefetch }: Pick<PoolOptions, "prefetch" | "prefetchQuick">) => ({
  least: prefetch,
  most: prefetchQuick
})
