import type * as Connection from "@socketserver/core/Connection"
import * as Remote from "@socketserver/core/Remote"
import * as Effect from "effect/Effect"
import { Ask } from "../channel/frames.ts"
import type { Member } from "./workerHandle.ts"
import { describe } from "../child/remoteRef.ts"

/** A connection that a worker has heard of. */
interface Known {
  readonly ref: Connection.Ref<never>
  readonly members: Set<Member>
  /** What ends with it. */
  readonly ends: Set<() => void>
}

/** The connections whose requests have gone to workers, until they end. */
export class Connections {
  private readonly known = new Map<number, Known>()

  get(id: number): Connection.Ref<never> | undefined {
    return this.known.get(id)?.ref
  }

  /** Lets a worker know of a connection before it hears of anything on it. */
  introduce(member: Member, ref: Connection.Ref<never>): void {
    if (member.connections.has(ref.id)) return
    this.of(ref).members.add(member)
    member.connections.add(ref.id)
    member.tell(Ask.connection, ref.id, JSON.stringify(describe(ref)))
  }

  /** Runs `f` when a connection has ended, unless the returned function is called before. */
  atEnd(ref: Connection.Ref<never>, f: () => void): () => void {
    const { ends } = this.of(ref)
    ends.add(f)
    return () => ends.delete(f)
  }

  /** A worker has ended. */
  drop(member: Member): void {
    for (const id of member.connections) this.known.get(id)?.members.delete(member)
    member.connections.clear()
  }

  private of(ref: Connection.Ref<never>): Known {
    const known = this.known.get(ref.id)
    if (known !== undefined) return known
    const made: Known = { ref, members: new Set(), ends: new Set() }
    this.known.set(ref.id, made)
    Remote.onEnd(ref, () => Effect.sync(() => this.ended(made)))
    return made
  }

  private ended({ ends, members, ref }: Known): void {
    this.known.delete(ref.id)
    for (const member of members) {
      member.connections.delete(ref.id)
      member.tell(Ask.gone, ref.id)
    }
    for (const end of ends) end()
  }
}
