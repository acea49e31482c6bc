/** Peers that do not read what they are sent, beside workers: they have nothing further begun, and take nothing from others. */
import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, type Policy } from "@socketserver/core"
import { WorkerPolicy } from "@socketserver/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { entryOf } from "./support/bundles.ts"
import { Suspect, suspect } from "./support/suspect.ts"

const entry = entryOf("suspect.ts")

const many = 100
const lines = Array.from({ length: many }, (_, i) => `large 60000 ${i}\n`).join("")

const utf8 = new TextEncoder()

const policies: Readonly<Record<string, Policy.Policy>> = {
  thread: WorkerPolicy.thread({ size: 2, entry }),
  pool: WorkerPolicy.pool({ size: 2, entry }),
  "pool of one": WorkerPolicy.pool({ size: 1, entry }),
  "a short queue": WorkerPolicy.pool({ size: 1, entry, queue: 16 })
}

const completed = Effect.map(
  Effect.flatMap(Suspect, (server) => server.counts),
  ({ Completed }) => Completed
)

/** Asks for much, and reads nothing. */
const unread = Effect.gen(function* () {
  const client = yield* Suspect.rawClient
  yield* client.write(utf8.encode(lines))
  // Something has been answered.
  yield* Effect.repeat(completed, { until: (count) => count > 0 })
  return client
})

/** Asks one after the other, and gets each answer. */
const others = (count: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* Suspect.client
      for (let i = 0; i < count; i++) assert.match(yield* client.send(`compute 0 ${i}`), / compute 0 \d+$/)
    })
  )

for (const [name, policy] of Object.entries(policies)) {
  const on = <A, E>(body: Effect.Effect<A, E, Suspect>) =>
    body.pipe(
      Effect.provide(
        Layer.provideMerge(
          Suspect.serve(suspect, { policy }),
          // In memory, since a system may take megabytes of what its peer does not read.
          MemoryServer.layer(Suspect, { maxBuffered: "128KiB", maxMemory: "4MiB", drainTimeout: "200 millis" })
        )
      ),
      Effect.provide(Logger.layer([]))
    )

  describe(`who does not read, under ${name}`, () => {
    it.live("has nothing further begun, keeps no place from others, and gets all in order once it reads", () =>
      Effect.gen(function* () {
        const peers = yield* Effect.forEach(Array.from({ length: 4 }), () => unread)
        yield* others(50)
        const before = yield* completed
        yield* others(50)
        assert.strictEqual((yield* completed) - before, 50)
        // What its link took, and what was at work.
        assert.isBelow(before - 50, peers.length * 24)
        for (const peer of peers) {
          let received = ""
          while (received.split("\n").length <= many) received += new TextDecoder().decode(yield* peer.take)
          const answers = received.split("\n").slice(0, many)
          assert.deepStrictEqual(
            answers.map((answer) => Number.parseInt(answer, 10)),
            answers.map((_, i) => i)
          )
        }
        assert.strictEqual(yield* completed, 100 + peers.length * many)
      }).pipe(Effect.scoped, on)
    )

    it.live("leaves nothing behind where it breaks off, or the server stops", () =>
      Effect.gen(function* () {
        const peers = yield* Effect.forEach(Array.from({ length: 4 }), () => unread)
        yield* others(10)
        for (const peer of peers.slice(1)) yield* peer.reset
        const server = yield* Suspect
        yield* Effect.repeat(server.connections, { until: (all) => all.length === 1 })
        yield* others(10)
        assert.isAbove((yield* server.connections)[0]!.inFlight, many / 2)
        const report = yield* server.shutdown
        assert.isAbove(report.interrupted, many / 2)
        const { Cancelled, Completed, ...rest } = report.counts
        assert.strictEqual(Completed + Cancelled + report.interrupted, 4 * many + 20, JSON.stringify(rest))
      }).pipe(Effect.scoped, on)
    )
  })
}
