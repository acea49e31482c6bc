import type * as Outcome from "@socketserver/core/Outcome"
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

/** Tells requests that are ended by a stop from those that their peers, their handlers or limits have ended. */
export const givenUp = (run: Running): ((event: Outcome.Event) => boolean) => {
  /** Whose connections had to end for other reasons. */
  const excused = new Set<string>()
  return ({ connection, outcome, request }) => {
    const { name } = connection.peer
    if (outcome._tag === "Drained") return true
    const closes = outcome._tag === "Cancelled" && outcome.reason === "ConnectionClosed"
    if (!closes && !(outcome._tag === "Refused" && outcome.kind === "Stopping")) {
      if (outcome._tag !== "Completed") excused.add(name)
      return false
    }
    if (request === undefined || run.hasFailed() || excused.has(name)) return false
    return run.peers.some(({ open, script }) => open && script.name === name)
  }
}

/** Who reads nothing any more, and has taken nothing of what waits for it for longer than a write may take. */
export const stuck = (run: Running): Required<Pick<Watch, "onTurn" | "onSettled">> => {
  const { heal, writeMillis } = run.scenario
  /** By connection, from when on nothing of what waits was taken, and how much was by then. Nobody begins to read again after `heal`. */
  const since = new Map<number, { readonly at: number; readonly taken: number }>()
  const silent = () => new Set(run.peers.filter(({ open, reads }) => open && !reads).map(({ script }) => script.name))
  const waiting = () => {
    const names = silent()
    if (names.size === 0) return []
    return run.holdings().filter(({ connection, unsent }) => unsent > 0 && names.has(connection.peer.name))
  }
  const look = () => {
    const known = new Map(since)
    since.clear()
    for (const { connection, unsent } of waiting()) {
      const taken = connection.bytesWritten - unsent
      const before = known.get(connection.id)
      since.set(connection.id, before === undefined || taken > before.taken ? { at: run.now(), taken } : before)
    }
  }
  return {
    onTurn: () => {
      if (run.now() >= heal && run.stoppedAt() === undefined) look()
      return undefined
    },
    onSettled: () => {
      if (run.stoppedAt() !== undefined || run.now() < heal + 2 * writeMillis) return undefined
      look()
      // A server looks four times in that time.
      const latest = run.now() - 1.25 * writeMillis
      const held = waiting().find(({ connection }) => (since.get(connection.id) as { at: number }).at < latest)
      return held === undefined
        ? undefined
        : `${held.unsent} bytes still wait for ${held.connection.peer.name}, which has taken nothing for ${writeMillis} ms`
    }
  }
}
