/**
 * Peers that a seed draws, against a server in a `Simulation`: what they ask for,
 * over which links, and how they misbehave. A scenario is data, so that one that
 * breaks a law of `Laws` can be made smaller, printed, kept and played again.
 *
 * A seed means something for one version of the code only: keep scenarios, not
 * seeds.
 *
 * @since 0.1.0
 */
import type * as Handler from "@socketserver/core/Handler"
import type * as Network from "@socketserver/core/Network"
import type * as Policy from "@socketserver/core/Policy"
import type * as Server from "@socketserver/core/Server"
import type * as Session from "@socketserver/core/Session"
import type * as Simulation from "@socketserver/core/Simulation"
import type * as Layer from "effect/Layer"
import { draw } from "./internal/drawing.ts"
import { type Played, play as playIn } from "./internal/playing.ts"
import { print as text } from "./internal/printing.ts"
import { shrink as smallest } from "./internal/shrinking.ts"
import type { Law } from "./Laws.ts"

/**
 * What is simulated: a server, what its peers may ask for, and what each must get.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<Self, In, Out> {
  readonly tag: Declared<Self, In, Out>
  /** Serves it. Needs nothing but the server. */
  readonly work: Handler.Handler<In, Out, Self> | Session.Session<In, Out, Self>
  /** Draws a request, as it is written on the connection. `id` is unique in the run. */
  readonly asks: (chance: Simulation.Chance, id: string) => string
  /** The same of one that a few peers ask for, once: what would be too much many times over. Default: none. */
  readonly rarely?: ((chance: Simulation.Chance, id: string) => string) | undefined
  /** Whether memory is often drawn near what peers ask for. Default: it is plenty nine times of ten. */
  readonly shortOfMemory?: boolean | undefined
  /** All that a peer gets which has asked for this, in this order. */
  readonly expects: (asked: ReadonlyArray<string>) => string
  /** The largest message of what is got for a request, in bytes. Default: all of it is one. */
  readonly largest?: ((asked: string) => number) | undefined
  /** Smaller requests in place of one, the smallest first. Default: none. */
  readonly simpler?: ((asked: string) => ReadonlyArray<string>) | undefined
  /** Policies to draw from, by name. */
  readonly policies: Readonly<Record<string, Policy.Policy>>
  /** How long the slowest handler takes, in milliseconds. */
  readonly handlerMillis: number
}

/**
 * A declared server, as `Server.Service` makes one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Declared<in out Self, in out In, in out Out> extends Server.Tag<Self, In, Out> {
  readonly serve: (
    work: Handler.Handler<In, Out, Self>,
    options?: Server.ServeOptions<In, Out>
  ) => Layer.Layer<never, unknown, Self>
}

/**
 * What a peer does, and when: milliseconds from the beginning.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly at: number; readonly do: "send"; readonly asks: ReadonlyArray<string> }
  | { readonly at: number; readonly do: "stopReading" | "resume" | "halfClose" | "reset" }

/**
 * A peer, and the link that it has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scripted {
  /** What the server calls it. `10.0.0.1:4000` is a client of the peer `10.0.0.1`; those without an address are one peer. */
  readonly name: string
  readonly link: Network.Link
  /** Whether it reads again when all heals; one that does not is owed nothing but an end. */
  readonly heals: boolean
  readonly steps: ReadonlyArray<Step>
}

/**
 * A run, as data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  readonly seed: number
  /** The name of a policy of the subject. */
  readonly policy: string
  readonly maxPipelined: number
  /** What is held for one connection before it is not read, in bytes. */
  readonly maxBuffered: number
  /** What is held for all of them, in bytes. */
  readonly maxMemory: number
  /** Requests that begin in one turn of the event loop, and of one connection in its own. */
  readonly turnRequests: number
  readonly turnShare: number
  /** How long a reply that nobody reads may keep a place that others want, in milliseconds. */
  readonly placeMillis: number
  /** How long a connection may have something unsent without any of it leaving, in milliseconds. */
  readonly writeMillis: number
  /** Whether what may run in any order does. */
  readonly shuffle: boolean
  /** After how many operations a fiber yields. */
  readonly ops: number
  readonly peers: ReadonlyArray<Scripted>
  /** Whether there is one more, on a perfect link, which asks for one thing at a time. It shows whether shares are fair, and wakes up what was forgotten. */
  readonly quiet: boolean
  /** From here on everybody who heals reads, in milliseconds. */
  readonly heal: number
  /** When the server is told to stop, if before all is answered. */
  readonly stop: number | undefined
  /** By the server's own `shutdown`, or by the end of its scope. */
  readonly stopBy: "shutdown" | "scope"
  /** How long a stop may take, in milliseconds. */
  readonly drainMillis: number
  /** Whether the listener throws when it is closed. */
  readonly closeThrows: boolean
}

