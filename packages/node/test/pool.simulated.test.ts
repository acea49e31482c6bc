import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Laws from "@socketserver/testkit/Laws"
import * as Scenario from "@socketserver/testkit/Scenario"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SimulatedWorkers from "../src/SimulatedWorkers.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** `wait MILLIS ID`, `many COUNT ID`, or an echo. */
const work = ({ body }: Request.Request<string>) => {
  const [command, count] = body.split(" ")
  if (command === "wait") return Effect.as(Effect.sleep(Number(count)), Response.make(body))
  if (command === "many") return Effect.succeed(Response.stream(Stream.fromIterable(answer(body))))
  return Effect.succeed(Response.make(body))
}

const answer = (body: string): ReadonlyArray<string> =>
  body.startsWith("many ") ? Array.from({ length: Number(body.split(" ")[1]) }, (_, i) => `${body} ${i}`) : [body]

const subject = (workers: SimulatedWorkers.Options): Scenario.Subject<Lines, string, string> => {
  const policy = SimulatedWorkers.make(Lines, work, workers)
  return {
    tag: Lines,
    work,
    asks: (chance, id) =>
      `${chance.pick(["echo", "echo", `wait ${chance.int(1, 50)}`, `many ${chance.int(0, 20)}`])} ${id}\n`,
    expects: (asked) =>
      asked
        .flatMap((ask) => answer(ask.trimEnd()))
        .map((line) => `${line}\n`)
        .join(""),
    policies: { [policy.name]: policy },
    handlerMillis: 50
  }
}

describe("the pool, with simulated workers", () => {
  it.effect.each<{
    readonly what: string
    readonly workers: SimulatedWorkers.Options
    readonly sees?: string
  }>([
    { what: "one worker", workers: { size: 1 } },
    { what: "slow channels", workers: { size: 3, channel: 10 } },
    { what: "workers that start slowly", workers: { size: 2, start: 200 } },
    { what: "workers that crash", workers: { size: 2, start: 20, channel: 2, crashes: 0.8 }, sees: "WorkerCrashed" },
    { what: "channels that take little", workers: { size: 2, channel: 2, window: [256, 1_024] } },
    { what: "workers that hang", workers: { size: 2, channel: 1, hangs: 0.8 } }
  ])("keeps the laws with $what", ({ sees, workers }) =>
    Effect.gen(function* () {
      yield* SimulatedWorkers.prepare(Lines, work, "echo first\n")
      const { broken, sometimes } = Scenario.check(subject(workers), { laws: Laws.all, seeds: 100 })
      assert.deepStrictEqual([...broken], [])
      if (sees !== undefined) assert.isAbove(sometimes[sees] ?? 0, 0)
    })
  )

  it.effect("does the same again by the same seed", () =>
    Effect.gen(function* () {
      yield* SimulatedWorkers.prepare(Lines, work, "echo first\n")
      const all = subject({ size: 2, start: 50, channel: 5, crashes: 0.5, hangs: 0.5, window: [256, 65_536] })
      for (let seed = 1; seed <= 20; seed++) {
        const scenario = Scenario.generate(all, seed)
        const one = Scenario.play(all, scenario, Laws.all, { trace: true })
        assert.deepStrictEqual(Scenario.play(all, scenario, Laws.all, { trace: true }), one)
      }
    })
  )
})
