/**
 * What holds in every run of a `Scenario`, whatever goes wrong in it: each law
 * watches a run, and says what breaks it.
 *
 * @since 0.1.0
 */
import type * as Connection from "@socketserver/core/Connection"
import type * as Outcome from "@socketserver/core/Outcome"
import type * as Request from "@socketserver/core/Request"
import type * as Simulation from "@socketserver/core/Simulation"
import * as ofPeers from "./internal/lawsOfPeers.ts"
import * as ofShares from "./internal/lawsOfShares.ts"
import type { Scenario, Scripted } from "./Scenario.ts"

/**
 * A law. What a watch returns is what breaks it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Law {
  readonly name: string
  readonly watch: (run: Running) => Watch
}

/**
 * What a law looks at.
 *
 * @category models
 * @since 0.1.0
 */
export interface Watch {
  /** After each turn of the event loop. */
  readonly onTurn?: () => string | undefined
  /** The server is about to take what a peer has sent, by its name. */
  readonly onRead?: (peer: string) => string | undefined
  /** A handler begins. */
  readonly onBegin?: (request: Request.Request<unknown>) => string | undefined
  /** A handler ends that has not answered at once. */
  readonly onHandled?: (request: Request.Request<unknown>) => string | undefined
  /** Something has its outcome. */
  readonly onOutcome?: (event: Outcome.Event) => string | undefined
  /** A peer has received something, or seen the end. */
  readonly onReceived?: (peer: PeerState) => string | undefined
  /** A connection has ended for its peer, which has not reset it. */
  readonly onClosed?: (peer: PeerState) => string | undefined
  /** Everybody has what is owed to them, or too much time has passed; the server has not been told to stop, unless by the scenario. */
  readonly onSettled?: () => string | undefined
  /** The server has stopped, or too much time has passed. */
  readonly atEnd?: () => string | undefined
}

/**
 * A peer, as a law sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PeerState {
  readonly script: Scripted
  /** All that it gets if all is well. */
  readonly expected: string
  /** How much of it has arrived, and the last piece. */
  readonly length: number
  readonly latest: string
  /** All that has arrived. It is put together at each look: a law that looks at every piece takes `latest`. */
  readonly received: string
  /** Whether it can still send or be sent to; it has reset, or the connection has ended for it. */
  readonly open: boolean
  readonly hasReset: boolean
  /** Whether it has seen a regular end. */
  readonly sawEnd: boolean
  readonly reads: boolean
}

/**
 * A run, as a law sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Running {
  readonly scenario: Scenario
  /** How long the slowest handler takes, in milliseconds. */
  readonly handlerMillis: number
  /** The largest message that a peer gets, in bytes. */
  readonly largest: number
  /** Whether handlers run elsewhere than in the server: then nobody sees here when they begin. */
  readonly isElsewhere: boolean
  /** Virtual milliseconds. */
  readonly now: () => number
  readonly peers: ReadonlyArray<PeerState>
  /** How long the peer waits that asks for nothing but one request at a time, over a perfect link. */
  readonly quietWaits: () => number
  /** Handlers that run. */
  readonly handlers: () => number
  readonly connections: () => ReadonlyArray<Connection.Info>
  /** What is held for each of them, and what its requests wait for. */
  readonly holdings: () => ReadonlyArray<Simulation.Holding>
  readonly counts: () => Outcome.Counts
  /** Whether the server has ended without being told to, as where no worker starts. */
  readonly hasFailed: () => boolean
  /** When the server was told to stop. */
  readonly stoppedAt: () => number | undefined
  /** What the stop has reported, once it has ended. */
  readonly report: () => Outcome.Report | undefined
}

const sum = (counts: Outcome.Counts): number => Object.values(counts).reduce((all, count) => all + count, 0)

/**
 * Every request ends once, and the report of a stop has all of them: nothing
 * follows it.
 *
 * @category laws
 * @since 0.1.0
 */
export const oneOutcome: Law = {
  name: "one outcome",
  watch: (run) => {
    const ended = new Map<number, string>()
    const begun = new Set<number>()
    return {
      onBegin: ({ id }) => {
        if (begun.has(id)) return `request ${id} begins twice`
        begun.add(id)
        return undefined
      },
      onOutcome: ({ outcome, request }) => {
        if (request === undefined) return undefined
        const before = ended.get(request.id)
        ended.set(request.id, outcome._tag)
        return before === undefined ? undefined : `request ${request.id} ended as ${before}, and as ${outcome._tag}`
      },
      atEnd: () => {
        const report = run.report()
        if (report === undefined) return undefined
        for (const id of begun) if (!ended.has(id)) return `request ${id} has begun, and has no outcome`
        const [said, have] = [sum(report.counts), sum(run.counts())]
        return said === have ? undefined : `the report of the stop has ${said} outcomes, the ledger ${have}`
      }
    }
  }
}

/**
 * What a peer receives is what it asked for, in that order, up to some point; it
 * sees a regular end only after a whole message.
 *
 * @category laws
 * @since 0.1.0
 */
export const order: Law = {
  name: "order",
  watch: () => ({
    onReceived: (peer) => {
      const { expected, latest, length, sawEnd, script } = peer
      if (!expected.startsWith(latest, length - latest.length)) {
        const { received } = peer
        let at = 0
        while (expected[at] === received[at]) at++
        const show = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 10), at + 20))
        return `${script.name} got ${show(received)}, not ${show(expected)}, after ${at} bytes`
      }
      // Where events forget a reset, it looks like an end to a peer as well.
      if (sawEnd && !script.link.forgets && length > 0 && !latest.endsWith("\n")) {
        return `${script.name} sees a regular end after half a message, ${JSON.stringify(latest.slice(-20))}`
      }
      return undefined
    }
  })
}

