/** What workers know of connections and do to them: pushes, closing, and their end. */
import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe } from "../channel/description.ts"
import { Ask } from "../channel/frames.ts"
import type { Call } from "./call.ts"
import type { WorkerHandle } from "./workerHandle.ts"

/** A connection that a worker has heard of. */
interface Known {
  readonly ref: Connection.Ref<never>
  readonly workers: Set<WorkerHandle>
  /** What ends with it. */
  readonly ends: Set<() => void>
}

/** The connections whose calls have gone to workers, until they end, and what handlers there do to them. */
export class Connections {
  private readonly context: Context.Context<never>
  private readonly known = new Remote.Passing<number, Known>()
  private readonly heard = new Map<WorkerHandle, Set<Known>>()

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  /** Lets a worker know of a connection before it hears of anything on it. */
  introduce(worker: WorkerHandle, ref: Connection.Ref<never>): void {
    const known = this.of(ref)
    if (known.workers.has(worker)) return
    known.workers.add(worker)
    const heard = this.heard.get(worker)
    if (heard === undefined) this.heard.set(worker, new Set([known]))
    else heard.add(known)
    worker.tell(Ask.connection, ref.id, JSON.stringify(describe(ref)))
  }

  /** Runs `f` when a connection has ended, unless the returned function is called before. */
  atEnd(ref: Connection.Ref<never>, f: () => void): () => void {
    const { ends } = this.of(ref)
    ends.add(f)
    return () => ends.delete(f)
  }

  /** A worker has ended. */
  drop(worker: WorkerHandle): void {
    for (const { workers } of this.heard.get(worker) ?? []) workers.delete(worker)
    this.heard.delete(worker)
  }

  /** A handler pushes a message, and is told under `id` what has become of it. */
  push(worker: WorkerHandle, id: number, connection: number, message: Buffer): void {
    const ref = this.known.get(connection)?.ref
    const pushed = (reason: Connection.Reason | undefined) =>
      worker.tell(Ask.pushed, id, reason === undefined ? undefined : JSON.stringify(plain(reason)))
    if (ref === undefined) return pushed({ _tag: "Closed" })
    Effect.runForkWith(this.context)(ref.push(Remote.encoded(message))).addObserver((exit) => {
      if (Exit.isSuccess(exit)) return pushed(undefined)
      const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
      pushed(error?.reason ?? { _tag: "Closed" })
    })
  }

  /** A handler closes a connection, of its own call or of none. */
  close(call: Call | undefined, connection: number): void {
    const ref = this.known.get(connection)?.ref
    // The handler that closes its connection goes on; it is known by its context.
    if (ref !== undefined) Effect.runForkWith(call?.context ?? this.context)(ref.close)
  }

  private of(ref: Connection.Ref<never>): Known {
    const known = this.known.get(ref.id)
    if (known !== undefined) return known
    const made: Known = { ref, workers: new Set(), ends: new Set() }
    this.known.set(ref.id, made)
    Remote.onEnd(ref, () => Effect.sync(() => this.ended(made)))
    return made
  }

  private ended(known: Known): void {
    const { ends, ref, workers } = known
    this.known.delete(ref.id)
    for (const worker of workers) {
      this.heard.get(worker)?.delete(known)
      worker.tell(Ask.gone, ref.id)
    }
    for (const end of ends) end()
  }
}

const plain = (reason: Connection.Reason): Connection.Reason =>
  reason._tag === "Reset" ? { _tag: "Reset", cause: textOf(reason.cause) } : reason

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
