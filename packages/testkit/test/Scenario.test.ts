import { assert, describe, it } from "@effect/vitest"
import * as Policy from "@socketserver/core/Policy"
import * as Laws from "@socketserver/testkit/Laws"
import * as Scenario from "@socketserver/testkit/Scenario"
import * as Network from "@socketserver/core/Network"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Response from "@socketserver/core/Response"
import { readdirSync, readFileSync } from "node:fs"
import { mixed } from "../src/internal/mixed.ts"

const kept = new URL("scenarios/", import.meta.url)

describe("a scenario", () => {
  it("is drawn again by the same seed, and does the same", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const scenario = Scenario.generate(mixed, seed)
      assert.deepStrictEqual(Scenario.generate(mixed, seed), scenario)
      const one = Scenario.play(mixed, scenario, Laws.all, { trace: true })
      const two = Scenario.play(mixed, scenario, Laws.all, { trace: true })
      assert.deepStrictEqual(two, one)
    }
  })

  it("is read again from its file", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const scenario = Scenario.generate(mixed, seed)
      assert.deepStrictEqual(Scenario.parse(Scenario.stringify(scenario)), scenario)
    }
  })

  it("with one peer less does the same to the others", () => {
    const scenario = Scenario.generate(mixed, 3)
    const [first, ...others] = scenario.peers
    assert.isDefined(first)
    for (const peer of others) {
      const alone = {
        ...scenario,
        policy: "fiber",
        ops: 2_048,
        shuffle: false,
        stop: undefined,
        turnRequests: 1_024,
        peers: [peer]
      }
      const beside = { ...alone, peers: [first!, peer] }
      const lines = (which: Scenario.Scenario) =>
        Scenario.play(mixed, which, [], { trace: true }).trace.filter((line) => line.includes(`${peer.name}> reads`))
      assert.deepStrictEqual(lines(beside), lines(alone))
    }
  })
})

