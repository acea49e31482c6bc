/** Requests as far as a pool sees them, and the options of one. */
import { assert } from "@effect/vitest"
import type { Connection, Outcome } from "@socketserver/core"
import * as Remote from "@socketserver/core/Remote"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Kind, requestKind } from "../../src/internal/worker/channel/calls.ts"
import { Ask, Tell, writeFacts } from "../../src/internal/worker/channel/frames.ts"
import { Call, type Line } from "../../src/internal/worker/parent/call.ts"

type Finalizer = (exit: Exit.Exit<void>) => Effect.Effect<void>

/** A connection as far as a pool sees one. */
export class AskedConnection {
  readonly openedAt = 0
  readonly listener = "memory://test"
  readonly peer: { readonly transport: string; readonly name: string }
  readonly id: number
  isClosed = false
  /** What its peer was sent and has not taken; and whether it was broken off. */
  readonly wire = {
    bytesWritten: 0,
    bytesUnsent: 0,
    isReset: false,
    reset: () => void (this.wire.isReset = true)
  }
  private readonly finalizers: Array<Finalizer> = []

  constructor(id: number, peer = "test") {
    this.id = id
    this.peer = { transport: `memory-${peer}`, name: peer }
    Object.assign(this, { [Remote.onEndKey]: (finalizer: Finalizer) => void this.finalizers.push(finalizer) })
  }

  readonly close = Effect.sync(() => void (this.isClosed = true))

  end(): void {
    for (const finalizer of this.finalizers.splice(0)) Effect.runSync(finalizer(Exit.void))
  }

  get ref(): Connection.Ref<never> {
    return this as unknown as Connection.Ref<never>
  }
}

let connections = 0

/** A request as far as a pool sees one; on a connection of its own, if none is named. */
export class Asked extends Call {
  end: string | Outcome.WorkerCrashed = "nothing yet"
  readonly text: string
  readonly wire: AskedConnection["wire"]
  private line: Line | undefined = undefined
  /** What it brings to a worker, in bytes. */
  weight = 0

  constructor(text: string, connection = new AskedConnection(1_000_000 + ++connections), kind: Kind = requestKind) {
    super(kind, connection.ref, Context.empty())
    this.text = text
    this.wire = connection.wire
  }

  override get bytes(): number {
    return this.weight
  }

  /** Its worker waits until more of its reply is taken, or goes on. */
  waits(waiting: boolean): void {
    this.line?.waits(waiting)
  }

  protected override get canRetry(): boolean {
    return true
  }

  begin(line: Line): void {
    const { claim, tell } = line
    this.line = line
    const facts = {
      connection: this.connection.id,
      request: 1,
      receivedAt: 0,
      bytesRead: 0,
      bytesWritten: 0,
      inFlight: 1,
      claim
    }
    tell(Ask.request, writeFacts(facts, this.text))
  }

  onFrame(kind: number): void {
    // Nobody waits any more for what was cancelled.
    if (kind === Tell.done && !this.isFinished) this.endsWith("answered")
  }

  onCrash(crash: Outcome.WorkerCrashed): void {
    this.endsWith(crash)
  }

  onRefused(reason: string): void {
    this.endsWith(reason)
  }

  private endsWith(end: string | Outcome.WorkerCrashed): void {
    assert.isTrue(this.finish(), `${this.text} has two ends`)
    this.end = end
  }
}
