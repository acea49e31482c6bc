import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Waiters } from "./waiters.ts"

interface Surroundings {
  readonly afterTick: (f: () => void, ticks?: 1 | 2) => void
}

/**
 * Who takes a server's requests, or is about to. A stop drops what nobody takes, and
 * waits for those who are about to: what has come while a server is built is answered.
 */
export class Consumers {
  private readonly context: Surroundings
  private readonly onDeserted: () => void
  private count = 0
  /** Somebody will take them, and cannot yet. */
  private expected = 0
  /** Nobody has taken any yet, and whoever builds the server may be about to: so it waits some turns for that when it stops. */
  private isNew = true
  /** The server stops: what nobody takes has nobody to wait for. */
  private stopping = false
  private readonly waiting = new Waiters()
  /** Whether somebody has taken requests: then they can be answered. */
  isTaken = false

  /** `onDeserted` is told once the server stops and nobody takes them any more. */
  constructor(context: Surroundings, onDeserted: () => void) {
    this.context = context
    this.onDeserted = onDeserted
  }

  /** Counts as one while the scope is open. */
  readonly one: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(this.entering, () => this.leaving)

  /** Counts as one while `use` runs: takes a request, and handles it. */
  during<A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      this.entering,
      () => use,
      () => this.leaving
    )
  }

  private get entering(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.count++
      this.isNew = false
      this.isTaken = true
      this.waiting.end()
    })
  }

  // Whoever takes one request after the other is back at once.
  private get leaving(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.count--
      this.context.afterTick(() => this.look(), 2)
    })
  }

  /** Waits until somebody takes requests for the first time: from then on they can be answered. */
  readonly taken: Effect.Effect<unknown> = this.waiting.until(() => (this.isTaken ? true : undefined))

  /** Whether somebody takes them, or is about to. */
  get isAwaited(): boolean {
    return this.count + this.expected > 0
  }

  /** Until the returned function is called somebody is about to take them: what comes meanwhile waits, also for a stop. */
  expect(): () => void {
    this.expected++
    this.isNew = false
    let once = () => {
      once = () => {}
      this.expected--
      this.look()
    }
    return () => once()
  }

  /** The server stops. What somebody takes is still taken; what nobody takes is dropped. */
  stop(): void {
    this.stopping = true
    this.look()
    if (this.isNew) this.giveTurns(turnsToServe)
  }

  private giveTurns(turns: number): void {
    if (turns > 0 && this.isNew) return this.context.afterTick(() => this.giveTurns(turns - 1))
    this.isNew = false
    this.look()
  }

  /** Whether the server stops, and nobody takes them. */
  get areGone(): boolean {
    return this.stopping && !this.isAwaited && !this.isNew
  }

  /** Tells whether they are gone. */
  look(): void {
    if (this.areGone) this.onDeserted()
  }
}

// For how many turns of the event loop a server that stops before anybody has served it waits for that.
const turnsToServe = 32
