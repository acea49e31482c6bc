/** Control messages in the simulated network: every law holds with them, and sees where one is not read, or goes astray. */
import { assert, describe, it } from "@effect/vitest"
import * as Network from "@socketserver/core/Network"
import * as Protocol from "@socketserver/core/Protocol"
import * as Server from "@socketserver/core/Server"
import * as Laws from "@socketserver/testkit/Laws"
import * as Scenario from "@socketserver/testkit/Scenario"
import { freed, pinged } from "../src/internal/controlled.ts"

/** Other limits and links than by chance: everything travels at once. */
const scenarioOf = (policy: string, asks: ReadonlyArray<string>, more: Partial<Scenario.Scenario> = {}) => ({
  ...Scenario.generate(pinged, 1),
  policy,
  maxPipelined: 1,
  quiet: false,
  stop: undefined,
  closeThrows: false,
  peers: [{ name: "p0", heals: true, link: Network.perfect, steps: [{ at: 0, do: "send" as const, asks }] }],
  ...more
})

const names = ({ broken }: Scenario.Report) => broken.map(({ law }) => law)

describe("control messages", () => {
  it("are answered in their place in fifty seeds", () => {
    const { broken, sometimes } = Scenario.check(pinged, { laws: Laws.all, seeds: 50 })
    assert.deepStrictEqual([...broken], [])
    assert.isAbove(sometimes["half-closed"] ?? 0, 0)
  })

  it("reach the requests that they concern in fifty seeds, also when the pipeline is full", () => {
    const { broken, sometimes } = Scenario.check(freed, { laws: Laws.all, seeds: 50 })
    assert.deepStrictEqual([...broken], [])
    assert.isAbove(sometimes["half-closed"] ?? 0, 0)
  })

  it("free a request that holds the only place of the pipeline, while others wait", () => {
    const run = Scenario.play(freed, scenarioOf("connection", ["hold a\necho b\nfree a\n"]), Laws.all)
    assert.deepStrictEqual(run.broken, [])
  })

  it("are missed by who waits for them, where they wait for the pipeline", () => {
    class Unfreed extends Server.Service<Unfreed>()("Unfreed", { protocol: Protocol.lines() }) {}
    const stuck = { ...freed, tag: Unfreed as never as typeof freed.tag }
    const run = Scenario.play(stuck, scenarioOf("connection", ["hold a\nfree a\n"]), Laws.all)
    assert.include(names(run), "order")
  })

  it("are missed by who waits for them, where they go to nobody", () => {
    class Astray extends Server.Service<Astray>()("Astray", {
      protocol: Protocol.control(Protocol.correlated(Protocol.lines(), { id: (line) => line.split(" ").at(-1) }), {
        is: (line) => line.startsWith("free "),
        to: () => "nobody"
      })
    }) {}
    const stuck = { ...freed, tag: Astray as never as typeof freed.tag }
    const run = Scenario.play(stuck, scenarioOf("connection", ["hold a\nfree a\n"]), Laws.all)
    assert.deepStrictEqual(names(run), ["progress"])
  })

  it("are seen where they overtake what came before them", () => {
    class Hasty extends Server.Service<Hasty>()("Hasty", {
      // Answered at once, and not in their place.
      protocol: Protocol.control(Protocol.correlated(Protocol.lines(), { id: (line) => line }), {
        is: (line) => line.startsWith("ping "),
        answer: (line) => `pong ${line.slice(5)}`
      })
    }) {}
    const hasty = { ...pinged, tag: Hasty as never as typeof pinged.tag }
    const run = Scenario.play(hasty, scenarioOf("fiber", ["wait 5 a\n", "ping b\n"]), Laws.all)
    assert.deepStrictEqual(names(run), ["order"])
  })
})