/**
 * What may go wrong in a scenario, and how probably. Half of it is off in each one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  readonly stopReading: number
  readonly reset: number
  readonly halfClose: number
  readonly slow: number
  readonly tiny: number
  readonly forgets: number
  /** That a peer which has stopped reading never reads again. */
  readonly never: number
  readonly stop: number
  readonly closeThrows: number
}

/**
 * All of them.
 *
 * @category models
 * @since 0.1.0
 */
export const faults: Faults = {
  stopReading: 0.5,
  reset: 0.3,
  halfClose: 0.3,
  slow: 0.5,
  tiny: 0.3,
  forgets: 0.5,
  never: 0.4,
  stop: 0.3,
  closeThrows: 0.02
}

/**
 * A law that does not hold, and what shows it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broken {
  readonly law: string
  readonly what: string
}

/**
 * What a scenario has shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report extends Played {}

/**
 * Draws a scenario.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generate: <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  seed: number,
  which?: Partial<Faults>
) => Scenario = (subject, seed, which = {}) => draw(subject, seed, { ...faults, ...which })

/**
 * Plays a scenario, and says which laws it breaks.
 *
 * @category running
 * @since 0.1.0
 */
export const play: <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  scenario: Scenario,
  laws: ReadonlyArray<Law>,
  options?: { readonly trace?: boolean | undefined }
) => Report = playIn

/**
 * The smallest scenario found that breaks the same law, and how many were tried.
 *
 * @category running
 * @since 0.1.0
 */
export const shrink: <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  scenario: Scenario,
  law: Law,
  budget?: number
) => { readonly scenario: Scenario; readonly tried: number } = smallest

/**
 * A scenario as a person reads it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const print = (scenario: Scenario): string => text(scenario)

/**
 * A scenario as a file.
 *
 * @category conversions
 * @since 0.1.0
 */
export const stringify = (scenario: Scenario): string =>
  `${JSON.stringify(scenario, (_, value: unknown) => (value === Infinity ? "Infinity" : value), 2)}\n`

/**
 * Reads what {@link stringify} has written.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (file: string): Scenario => {
  const read = JSON.parse(file, (_, value: unknown) => (value === "Infinity" ? Infinity : value)) as Scenario
  return { ...limits, ...read, stop: read.stop }
}

/** What older files say nothing of. */
const limits = {
  maxBuffered: 262_144,
  maxMemory: 268_435_456,
  turnRequests: 1_024,
  turnShare: 32,
  placeMillis: 10_000,
  writeMillis: 60_000
}

/**
 * Many seeds, in turn: how often each law was broken, and the first seed that did.
 *
 * @category running
 * @since 0.1.0
 */
export const check = <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  options: {
    readonly laws: ReadonlyArray<Law>
    readonly seeds: number
    /** Default: 1. */
    readonly first?: number | undefined
    readonly faults?: Partial<Faults> | undefined
  }
): Checked => {
  const { first = 1, laws, seeds } = options
  const broken = new Map<string, Array<number>>()
  const sometimes: Record<string, number> = {}
  let requests = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const report = play(subject, generate(subject, seed, options.faults), laws)
    requests += report.requests
    for (const name of report.sometimes) sometimes[name] = (sometimes[name] ?? 0) + 1
    for (const { law } of report.broken) broken.set(law, [...(broken.get(law) ?? []), seed])
  }
  return { broken, sometimes, requests, seeds }
}

/**
 * What many seeds have shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checked {
  readonly seeds: number
  readonly requests: number
  /** The seeds that break a law, by its name. */
  readonly broken: ReadonlyMap<string, ReadonlyArray<number>>
  /** In how many runs a fault took effect: one that never does tests nothing. */
  readonly sometimes: Readonly<Record<string, number>>
}
