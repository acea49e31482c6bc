/** Sticky sessions: for handlers with state for each connection. */
import type * as Connection from "@socketserver/core/Connection"
import type { Call } from "./call.ts"
import { Turns } from "./turns.ts"
import type { WorkerHandle } from "./workerHandle.ts"

type Ref = Connection.Ref<never>

/** What a worker has for itself alone. */
interface Own {
  readonly connections: Set<Ref>
  readonly line: Turns
}

/**
 * Which worker has the state of each connection (sticky sessions), and what
 * waits until there is one for it. Without such state it is empty.
 */
export class Affinity {
  private readonly workers = new WeakMap<Ref, WorkerHandle>()
  private readonly owned = new Map<WorkerHandle, Own>()
  private readonly held = new Map<Ref, Array<Call>>()
  /** They are bounded by the server's connections. */
  private unplaced: Array<Call> = []

  workerOf(connection: Ref): WorkerHandle | undefined {
    return this.workers.get(connection)
  }

  /** How many connections have their state in a worker. */
  countOf(worker: WorkerHandle): number {
    return this.owned.get(worker)?.connections.size ?? 0
  }

  /** What waits for a worker alone, because its connection has its state there. */
  lineOf(worker: WorkerHandle): Turns | undefined {
    return this.owned.get(worker)?.line
  }

  /** Gives a connection to a worker for good; what has waited for that. */
  bind(connection: Ref, worker: WorkerHandle): ReadonlyArray<Call> {
    this.workers.set(connection, worker)
    const own = this.owned.get(worker) ?? { connections: new Set(), line: new Turns() }
    own.connections.add(connection)
    this.owned.set(worker, own)
    return this.takeHeld(connection)
  }

  /** What has waited until its connection has a worker, and waits no more. */
  takeHeld(connection: Ref): ReadonlyArray<Call> {
    const waiting = this.held.get(connection) ?? []
    this.held.delete(connection)
    return waiting
  }

  /** A connection has ended; the worker that had it. */
  unbind(connection: Ref): WorkerHandle | undefined {
    this.held.delete(connection)
    const worker = this.workers.get(connection)
    return worker !== undefined && this.owned.get(worker)?.connections.delete(connection) === true ? worker : undefined
  }

  /** A worker has ended; what it had for itself. */
  drop(worker: WorkerHandle): { readonly connections: Iterable<Ref>; readonly line: ReadonlyArray<Call> } {
    const own = this.owned.get(worker)
    this.owned.delete(worker)
    return { connections: own?.connections ?? [], line: own?.line.takeAll() ?? [] }
  }

  /** Lets a call wait until its connection has a worker. */
  hold(call: Call): void {
    const waiting = this.held.get(call.connection)
    if (waiting === undefined) this.held.set(call.connection, [call])
    else waiting.push(call)
  }

  /** Lets a connection wait for a worker. */
  postpone(call: Call): void {
    this.unplaced.push(call)
  }

  /** The connections that wait for a worker, of which none waits any more. */
  takePostponed(): ReadonlyArray<Call> {
    const { unplaced } = this
    this.unplaced = []
    return unplaced.filter((call) => !call.isFinished)
  }

  /** Who is best given one more connection: who has fewest. Who is only there for those that it has is taken where there is no other. */
  fewest(workers: Iterable<WorkerHandle>, recycle: number): WorkerHandle | undefined {
    let best: WorkerHandle | undefined
    for (const worker of workers) {
      if (best === undefined) {
        best = worker
        continue
      }
      const [worn, other] = [worker.calls.done >= recycle, best.calls.done >= recycle]
      if (worn === other ? this.countOf(worker) < this.countOf(best) : other) best = worker
    }
    return best
  }
}
