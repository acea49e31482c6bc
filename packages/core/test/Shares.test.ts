import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

class Count extends Server.Service<Count>()("Count", { protocol: Protocol.lines() }) {}

let placed = 0

const elsewhere = (worker: string, name: string): Policy.Policy => ({
  ...Policy.fiber(),
  worker,
  name,
  place: (served) => Effect.sync(() => (placed++, served))
})

const ask = (options: Server.ServeOptions<string, string>) =>
  Effect.flatMap(Count.client, (client) => client.send("one")).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(
        Count.serve(({ body }) => Effect.succeed(Response.make(body)), options),
        MemoryServer.layer(Count)
      )
    )
  )

const problem = (options: Server.ServeOptions<string, string>) =>
  Effect.map(Effect.flip(ask(options)), ({ message }) => message)

describe("a server whose handlers share what is in memory", () => {
  it.effect("starts under a policy of this process", () =>
    Effect.gen(function* () {
      for (const policy of [undefined, Policy.sequential, Policy.connection(), elsewhere("mine", "mine")]) {
        assert.strictEqual(yield* ask({ shares: "counts", policy }), "one")
      }
    })
  )

  it.effect("does not start under one of workers, of which none is started", () =>
    Effect.gen(function* () {
      placed = 0
      for (const [kind, name] of [
        ["thread", "thread:2"],
        ["process", "pool:2"],
        ["process", "process"]
      ] as const) {
        assert.strictEqual(
          yield* problem({ shares: "counts", policy: elsewhere(kind, name) }),
          `Cannot run handlers of Count under the policy "${name}": each worker would have counts of its own; take a policy without workers, as fiber`
        )
      }
      assert.strictEqual(placed, 0)
      assert.strictEqual(yield* ask({ policy: elsewhere("process", "pool:2") }), "one")
    })
  )

  it.effect("does not start in several copies", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => Remote.setCopies(2)),
      () =>
        Effect.gen(function* () {
          assert.strictEqual(
            yield* problem({ shares: "counts" }),
            'Cannot run handlers of Count under the policy "PREFORK=2": each copy would have counts of its own; leave PREFORK out'
          )
          assert.strictEqual(yield* ask({}), "one")
        }),
      () => Effect.sync(() => Remote.setCopies(1))
    )
  )
})
