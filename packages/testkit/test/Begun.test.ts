import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Policy, Protocol, Response, Server } from "@socketserver/core"
import { Waiting } from "@socketserver/testkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

class Slow extends Server.Service<Slow>()("Slow", { protocol: Protocol.lines() }) {}

const served = (policy: Policy.Policy, seen: Array<string>) =>
  Layer.provideMerge(
    Slow.serve(
      ({ body }) =>
        Effect.gen(function* () {
          seen.push(body)
          yield* Effect.sleep("1 minute")
          return Response.make(body)
        }),
      { policy }
    ),
    MemoryServer.layer(Slow)
  )

describe("a test waits", () => {
  it.effect("until a handler has begun, and until nothing is in work", () => {
    const seen: Array<string> = []
    return Effect.gen(function* () {
      const client = yield* Slow.client
      yield* Waiting.idle(Slow)
      yield* client.write("one")
      yield* client.write("two")
      yield* Waiting.begun(Slow)
      assert.deepStrictEqual(seen, ["one"])
      yield* TestClock.adjust("1 minute")
      yield* Waiting.begun(Slow, 2)
      assert.deepStrictEqual(seen, ["one", "two"])
      const server = yield* Slow
      assert.strictEqual((yield* server.counts).Completed, 1)
      yield* TestClock.adjust("1 minute")
      yield* Waiting.idle(Slow)
      assert.strictEqual((yield* server.counts).Completed, 2)
    }).pipe(Effect.scoped, Effect.provide(served(Policy.sequential, seen)))
  })

  it.effect("for as many handlers as begin side by side", () => {
    const seen: Array<string> = []
    return Effect.gen(function* () {
      const clients = yield* Effect.all([Slow.client, Slow.client, Slow.client])
      for (const [i, client] of clients.entries()) yield* client.write(`${i}`)
      yield* Waiting.begun(Slow, 3)
      assert.sameMembers(seen, ["0", "1", "2"])
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.scoped, Effect.provide(served(Policy.fiber(), seen)))
  })
})
