import type { Link } from "@socketserver/core/Network"
import type { PeerState, Running, Watch } from "../Laws.ts"

/** How long a link takes for so many bytes, in milliseconds, and how long at most without any of them leaving. */
export const paceOf = (link: Link, bytes: number): { readonly all: number; readonly lump: number } => {
  const trip = 2 * (link.latency + link.jitter)
  // What is read is told when half of the window is.
  const half = Math.max(1, link.window / 2)
  const millis = (count: number) => (count / link.rate) * 1_000
  return {
    all: millis(bytes) + Math.ceil(bytes / half) * trip + trip,
    lump: millis(Math.min(bytes, link.window)) + trip
  }
}

/** Whether a peer always reads. */
export const reads = ({ script }: PeerState): boolean => !script.steps.some((step) => step.do === "stopReading")

export const kept = (run: Running): Watch => {
  /** Those that have lost a worker, and their connection with it, or had to go, or could not come, for want of memory. */
  const excused = new Set<string>()
  const cut = new Map<string, string>()
  // An outcome may be heard of later than the end.
  const look = (): string | undefined => {
    for (const [name, what] of cut) if (!excused.has(name)) return what
    return undefined
  }
  return {
    onSettled: look,
    atEnd: look,
    onOutcome: ({ connection, outcome }) => {
      const isFull = outcome._tag === "Refused" || (outcome._tag === "Cancelled" && outcome.reason === "OutOfMemory")
      if (outcome._tag === "WorkerCrashed" || isFull) excused.add(connection.peer.name)
      return undefined
    },
    onClosed: (peer) => {
      const { expected, length, script } = peer
      if (run.stoppedAt() !== undefined || run.hasFailed() || length >= expected.length) return undefined
      if (!reads(peer)) return undefined
      const { placeMillis, writeMillis } = run.scenario
      const { all, lump } = paceOf(script.link, expected.length)
      if (lump > Math.min(placeMillis, writeMillis) / 2 || all > 5 * placeMillis) return undefined
      cut.set(script.name, `${script.name} reads, and is cut off after ${length} of ${expected.length} bytes`)
      return undefined
    }
  }
}
