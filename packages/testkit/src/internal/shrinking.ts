import * as Network from "@socketserver/core/Network"
import type { Law } from "../Laws.ts"
import type { Scenario, Scripted, Step, Subject } from "../Scenario.ts"
import { play } from "./playing.ts"

/** The smallest scenario found that breaks the same law: any other law, and it slips to another fault. */
export const shrink = <Self, In, Out>(
  subject: Subject<Self, In, Out>,
  scenario: Scenario,
  law: Law,
  budget = 2_000
): { readonly scenario: Scenario; readonly tried: number } => {
  let best = scenario
  let tried = 0
  const improve = (): boolean => {
    for (const next of smaller(best, subject.simpler ?? (() => []))) {
      if (++tried > budget) return false
      if (!play(subject, next, [law]).broken.some((broken) => broken.law === law.name)) continue
      best = next
      return true
    }
    return false
  }
  while (improve());
  return { scenario: best, tried }
}

/** The limits that say least: what needs a smaller one says so. */
const usual = {
  maxBuffered: 262_144,
  maxMemory: 268_435_456,
  turnRequests: 1_024,
  turnShare: 32,
  writeMillis: 60_000,
  placeMillis: 300
} as const

/** Smaller scenarios, the boldest first. What a link does to one peer does not depend on others. */
function* smaller(s: Scenario, simpler: (ask: string) => ReadonlyArray<string>): Generator<Scenario> {
  for (let i = 0; i < s.peers.length; i++) yield { ...s, peers: s.peers.filter((_, j) => j !== i) }
  if (s.quiet) yield { ...s, quiet: false }
  if (s.stop !== undefined) yield { ...s, stop: undefined }
  if (s.closeThrows) yield { ...s, closeThrows: false }
  if (s.stopBy === "scope") yield { ...s, stopBy: "shutdown" }
  if (s.shuffle) yield { ...s, shuffle: false }
  if (s.ops !== 2_048) yield { ...s, ops: 2_048 }
  for (const [limit, value] of Object.entries(usual)) {
    if (s[limit as keyof typeof usual] !== value) yield { ...s, [limit]: value }
  }
  if (s.maxPipelined !== 128) yield { ...s, maxPipelined: 128 }
  for (let i = 0; i < s.peers.length; i++) {
    for (const peer of smallerPeers(s.peers[i] as Scripted, simpler)) {
      yield { ...s, peers: s.peers.map((other, j) => (j === i ? peer : other)) }
    }
  }
}

function* smallerPeers(peer: Scripted, simpler: (ask: string) => ReadonlyArray<string>): Generator<Scripted> {
  const { link, steps } = peer
  if (String(Object.values(link)) !== String(Object.values(Network.perfect))) yield { ...peer, link: Network.perfect }
  for (const key of Object.keys(Network.perfect) as Array<keyof Network.Link>) {
    if (String(link[key]) !== String(Network.perfect[key]))
      yield { ...peer, link: { ...link, [key]: Network.perfect[key] } }
  }
  for (let k = 0; k < steps.length; k++) {
    yield { ...peer, steps: steps.filter((_, j) => j !== k) }
    for (const step of smallerSteps(steps[k] as Step, simpler)) {
      yield { ...peer, steps: steps.map((other, j) => (j === k ? step : other)) }
    }
  }
}

function* smallerSteps(step: Step, simpler: (ask: string) => ReadonlyArray<string>): Generator<Step> {
  if (step.at > 0) {
    yield { ...step, at: 0 }
    if (step.at > 1) yield { ...step, at: step.at >> 1 }
  }
  if (step.do !== "send") return
  const { asks } = step
  if (asks.length > 1) {
    yield { ...step, asks: asks.slice(0, asks.length >> 1) }
    yield { ...step, asks: asks.slice(asks.length >> 1) }
    for (let a = 0; a < asks.length; a++) yield { ...step, asks: asks.filter((_, j) => j !== a) }
  }
  for (let a = 0; a < asks.length; a++) {
    for (const ask of simpler(asks[a] as string))
      yield { ...step, asks: asks.map((other, j) => (j === a ? ask : other)) }
  }
}
