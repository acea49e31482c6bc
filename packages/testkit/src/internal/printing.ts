import * as Network from "@socketserver/core/Network"
import type { Scenario, Scripted, Step } from "../Scenario.ts"

/** A scenario as a person reads it. */
export const print = (scenario: Scenario): string => [serverOf(scenario), ...scenario.peers.flatMap(peerOf)].join("\n")

const serverOf = (s: Scenario): string =>
  [
    `  server: ${s.policy}, maxPipelined ${s.maxPipelined}`,
    ...(s.maxBuffered === 262_144 ? [] : [`maxBuffered ${s.maxBuffered}`]),
    ...(s.maxMemory === 268_435_456 ? [] : [`maxMemory ${s.maxMemory}`]),
    ...(s.turnRequests === 1_024 && s.turnShare === 32
      ? []
      : [`${s.turnRequests} a turn, ${s.turnShare} of a connection`]),
    `placeTimeout ${s.placeMillis} ms, writeTimeout ${s.writeMillis} ms`,
    ...(s.quiet ? ["a quiet peer"] : []),
    ...(s.shuffle ? ["turns shuffled"] : []),
    ...(s.ops === 2_048 ? [] : [`fibers yield after ${s.ops} operations`]),
    ...(s.stop === undefined ? [] : [`stops at ${s.stop} ms by its ${s.stopBy}, within ${s.drainMillis} ms`]),
    ...(s.closeThrows ? ["its listener's close throws"] : [])
  ].join(", ")

const peerOf = (peer: Scripted): ReadonlyArray<string> => [
  `  ${peer.name} (link: ${linkOf(peer.link)})${peer.heals ? "" : ", never reads again once it has stopped"}`,
  ...peer.steps.map((step) => `    ${String(step.at).padStart(5)} ms  ${stepOf(step)}`)
]

const linkOf = (link: Network.Link): string =>
  (Object.keys(Network.perfect) as Array<keyof Network.Link>)
    .filter((key) => String(link[key]) !== String(Network.perfect[key]))
    .map((key) => `${key} ${String(link[key])}`)
    .join(", ") || "perfect"

const stepOf = (step: Step): string =>
  step.do === "send"
    ? `sends ${runs(step.asks.map((ask) => (ask.length > 60 ? `${ask.slice(0, 60)}…` : ask).trimEnd()))}`
    : { stopReading: "stops reading", resume: "reads again", halfClose: "half-closes", reset: "resets" }[step.do]

const runs = (texts: ReadonlyArray<string>): string => {
  const out: Array<string> = []
  for (let i = 0; i < texts.length;) {
    let n = 1
    while (texts[i + n] === texts[i]) n++
    out.push(n > 1 ? `${n} × (${texts[i]})` : (texts[i] as string))
    i += n
  }
  return out.join(", ")
}
