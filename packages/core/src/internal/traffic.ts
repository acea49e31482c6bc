import type * as Endpoint from "../Endpoint.ts"
import type * as Outcome from "../Outcome.ts"
import type * as Refusal from "../Refusal.ts"
import { Handling } from "./handling.ts"

/** What has come to one listener, and what became of it. */
export interface Flow {
  readonly listener: string
  /** Connections that were let in, and those of them that are open; no datagrams. */
  opened: number
  open: number
  /** Datagrams that were taken. */
  datagrams: number
  /** What those have moved that are gone; what the others have, they know themselves. */
  bytesRead: number
  bytesWritten: number
  readonly counts: Record<Outcome.Tag, number>
  readonly refusals: { -readonly [K in Refusal.Kind]: number }
  /** How long its requests have taken, where that is looked at. */
  readonly handling: Handling | undefined
}

/** What a connection tells of itself. */
interface Mover {
  readonly kind: "stream" | "datagram"
  readonly listener: Endpoint.Endpoint
  readonly bytesRead: number
  readonly bytesWritten: number
}

/** What has become of something: the counts of a ledger. */
export interface Counted {
  readonly counts: Record<Outcome.Tag, number>
  readonly refusals: { -readonly [K in Refusal.Kind]: number }
}

/**
 * What has come to each listener, for metrics. With one listener, which is the
 * rule, the ledger's counts are its counts: then a request costs nothing here.
 */
export class Traffic {
  readonly flows: Array<Flow> = []
  /** Whether each outcome is told, since there are several listeners, or since it is looked at how long requests take. */
  isTold = false
  private readonly ledger: Counted
  private readonly boundaries: ReadonlyArray<number> | undefined
  private readonly now: () => number
  /** All listeners are known. */
  private isWhole = false
  private last: { readonly endpoint: Endpoint.Endpoint; readonly flow: Flow } | undefined = undefined

  constructor(ledger: Counted, now: () => number, boundaries: ReadonlyArray<number> | undefined) {
    this.ledger = ledger
    this.now = now
    this.boundaries = boundaries
    this.isTold = boundaries !== undefined
  }

  /** These listen; somebody may have come to them before. */
  listen(listeners: ReadonlyArray<Endpoint.Endpoint>): void {
    for (const listener of listeners) this.of(listener)
    this.isWhole = true
  }

  of(endpoint: Endpoint.Endpoint): Flow {
    const { flows, last } = this
    if (last?.endpoint === endpoint || (this.isWhole && flows.length === 1)) return (last?.flow ?? flows[0]) as Flow
    const listener = String(endpoint)
    const known = flows.find((flow) => flow.listener === listener)
    // A transport may say what it likes: what is nobody's is the first one's.
    const flow = known ?? (this.isWhole ? (flows[0] as Flow) : this.add(listener))
    this.last = { endpoint, flow }
    return flow
  }

  private add(listener: string): Flow {
    const { boundaries, flows, ledger } = this
    const [first] = flows
    const flow: Flow = {
      listener,
      opened: 0,
      open: 0,
      datagrams: 0,
      bytesRead: 0,
      bytesWritten: 0,
      counts: first === undefined ? ledger.counts : none(ledger.counts),
      refusals: first === undefined ? ledger.refusals : none(ledger.refusals),
      handling: boundaries && new Handling(boundaries)
    }
    if (first !== undefined && flows.length === 1) {
      // From now on the first is not the only one.
      flows[0] = { ...first, counts: { ...ledger.counts }, refusals: { ...ledger.refusals } }
      this.last = undefined
      this.isTold = true
    }
    flows.push(flow)
    return flow
  }

  /** Something has its outcome; `heardAt` is when it was received, where it is a request. */
  tell(outcome: Outcome.Outcome, listener: Endpoint.Endpoint, heardAt: number | undefined): void {
    const flow = this.of(listener)
    if (this.flows.length > 1) {
      flow.counts[outcome._tag]++
      if (outcome._tag === "Refused") flow.refusals[outcome.kind]++
    }
    if (heardAt !== undefined) flow.handling?.add(this.now() - heardAt)
  }

  /** One that came to a listener could not be let in, which the ledger counts without a word to anybody. */
  lost(listener: Endpoint.Endpoint | undefined): void {
    if (this.flows.length < 2) return
    const flow = listener === undefined ? (this.flows[0] as Flow) : this.of(listener)
    flow.counts.Refused++
    flow.refusals.Opening++
  }

  came({ kind, listener }: Pick<Mover, "kind" | "listener">): void {
    const flow = this.of(listener)
    if (kind === "datagram") flow.datagrams++
    else {
      flow.opened++
      flow.open++
    }
  }

  left(mover: Mover): void {
    const flow = this.of(mover.listener)
    if (mover.kind === "stream") flow.open--
    flow.bytesRead += mover.bytesRead
    flow.bytesWritten += mover.bytesWritten
  }
}

const none = <K extends string>(counts: Record<K, number>): Record<K, number> =>
  Object.fromEntries(Object.keys(counts).map((key) => [key, 0])) as Record<K, number>
