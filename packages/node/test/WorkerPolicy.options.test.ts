/** What a policy of workers is set to, and its server, reaches its workers: with those of a test, in virtual time. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import type * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { PoolOptions } from "../src/internal/worker/parent/options.ts"
import { Starter } from "../src/internal/worker/parent/spawn.ts"
import * as WorkerPolicy from "../src/WorkerPolicy.ts"
import { ScriptedWorker } from "./support/scriptedWorker.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Has a test without a program of its own name one. */
const entry = import.meta.filename

/** A turn of the event loop, in which frames arrive. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
const until = (is: () => boolean) => Effect.repeat(turn, { until: is, times: 1_000 })

interface Started {
  readonly workers: ReadonlyArray<ScriptedWorker>
  readonly options: () => PoolOptions
}

/** Runs a test against a server under a policy, whose workers are the test's. */
const under = <A, E>(
  policy: Policy.Policy,
  test: (started: Started) => Effect.Effect<A, E, Lines | Scope.Scope>,
  options?: Transport.ServerOptions
): Effect.Effect<A, unknown> => {
  const workers: Array<ScriptedWorker> = []
  let given: PoolOptions | undefined
  const starter = Layer.succeed(Starter, (_, __, options) => {
    given = options
    const worker = new ScriptedWorker()
    const ends = () => queueMicrotask(() => !worker.hasEnded && worker.crash())
    worker.onKill = worker.onStop = ends
    queueMicrotask(() => worker.ready())
    workers.push(worker)
    return worker.child(`worker-${workers.length}`)
  })
  const served = Lines.serve(() => Effect.succeed(Response.empty), { policy })
  const layer = Layer.provideMerge(Layer.provide(served, starter), MemoryServer.layer(Lines, options))
  return test({ workers, options: () => given as PoolOptions }).pipe(
    Effect.scoped,
    Effect.provide(layer),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
}

/** Has somebody ask, and the first worker begin with it. */
const asked = ({ workers }: Started, text: string, link?: Network.Link) =>
  Effect.gen(function* () {
    const peer = yield* Network.connect(Lines, { link })
    yield* peer.write(`${text}\n`)
    yield* until(() => workers[0]!.given.some((given) => given.text === text))
    return peer
  })

describe("how many workers there are where nobody says it", () => {
  it.effect.each([
    ["pool", WorkerPolicy.pool({ entry }), WorkerPolicy.pool({ size: 3, entry })],
    ["thread", WorkerPolicy.thread({ entry }), WorkerPolicy.thread({ size: 3, entry })],
    ["process", WorkerPolicy.process({ entry }), WorkerPolicy.process({ max: 3, entry })]
  ] as const)("is what memory carries: %s", ([, policy, sized]) =>
    Effect.gen(function* () {
      const most = (policy: Policy.Policy) => under(policy, ({ options }) => Effect.sync(() => options().max))
      // Room for one, and not for two.
      const limit = process.memoryUsage.rss() + 120 * 2 ** 20
      const memory = vi.spyOn(process, "constrainedMemory").mockReturnValue(limit)
      const [carried, said] = yield* Effect.ensuring(
        Effect.all([most(policy), most(sized)]),
        Effect.sync(() => memory.mockRestore())
      )
      assert.deepStrictEqual([carried, said], [1, 3])
    })
  )
})

describe("the deadline of a request in a worker", () => {
  it.effect.each([
    ["pool", WorkerPolicy.pool({ size: 1, deadline: "30 seconds", entry }), 30_000],
    ["thread", WorkerPolicy.thread({ size: 1, deadline: "30 days", entry }), 30 * 86_400_000],
    ["process", WorkerPolicy.process({ max: 1, spares: 0, deadline: 5_000, entry }), 5_000]
  ] as const)("kills that worker when it is over, and not before: %s", ([, policy, millis]) =>
    under(policy, (started) =>
      Effect.gen(function* () {
        yield* asked(started, "a")
        const [worker] = started.workers as [ScriptedWorker]
        worker.claim("a")
        yield* TestClock.adjust(millis - 1)
        yield* turn
        assert.isFalse(worker.isKilled)
        yield* TestClock.adjust(1)
        yield* until(() => worker.hasEnded)
        assert.isTrue(worker.isKilled)
        const { counts } = yield* Lines
        assert.strictEqual((yield* counts).WorkerCrashed, 1)
      })
    )
  )
})

describe("the grace period of a worker", () => {
  it.effect.each([
    ["1 second by default", WorkerPolicy.pool({ size: 1, entry }), 1_000],
    ["as it is set", WorkerPolicy.pool({ size: 1, gracePeriod: "5 seconds", entry }), 5_000]
  ] as const)("is what it has to let go of a request that was cancelled: %s", ([, policy, millis]) =>
    under(policy, (started) =>
      Effect.gen(function* () {
        const peer = yield* asked(started, "a")
        const [worker] = started.workers as [ScriptedWorker]
        worker.claim("a")
        yield* peer.reset
        yield* until(() => worker.cancelled.length > 0)
        yield* TestClock.adjust(millis - 1)
        yield* turn
        assert.isFalse(worker.isKilled)
        yield* TestClock.adjust(1)
        yield* until(() => worker.hasEnded)
        assert.isTrue(worker.isKilled)
      })
    )
  )
})

describe("the place timeout of a server", () => {
  it.effect("holds for a worker that keeps a reply which nobody reads, also when it is changed", () =>
    under(
      WorkerPolicy.pool({ size: 1, entry }),
      (started) =>
        Effect.gen(function* () {
          const { connections, control } = yield* Lines
          const [worker] = started.workers as [ScriptedWorker]
          const link = Network.link({ window: 1_000 })
          const ids = Effect.map(connections, (all) => all.map(({ id }) => id))
          const heldFor = (text: string, millis: number) =>
            Effect.gen(function* () {
              const before = (yield* ids).length
              const unread = yield* asked(started, text, link)
              yield* unread.stopReading
              worker.stream(text, 20)
              yield* turn
              // What has come by now is with its connection; this is more than its channel takes.
              worker.streamMore(text, 20)
              yield* turn
              // Somebody else wants it.
              const other = yield* Network.connect(Lines)
              yield* other.write("other\n")
              yield* turn
              yield* TestClock.adjust(millis - 1)
              yield* turn
              assert.strictEqual((yield* ids).length, before + 2)
              yield* TestClock.adjust(1)
              yield* turn
              assert.strictEqual((yield* ids).length, before + 1)
              yield* until(() => worker.cancelled.length > 0)
              worker.answer(text)
              yield* until(() => worker.given.length > 0)
              worker.answer("other")
            })
          yield* heldFor("a", 3_000)
          yield* control.change({ placeTimeout: "1 second" })
          yield* heldFor("b", 1_000)
        }),
      { placeTimeout: "3 seconds" }
    )
  )
})