/**
 * From the heal on, every peer that reads gets all that it has asked for.
 *
 * @category laws
 * @since 0.1.0
 */
export const progress: Law = {
  name: "progress",
  watch: (run) => ({
    onSettled: () => {
      if (run.stoppedAt() !== undefined || run.hasFailed()) return undefined
      const waits = run.peers.filter((peer) => peer.open && peer.script.heals && peer.length < peer.expected.length)
      return waits.length === 0
        ? undefined
        : waits
            .map((peer) => `${peer.script.name} waits for ever, ${peer.length} of ${peer.expected.length} bytes`)
            .join(", ")
    }
  })
}

/**
 * Nobody is cut off who reads what it is sent: but by a stop, where its worker has
 * crashed, or over a link that is slower than a limit allows.
 *
 * @category laws
 * @since 0.1.0
 */
export const kept: Law = { name: "kept", watch: ofPeers.kept }

/**
 * What is held for a connection is bounded: replies by `maxBuffered`, what is
 * collected in a turn and one reply; requests by `maxPipelined`. What is held for
 * all is over `maxMemory` for no more than a moment, but by what workers may have
 * on its way: `places` says how much that is.
 *
 * @category laws
 * @since 0.1.0
 */
export const bytes = (
  options: { readonly places?: ((policy: string) => Places | undefined) | undefined } = {}
): Law => ({
  name: "bytes",
  watch: ofShares.bytes(options.places ?? ofShares.placesOf)
})

/**
 * A peer with one request at a time waits for one request of each other peer at
 * most; where a place is for one at a time, also for those who do not read, for as
 * long as they may keep it. `places` says what a policy has; nothing is said of one
 * that it does not know. By default it knows those of `Policy`.
 *
 * @category laws
 * @since 0.1.0
 */
export const fair = (
  options: { readonly places?: ((policy: string) => Places | undefined) | undefined } = {}
): Law => ({
  name: "fair",
  watch: ofShares.fair(options.places ?? ofShares.placesOf)
})

/**
 * What a policy has for requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  /** How many there are. */
  readonly count: number
  /** Whether a reply that waits for its reader keeps one. */
  readonly exclusive: boolean
  /** How much longer it may take for reasons of its own, such as the start of a worker, in milliseconds. Default: 0. */
  readonly extraMillis?: number | undefined
  /** How much may be on its way between the server and where its handlers run, in bytes. Default: 0. */
  readonly onItsWay?: number | undefined
}

/**
 * What the policies of `Policy` have.
 *
 * @category laws
 * @since 0.1.0
 */
export const placesOf = (policy: string): Places | undefined => ofShares.placesOf(policy)

/**
 * A stop ends within its deadline and a second; before the deadline nothing is given
 * up that somebody waits for.
 *
 * @category laws
 * @since 0.1.0
 */
export const stop: Law = {
  name: "stop",
  watch: (run) => {
    const isGivenUp = ofPeers.givenUp(run)
    return {
      onOutcome: (event) => {
        const isOne = isGivenUp(event)
        const at = run.stoppedAt()
        if (at === undefined || !isOne) return undefined
        const after = run.now() - at
        return after < run.scenario.drainMillis - 0.01
          ? `a request is given up as ${event.outcome._tag}, ${after} ms after the stop began`
          : undefined
      },
      atEnd: () => {
        const report = run.report()
        if (report === undefined) return `it has not ended ${run.now() - (run.stoppedAt() ?? 0)} ms after it began`
        return report.millis > run.scenario.drainMillis + 1_000 ? `it has taken ${report.millis} ms` : undefined
      }
    }
  }
}

/**
 * Of a peer that has reset nothing is left: no handler, no connection; nor of one
 * that has taken nothing for the time of a write of what waits for it. After a stop
 * no handler runs.
 *
 * @category laws
 * @since 0.1.0
 */
export const gone: Law = {
  name: "gone",
  watch: (run) => {
    const stuck = ofPeers.stuck(run)
    return {
      onTurn: stuck.onTurn,
      onSettled: () => {
        const reset = new Set(run.peers.filter(({ hasReset }) => hasReset).map(({ script }) => script.name))
        const left = run.connections().find(({ peer }) => reset.has(peer.name))
        return left === undefined
          ? stuck.onSettled()
          : `the connection of ${left.peer.name}, which has reset, is still there, with ${left.inFlight} in flight`
      },
      atEnd: () =>
        run.report() !== undefined && run.handlers() > 0 ? `${run.handlers()} handlers run after the stop` : undefined
    }
  }
}

/**
 * In one turn of the event loop a bounded number of requests begins, and of one
 * connection no more than its share while others wait.
 *
 * @category laws
 * @since 0.1.0
 */
export const turn: Law = { name: "turn", watch: ofShares.turn }

/**
 * While more than three quarters of `maxMemory` are held, a connection that holds
 * more than its share, and has something in flight, is not read.
 *
 * @category laws
 * @since 0.1.0
 */
export const slowed: Law = { name: "slowed", watch: ofShares.slowed }

/**
 * The laws that hold for every server and policy.
 *
 * @category laws
 * @since 0.1.0
 */
export const all: ReadonlyArray<Law> = [oneOutcome, order, progress, kept, fair(), turn, bytes(), slowed, stop, gone]
