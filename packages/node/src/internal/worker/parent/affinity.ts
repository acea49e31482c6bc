import type * as Connection from "@socketserver/core/Connection"
import type { Job } from "./calls.ts"
import type { Member } from "./workerHandle.ts"

/** Which worker has the state of each connection, and what waits until there is one for it. */
export class Pins {
  private readonly members = new WeakMap<Connection.Ref<never>, Member>()
  private readonly held = new Map<Connection.Ref<never>, Array<Job>>()
  /** They are bounded by the server's connections. */
  private unplaced: Array<Job> = []

  of(connection: Connection.Ref<never>): Member | undefined {
    return this.members.get(connection)
  }

  /** Gives a connection to a worker for good; what has waited for that. */
  pin(connection: Connection.Ref<never>, member: Member): ReadonlyArray<Job> {
    this.members.set(connection, member)
    member.pins.add(connection)
    const waiting = this.held.get(connection) ?? []
    this.held.delete(connection)
    return waiting
  }

  /** A connection has ended; the worker that had it. */
  unpin(connection: Connection.Ref<never>): Member | undefined {
    this.held.delete(connection)
    const member = this.members.get(connection)
    return member?.pins.delete(connection) === true ? member : undefined
  }

  /** Where requests wait until their connection has a worker. */
  queueOf(connection: Connection.Ref<never>): Array<Job> {
    const waiting = this.held.get(connection)
    if (waiting !== undefined) return waiting
    const jobs: Array<Job> = []
    this.held.set(connection, jobs)
    return jobs
  }

  /** Lets a connection wait for a worker. */
  postpone(job: Job): void {
    this.unplaced.push(job)
  }

  /** The connections that wait for a worker, of which none waits any more. */
  takePostponed(): ReadonlyArray<Job> {
    const { unplaced } = this
    this.unplaced = []
    return unplaced.filter((job) => !job.settled)
  }
}

/** Who is best given one more connection: who has fewest. Who is only there for those that it has is taken where there is no other. */
export const fewestPins = (members: Iterable<Member>, recycle: number): Member | undefined => {
  let best: Member | undefined
  for (const member of members) {
    if (best === undefined) {
      best = member
      continue
    }
    const [worn, other] = [member.served >= recycle, best.served >= recycle]
    if (worn === other ? member.pins.size < best.pins.size : other) best = member
  }
  return best
}