describe("laws", () => {
  const broken = (subject: typeof mixed, scenario: Partial<Scenario.Scenario>, laws = Laws.all) =>
    Scenario.play(
      subject,
      { ...Scenario.generate(mixed, 1), quiet: false, stop: undefined, closeThrows: false, ...scenario },
      laws
    )
  const peer = (...steps: ReadonlyArray<Scenario.Step>): Scenario.Scripted => ({
    ...Scenario.generate(mixed, 1).peers[0]!,
    name: "p0",
    heals: true,
    steps
  })

  it("see a reply that is not its request's", () => {
    let first = true
    const swaps = {
      ...mixed,
      work: ({ body }: { readonly body: string }) => {
        const wrong = body.startsWith("echo p0") && first
        if (wrong) first = false
        return Effect.succeed(Response.make(wrong ? "echo p0-9" : body))
      }
    }
    const run = broken(swaps, { peers: [peer({ at: 0, do: "send", asks: ["echo p0-0\n", "echo p0-1\n"] })] })
    assert.deepStrictEqual(
      run.broken.map(({ law }) => law),
      ["order"]
    )
  })

  it("see who waits for ever, and say for what", () => {
    const stuck = { ...mixed, work: () => Effect.never, policies: { fiber: Policy.fiber() } }
    const peers = [peer({ at: 0, do: "send", asks: ["echo p0-0\n"] })]
    const run = broken(stuck, { peers, policy: "fiber" })
    assert.include(
      run.broken.map(({ law }) => law),
      "progress"
    )
    assert.match(run.waits.join(), /p0 has 0 of 10 bytes ← request 1 of p0 waits for its handler/)
  })

  const names = ({ broken }: Scenario.Report) => broken.map(({ law }) => law)

  it("see who is cut off though it reads", () => {
    const closes = { ...mixed, work: () => Effect.succeed(Response.andClose(Response.make("echo p0-0"))) }
    const run = broken(closes, {
      peers: [{ ...peer({ at: 0, do: "send", asks: ["echo p0-0\n", "echo p0-1\n"] }), link: Network.perfect }]
    })
    assert.deepStrictEqual(names(run), ["kept"])
    assert.match(run.broken[0]!.what, /p0 reads, and is cut off after 10 of 20 bytes/)
  })

  it("see who waits for others longer than is fair", () => {
    const slow = {
      ...mixed,
      handlerMillis: 1,
      work: ({ body }: { readonly body: string }) => Effect.delay(Effect.succeed(Response.make(body)), 500)
    }
    const run = broken(slow, { policy: "sequential", quiet: true, peers: [] })
    assert.deepStrictEqual(names(run), ["fair"])
  })

  it("see that too many requests begin in a turn", () => {
    // Takes all that comes, and begins it at once, later.
    const hoards: Policy.Policy = {
      ...Policy.fiber(),
      name: "hoards",
      drain: (requests, begin) =>
        Effect.flatMap(Stream.runCollect(Stream.take(requests, 20)), (all) =>
          Effect.andThen(
            Effect.sync(() => [...all].forEach((request) => begin(request))),
            Effect.never
          )
        )
    }
    const asks = Array.from({ length: 20 }, (_, i) => `echo p0-${i}\n`)
    const run = broken(
      { ...mixed, policies: { hoards } },
      { policy: "hoards", quiet: false, turnRequests: 4, maxPipelined: 128, peers: [peer({ at: 0, do: "send", asks })] }
    )
    assert.deepStrictEqual(names(run), ["turn"])
  })

  it("see that more is held than may be", () => {
    const late = {
      ...mixed,
      // Says that it sends little, and is asked for nothing else.
      expects: (asked: ReadonlyArray<string>) => asked.join(""),
      work: () => Effect.succeed(Response.make("x".repeat(500_000)))
    }
    const silent = peer({ at: 0, do: "stopReading" }, { at: 0, do: "send", asks: ["echo p0-0\n"] })
    const run = broken(late, { policy: "fiber", quiet: false, peers: [silent] }, [Laws.bytes()])
    assert.deepStrictEqual(names(run), ["bytes"])
  })

  it("see a stop that does not end", () => {
    const stuck = {
      ...mixed,
      work: () => Effect.uninterruptible(Effect.never)
    }
    const asking = { ...peer({ at: 0, do: "send" as const, asks: ["echo p0-0\n"] }), link: Network.perfect }
    const run = broken(stuck, { peers: [asking], stop: 10 })
    assert.include(
      run.broken.map(({ law }) => law),
      "gone"
    )
  })

  /** A law that watches a run which the test makes up. */
  const watching = (law: Laws.Law, run: object) =>
    law.watch({
      scenario: {
        ...Scenario.generate(mixed, 1),
        maxBuffered: 2_048,
        maxMemory: 32_768,
        writeMillis: 400,
        heal: 1_000
      },
      largest: 1_000,
      isElsewhere: false,
      now: () => 5_000,
      peers: [],
      hasFailed: () => false,
      stoppedAt: () => undefined,
      connections: () => [],
      holdings: () => [],
      ...run
    } as never)
  const connection = { id: 1, inFlight: 1, bytesRead: 100, peer: { name: "p0" } }

  it("see that a stream runs ahead of its reader", () => {
    const all = (unsent: number) => [{ connection, unsent, parked: 0, bytes: unsent, memory: unsent }]
    const broken = (unsent: number) => watching(Laws.bytes(), { holdings: () => all(unsent) }).onTurn?.()
    // What is collected, what the transport was given, and one message; not all of the stream.
    assert.strictEqual(broken(2 * 65_536 + 2_048 + 1_000), undefined)
    assert.match(broken(2 * 65_536 + 2_048 + 1_001)!, /are held for p0/)
  })

  it("see who is read on with more than its share while memory is short", () => {
    const large = { connection: { ...connection }, memory: 26_000 }
    const { onTurn } = watching(Laws.slowed, {
      holdings: () => [large, { connection: { ...connection, id: 2 }, memory: 100 }]
    })
    const readOn = () => {
      large.connection.bytesRead += 10
      return onTurn?.()
    }
    assert.deepStrictEqual([onTurn?.(), readOn()], [undefined, undefined])
    assert.match(readOn()!, /p0 is read on with more than its share, while 26100 bytes are held for all/)
  })

  it("see that there was room in the middle of a turn, in which it was read on", () => {
    const large = { connection: { ...connection }, memory: 26_000 }
    const { onRead, onTurn } = watching(Laws.slowed, { holdings: () => [large, other] })
    const other = { connection: { ...connection, id: 2 }, memory: 0.1 }
    const reads = (memory: number) => {
      large.memory = memory
      onRead?.("p0")
      large.memory = 26_000
      large.connection.bytesRead += 10
      return onTurn?.()
    }
    assert.deepStrictEqual([onTurn?.(), reads(26_000), reads(24_500), reads(26_000)], new Array(4).fill(undefined))
    assert.match(reads(24_577)!, /p0 is read on/)
  })

  it("see who is kept though nothing of what waits for it leaves", () => {
    const left = (peer: object, waited = 501, takes = 0) => {
      let at = 5_000 - waited
      const one = { ...connection, bytesWritten: 100 }
      const watch = watching(Laws.gone, {
        now: () => at,
        peers: [{ open: true, reads: false, hasReset: false, script: { name: "p0" }, ...peer }],
        holdings: () => [{ connection: one, unsent: 7 }]
      })
      watch.onTurn?.()
      at = 4_800
      one.bytesWritten += takes
      watch.onTurn?.()
      at = 5_000
      return watch.onSettled?.()
    }
    assert.match(left({})!, /7 bytes still wait for p0, which has taken nothing for 400 ms/)
    assert.strictEqual(left({ reads: true }), undefined)
    assert.strictEqual(left({ open: false }), undefined)
    assert.strictEqual(left({}, 500), undefined)
    assert.strictEqual(left({}, 501, 1), undefined)
  })

  it("see what a stop gives up before its deadline, however it is called", () => {
    const { drainMillis } = Scenario.generate(mixed, 1)
    const after = (millis: number, outcome: object, open = true) =>
      watching(Laws.stop, {
        stoppedAt: () => 5_000 - millis,
        peers: [{ open, script: { name: "p0" } }]
      }).onOutcome?.({ connection, outcome, request: {} } as never)
    const closed = { _tag: "Cancelled", reason: "ConnectionClosed" }
    for (const outcome of [{ _tag: "Drained" }, closed, { _tag: "Refused", kind: "Stopping", reason: "" }]) {
      assert.match(after(10, outcome)!, /a request is given up as \w+, 10 ms after the stop began/)
      assert.strictEqual(after(drainMillis, outcome), undefined)
    }
    assert.strictEqual(after(10, closed, false), undefined)
    assert.strictEqual(after(10, { _tag: "Cancelled", reason: "PeerGone" }), undefined)
  })

  it("are broken by the smallest scenario, too", () => {
    const law: Laws.Law = {
      name: "no long line",
      watch: () => ({ onReceived: ({ received }) => (received.includes("x".repeat(500)) ? "a long line" : undefined) })
    }
    const seed = Array.from({ length: 100 }, (_, i) => i + 1).find(
      (seed) => Scenario.play(mixed, Scenario.generate(mixed, seed), [law]).broken.length > 0
    )
    const { scenario } = Scenario.shrink(mixed, Scenario.generate(mixed, seed!), law)
    assert.strictEqual(scenario.peers.length, 1)
    assert.strictEqual(scenario.peers[0]!.steps.length, 1)
    assert.match(Scenario.print(scenario), /p0|p1|p2|p3|p4/)
  })

  it("hold in what was found before", () => {
    for (const file of readdirSync(kept).filter((name) => name.endsWith(".json"))) {
      const scenario = Scenario.parse(readFileSync(new URL(file, kept), "utf8"))
      // Those with workers are played by `pnpm simulate`.
      if (!(scenario.policy in mixed.policies)) continue
      assert.deepStrictEqual(Scenario.play(mixed, scenario, Laws.all).broken, [], file)
    }
  })

  it("hold in two hundred seeds", () => {
    const { broken } = Scenario.check(mixed, { laws: Laws.all, seeds: 200 })
    assert.deepStrictEqual([...broken], [])
  })
})
