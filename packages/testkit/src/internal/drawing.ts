import * as Network from "@socketserver/core/Network"
import * as Simulation from "@socketserver/core/Simulation"
import type { Faults, Scenario, Scripted, Step, Subject } from "../Scenario.ts"

/** A scenario of a seed. Limits are small, since faults hide behind large ones. */
export const draw = <Self, In, Out>(subject: Subject<Self, In, Out>, seed: number, which: Faults): Scenario => {
  const chance = Simulation.chance(seed, "scenario")
  // Each run has its own few faults, most of them at zero.
  const on = (probability: number): number => (chance.chance(0.5) ? probability : 0)
  const rates: Faults = {
    stopReading: on(which.stopReading),
    reset: on(which.reset),
    halfClose: on(which.halfClose),
    slow: on(which.slow),
    tiny: on(which.tiny),
    forgets: on(which.forgets),
    never: on(which.never),
    stop: which.stop,
    closeThrows: which.closeThrows
  }
  const peers: Array<Scripted> = []
  // Clients of a few peers, or of one each.
  const hosts = chance.pick([1, 2, 5])
  // Now and then all of them want the same, and much of it.
  const storm = chance.chance(0.06)
  for (let count = storm ? 5 : chance.int(1, 5); count > 0; count--) {
    const id = `p${peers.length}`
    const its = chance.fork(id)
    peers.push(drawPeer(subject, its, rates, id, storm, `10.0.0.${its.int(1, hosts)}:${4_000 + peers.length}`))
  }
  return {
    seed,
    policy: chance.pick(Object.keys(subject.policies)),
    maxPipelined: chance.pick([1, 4, 16, 128]),
    maxBuffered: chance.pick([2_048, 32_768, 262_144]),
    // Few have little: who is reset for that has no other law to break.
    maxMemory:
      subject.shortOfMemory === true
        ? drawShort(chance, storm, peers)
        : chance.chance(0.1)
          ? chance.pick([32_768, 131_072])
          : 268_435_456,
    turnRequests: chance.pick([1_024, 16, 4]),
    turnShare: chance.pick([32, 8, 2]),
    placeMillis: chance.pick([100, 300]),
    writeMillis: chance.pick([400, 60_000, 60_000]),
    shuffle: chance.chance(0.5),
    ops: chance.pick([2_048, 2_048, 30, 5, 4]),
    peers,
    quiet: chance.chance(0.5),
    heal: 1_000,
    stop: chance.chance(rates.stop) ? chance.int(0, chance.pick([50, 1_500])) : undefined,
    stopBy: chance.pick(["shutdown", "scope"] as const),
    drainMillis: 900,
    closeThrows: chance.chance(rates.closeThrows)
  }
}

/** It is in storms that much is held. */
const drawShort = (chance: Simulation.Chance, storm: boolean, peers: ReadonlyArray<Scripted>): number =>
  chance.chance(storm ? 0.5 : 0.1)
    ? chance.pick([32_768, 131_072, Math.max(16_384, askedOf(peers) * chance.int(100, 400))])
    : 268_435_456

/** How many requests there are. */
const askedOf = (peers: ReadonlyArray<Scripted>): number =>
  peers.reduce(
    (sum, { steps }) => steps.reduce((sum, step) => sum + (step.do === "send" ? step.asks.length : 0), sum),
    0
  )

const drawPeer = <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  chance: Simulation.Chance,
  rates: Faults,
  id: string,
  storm: boolean,
  name: string
): Scripted => {
  const steps: Array<Step> = []
  let at = chance.int(0, 20)
  let ids = 0
  const all: Array<string> = []
  for (let sends = chance.int(1, 4); sends > 0; sends--) {
    // Now and then the same again and again: where replies are large, or handlers slow, so are all of them.
    const repeats = chance.chance(0.15) || storm
    const label = storm ? "storm" : `${id} repeats ${sends}`
    const asks = Array.from({ length: chance.pick(repeats ? [12, 24] : [1, 1, 2, 4, 8, 20]) }, () =>
      subject.asks(repeats ? chance.fork(label) : chance, `${id}-${ids++}`)
    )
    if (subject.rarely !== undefined && chance.chance(0.02)) {
      asks.splice(chance.int(0, asks.length), 0, subject.rarely(chance, `${id}-${ids++}`))
    }
    all.push(...asks)
    if (chance.chance(rates.stopReading)) steps.push({ at, do: "stopReading" })
    steps.push({ at, do: "send", asks })
    at += chance.int(0, 100)
    if (chance.chance(0.3)) steps.push({ at, do: "resume" })
  }
  if (chance.chance(rates.reset)) steps.push({ at, do: "reset" })
  else if (chance.chance(rates.halfClose)) steps.push({ at, do: "halfClose" })
  const bytes = subject.expects(all).length
  const link = Network.link({
    latency: chance.int(0, 20),
    jitter: chance.chance(0.5) ? chance.int(0, 10) : 0,
    // Pieces as small as a byte, unless that would be too many of them.
    chunk: [
      1,
      chance.chance(rates.tiny) ? chance.int(1 + (bytes >> 10), 20 + (bytes >> 8)) : chance.pick([100, 1_460, 65_536])
    ],
    window: Math.max(chance.pick([256, 1_024, 4_096, 65_536]), bytes >> 5),
    highWater: chance.pick([256, 256, 1_024, 65_536]),
    rate: chance.chance(rates.slow) ? 1_000 + Math.floor((bytes * 1_000) / chance.int(100, 3_000)) : Infinity,
    joins: chance.chance(0.5),
    forgets: chance.chance(rates.forgets)
  })
  return { name, link, heals: !chance.chance(rates.never), steps }
}
