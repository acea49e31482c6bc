/** A thread, a process or whatever else was started to be a worker, as its pool needs it. `spawn.ts` starts those of Node. */
import type { Claims } from "../channel/claims.ts"
import type { Link } from "../channel/link.ts"

export interface Child {
  /** As `Worker.name` has it. */
  readonly name: string
  readonly link: Link
  /** Which of its calls it has begun. */
  readonly claims: Claims | undefined
  /** Ends it at once, whatever it does. */
  readonly kill: () => void
  /** Calls back once, when it has ended and everything that it sent has arrived. */
  readonly onEnd: (ended: (end: End) => void) => void
}

/** How a worker has ended. */
export interface End {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly reason: string | undefined
}

/** That the system has no room for another one until some of what there is has ended. */
export class NoRoom extends Error {}

/** Of one that never was. */
export const noEnd: End = { exitCode: undefined, signal: undefined, reason: undefined }
