/** The metrics of a server: what they are called, and where their values are when somebody asks. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Engine } from "./engine.ts"

const description = {
  connections: "Connections that are open.",
  connections_opened_total: "Connections that were let in.",
  openings: "Peers in a handshake, before their PROXY header, being verified, or waiting for a place of their peer.",
  datagrams_total: "Datagrams that were taken in.",
  turned_away_total: "Peers and requests that were turned away before work was done for them, by reason.",
  requests_total: "Requests, and connections that ended before one, by outcome.",
  in_flight: "Requests that were received and are not answered.",
  waiting: "Requests in flight that have not begun.",
  bytes_total: "Bytes that went each way, of connections and datagrams that were let in.",
  timeouts_total: "Times that a deadline has ended something.",
  held_bytes: "Bytes held for peers: received and not answered, or not sent yet.",
  ready: "Whether new peers should be sent here: 1 or 0.",
  request_duration_seconds: "Seconds from when a request was received until it had its outcome."
} as const

type Name = keyof typeof description

/** All that a server registers, by name. */
export const descriptions: { readonly [name: string]: string } = description

type Labels = Readonly<Record<string, string>>

const never = () => {}

/** Registers the series of a server, whose values are read where they are when somebody asks for them. */
class Registering {
  private readonly context: Context.Context<never>
  private readonly labels: Labels
  private readonly all: Array<Metric.Registration> = []

  constructor(context: Context.Context<never>, labels: Labels) {
    this.context = context
    this.labels = labels
  }

  counter(name: Name, labels: Labels, get: () => number): void {
    const state = () => ({ count: get(), incremental: true })
    this.add(Metric.counter(...this.of(name, labels)), state)
  }

  gauge(name: Name, labels: Labels, get: () => number): void {
    this.add(Metric.gauge(...this.of(name, labels)), () => ({ value: get() }))
  }

  histogram(name: Name, labels: Labels, get: () => Metric.HistogramState): void {
    const [id, options] = this.of(name, labels)
    this.add(Metric.histogram(id, { ...options, boundaries: [] }), get)
  }

  remove(): void {
    for (const registration of this.all) registration.remove()
  }

  private of(name: Name, labels: Labels) {
    const options = { description: description[name], attributes: { ...this.labels, ...labels } }
    return [`socketserver_${name}`, options] as const
  }

  private add<Input, State>(metric: Metric.Metric<Input, State>, get: () => State): void {
    this.all.push(Metric.registerUnsafe(metric, this.context, { get, update: never, modify: never }))
  }
}

/** Registers what is known of a server, until the returned function is called. */
export const register = <In, Out>(engine: Engine<In, Out>, context: Context.Context<never>): (() => void) => {
  let current: Registering | undefined
  const again = () => {
    current?.remove()
    current = new Registering(context, { server: engine.context.service, policy: engine.policy ?? "none" })
    describe(engine, current)
  }
  // A policy may come later, and have another name the next time.
  engine.onServed = again
  again()
  return () => {
    engine.onServed = undefined
    current?.remove()
  }
}

const describe = <In, Out>({ context, gate, readiness }: Engine<In, Out>, into: Registering): void => {
  const { budget, ledger, traffic } = context
  into.gauge("ready", {}, () => Number(readiness.isReady))
  into.gauge("openings", {}, () => gate.opening)
  into.gauge("held_bytes", {}, () => budget.total)
  for (const deadline of keysOf(ledger.timeouts)) {
    into.counter("timeouts_total", { deadline }, () => ledger.timeouts[deadline])
  }
  for (const flow of traffic.flows) {
    const { counts, handling, listener, refusals } = flow
    const all = () => gate.connections.all.filter((each) => traffic.of(each.listener) === flow)
    const sum = (of: (each: ReturnType<typeof all>[number]) => number) => () =>
      all().reduce((sum, each) => sum + of(each), 0)
    const moved = (direction: "read" | "written", gone: () => number, bytes: () => number) =>
      into.counter("bytes_total", { listener, direction }, () => gone() + bytes())
    into.gauge("connections", { listener }, () => flow.open)
    into.counter("connections_opened_total", { listener }, () => flow.opened)
    into.counter("datagrams_total", { listener }, () => flow.datagrams)
    for (const outcome of keysOf(counts)) into.counter("requests_total", { listener, outcome }, () => counts[outcome])
    for (const reason of keysOf(refusals)) {
      into.counter("turned_away_total", { listener, reason }, () => refusals[reason])
    }
    into.gauge(
      "in_flight",
      { listener },
      sum(({ inFlight }) => inFlight)
    )
    into.gauge(
      "waiting",
      { listener },
      sum(({ line }) => line.unbegun)
    )
    moved(
      "read",
      () => flow.bytesRead,
      sum(({ bytesRead }) => bytesRead)
    )
    moved(
      "written",
      () => flow.bytesWritten,
      sum(({ bytesWritten }) => bytesWritten)
    )
    if (handling !== undefined) into.histogram("request_duration_seconds", { listener }, () => handling.state)
  }
}

const keysOf = <K extends string>(counts: { readonly [key in K]: number }): ReadonlyArray<K> =>
  Object.keys(counts) as unknown as ReadonlyArray<K>
