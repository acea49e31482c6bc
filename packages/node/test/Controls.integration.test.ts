/** Control messages that reach handlers in workers. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import type * as Policy from "@socketserver/core/Policy"
import { NodeClient, NodeServer, WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Told, told } from "./support/controlled.ts"
import { entryOf } from "./support/bundles.ts"

const entry = entryOf("controlled.ts")

const served = (policy: Policy.Policy | undefined) =>
  Layer.provideMerge(Told.serve(told, { policy }), MemoryServer.layer(Told, { maxPipelined: 2 }))

describe.each([
  { name: "fiber", policy: undefined },
  { name: "thread", policy: WorkerPolicy.thread({ size: 1, entry }) },
  { name: "pool", policy: WorkerPolicy.pool({ size: 1, entry }) }
])("control messages, under $name", ({ policy }) => {
  it.live("reach the request that they concern, in order, and end with the peer's input", () =>
    Effect.gen(function* () {
      const client = yield* Told.client
      const say = (...lines: ReadonlyArray<string>) => Effect.forEach(lines, client.write, { discard: true })
      const said: Array<string> = []
      const until = (...lines: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          while (!lines.every((line) => said.includes(line))) said.push(yield* client.take)
        })
      yield* say("ask 1", "tell 1 a", "tell 1 b")
      yield* until("1 was told: tell 1 b")
      assert.deepStrictEqual(said, ["1 was told: tell 1 a", "1 was told: tell 1 b"])
      // The pipeline is full, and a worker has one place: what concerns those that wait, waits with them.
      yield* say("ask 2", "ask 3 once", "tell 3 early", "tell 2 early", "ping", "tell 9 x")
      yield* until("pong", "nobody tell 9 x")
      yield* say("tell 1 enough")
      yield* until("1 was told: tell 1 enough", "1 ends", "2 was told: tell 2 early")
      yield* say("tell 2 more")
      yield* until("2 was told: tell 2 more")
      yield* client.end
      yield* until("2 ends", "3 was told: tell 3 early")
      assert.strictEqual(said.length, 10)
    }).pipe(Effect.scoped, Effect.provide(served(policy)))
  )

  it.live("flood nobody, where the handler takes none", () =>
    Effect.gen(function* () {
      const client = yield* Told.client
      yield* client.write("ask 1")
      yield* client.write("tell 1 first")
      assert.strictEqual(yield* client.take, "1 was told: tell 1 first")
      yield* client.write("ask 2 once")
      for (let i = 0; i < 500; i++) yield* client.write(`tell 2 ${i}`)
      yield* client.write("tell 1 enough")
      const last: Array<string> = []
      while (!last.some((line) => line.startsWith("2 was told")) || !last.includes("1 ends"))
        last.push(yield* client.take)
      assert.strictEqual(last.filter((line) => !line.startsWith("nobody")).length, 3)
    }).pipe(Effect.scoped, Effect.provide(served(policy)))
  )
})

describe.each([
  { name: "thread", policy: WorkerPolicy.thread({ size: 1, entry }) },
  { name: "pool", policy: WorkerPolicy.pool({ size: 1, entry }) }
])("a handler that waits for its peer, under $name", ({ policy }) => {
  it.live("keeps its worker for six place timeouts at most, if others wait for it", () =>
    Effect.gen(function* () {
      const [client, other] = yield* Effect.all([Told.client, Told.client])
      const waiting = yield* Effect.forkChild(Effect.exit(client.send("ask 1 wait")), { startImmediately: true })
      // It is there before the other.
      yield* client.write("ping")
      assert.strictEqual(yield* client.take, "pong")
      assert.strictEqual(
        yield* other
          .send("ask 2 wait")
          .pipe(
            Effect.raceFirst(Effect.andThen(Fiber.join(waiting), Effect.andThen(other.write("tell 2 x"), Effect.never)))
          ),
        "2 has waited"
      )
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(Told.serve(told, { policy }), MemoryServer.layer(Told, { placeTimeout: "50 millis" }))
      )
    )
  )
})

describe("control messages over TCP", () => {
  it.live("reach a worker that is another process", () =>
    Effect.gen(function* () {
      const { address } = yield* Told
      const client = yield* NodeClient.connect(Told, address)
      yield* Effect.forEach(["ask 1", "tell 1 a", "ping", "tell 1 enough"], client.write)
      const lines: Array<string> = []
      while (lines.length < 4) lines.push(yield* client.take)
      assert.sameMembers(lines, ["pong", "1 was told: tell 1 a", "1 was told: tell 1 enough", "1 ends"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Told.serve(told, { policy: WorkerPolicy.pool({ size: 1, entry }) }),
          NodeServer.layer(Told, "tcp://127.0.0.1:0")
        )
      )
    )
  )
})
