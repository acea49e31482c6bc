import type * as Outcome from "@socketserver/core/Outcome"
import * as Remote from "@socketserver/core/Remote"
import type * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { copy } from "../prefork/copy.ts"
import { lostWrites } from "./output.ts"
import { summaryOf } from "./summary.ts"

/** What a server had done when it had stopped. */
export interface Stopped extends Outcome.Totals {
  readonly name: string
  readonly millis: number
}

/** Where there is no server, whose option it is. */
const defaultDrainMillis = 10_000

/** The servers of a program: all of them are stopped at once, before anything else of it ends. */
export class Servers {
  private readonly running = new Set<Server.Running>()
  private readonly stopped = new Map<Server.Running, Stopped>()
  private stopping = false
  private readonly onStopping: () => void

  /** `onStopping` is told that a stop of one of them begins. */
  constructor(onStopping: () => void = () => {}) {
    this.onStopping = onStopping
  }

  /** A server listens. Where a stop has begun, it ends at once. */
  readonly add = (server: Server.Running): Effect.Effect<void, never, Scope.Scope> => {
    const added = Effect.acquireRelease(
      Effect.sync(() => this.running.add(server)),
      () => Effect.sync(() => this.running.delete(server))
    )
    return Effect.andThen(added, () => (this.stopping ? Effect.forkDetach(this.stopOne(server)) : Effect.void))
  }

  /** Waits until all of them that somebody serves can answer. */
  readonly ready: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.running, (server) => server.ready, { concurrency: "unbounded", discard: true })
  )

  /** How long it may take until all of them have left, and have stopped, with what they have elsewhere. */
  get stopMillis(): number {
    const all = [...this.running].map(
      ({ delayMillis, drainMillis, graceMillis }) => delayMillis + drainMillis + graceMillis
    )
    return all.length === 0 ? defaultDrainMillis : Math.max(...all)
  }

  /** Stops all of them, and says what each has done. */
  readonly stop: Effect.Effect<ReadonlyArray<Stopped>> = this.stopAll((server) => this.stopOne(server))

  /** The same once each has left: those who send peers to it have had the time to hear of it. */
  readonly leave: Effect.Effect<ReadonlyArray<Stopped>> = this.stopAll((server) =>
    Effect.andThen(server.leave, this.stopOne(server))
  )

  /** They stop soon, and nothing new comes to them. */
  retire(): void {
    for (const server of this.running) Effect.runFork(server.leave)
  }

  private stopAll(stop: (server: Server.Running) => Effect.Effect<void>): Effect.Effect<ReadonlyArray<Stopped>> {
    return Effect.suspend(() => {
      this.stopping = true
      return Effect.map(Effect.forEach(this.running, stop, { concurrency: "unbounded", discard: true }), () => [
        ...this.stopped.values()
      ])
    })
  }

  private stopOne(server: Server.Running): Effect.Effect<void> {
    return Effect.map(Effect.andThen(Effect.sync(this.onStopping), server.shutdown), ({ millis }) => {
      this.stopped.set(server, { ...server.totals(), name: server.name, millis })
    })
  }

  /** Logs a line of the whole program, as that of one of them. */
  log(line: string): void {
    for (const server of this.running) return server.log(line)
  }

  /** Logs, as their own, where each of them listens and how, where this program is the one to say it. */
  tellStarted(): void {
    if (Remote.isSilent()) return
    for (const server of this.running) server.log(startLineOf(server))
  }

  /** Logs, as their own, what those have done that have stopped. */
  tell(): void {
    for (const [server, stopped] of this.stopped) server.log(lineOf(stopped))
    if (lostWrites() > 0) [...this.stopped.keys()].at(-1)?.log(`${lostWrites()} writes to stdout and stderr were lost`)
  }

  /** What is known of those that have not stopped after so long. */
  unstopped(millis: number): ReadonlyArray<string> {
    return [...this.running]
      .filter((server) => !this.stopped.has(server))
      .map((server) => summaryOf(`could not stop ${server.name} in ${Math.round(millis)} ms`, server.totals()))
  }
}

/** The line that a start prints. */
const startLineOf = ({ addresses, limits, name, policy }: Server.Running): string => {
  const who = copy === undefined ? `pid ${process.pid}` : `pid ${process.ppid} and its copies`
  return `started ${name} on ${addresses}${policy === undefined ? "" : ` under ${policy}`}, ${who}: ${limits}`
}

/** The line that a stop prints. */
export const lineOf = ({ millis, name, ...totals }: Stopped): string =>
  summaryOf(`stopped ${name} in ${Math.round(millis)} ms`, totals)
