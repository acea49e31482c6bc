/** Requests as far as a pool sees them, and the options of one. */
import { assert } from "@effect/vitest"
import type { Connection, Outcome } from "@socketserver/core"
import * as Remote from "@socketserver/core/Remote"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Ask, Tell, writeFacts } from "../../src/internal/worker/channel/frames.ts"
import type { Job } from "../../src/internal/worker/parent/calls.ts"
import type { PoolOptions } from "../../src/internal/worker/parent/options.ts"

const connection = {
  id: 1,
  openedAt: 0,
  listener: "memory://test",
  peer: { transport: "memory", name: "test" },
  close: Effect.void,
  [Remote.onEndKey as unknown as symbol]: () => {}
} as unknown as Connection.Ref<never>

/** A request as far as a pool sees one. */
export class Asked implements Job {
  readonly connection = connection
  readonly context = Context.empty()
  readonly id = undefined
  readonly occupies = true
  readonly isClaimed = true
  readonly canRetry = true
  settled = false
  waits = false
  turn = 0
  crashes = 0
  end: string | Outcome.WorkerCrashed = "nothing yet"
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  begin({ claim, tell }: Parameters<Job["begin"]>[0]): void {
    const facts = { connection: 1, request: 1, receivedAt: 0, bytesRead: 0, bytesWritten: 0, inFlight: 1, claim }
    tell(Ask.request, writeFacts(facts, this.text))
  }

  onFrame(kind: number): void {
    // Nobody waits any more for what was cancelled.
    if (kind === Tell.done && !this.settled) this.settle("answered")
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.settle(crash)
  }

  onRefused(reason: string): void {
    this.settle(reason)
  }

  private settle(end: string | Outcome.WorkerCrashed): void {
    assert.isFalse(this.settled, `${this.text} has two ends`)
    this.settled = true
    this.end = end
  }
}

export const options: PoolOptions = {
  policy: "process:2",
  kind: "process",
  max: 2,
  fixed: true,
  spares: 0,
  recycle: Infinity,
  each: 1,
  hasClaims: true,
  ahead: 4,
  queue: 1_024,
  memoryMb: undefined,
  deadlineMillis: Infinity,
  startMillis: 10_000,
  graceMillis: 10_000,
  retries: 0,
  entry: undefined,
  bundle: false
}
