/** A server in a worker, seen from its host. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { turns } from "./support/scripted.ts"
import { Lines } from "./support/serving.ts"

afterAll(() => void Reflect.deleteProperty(globalThis, Symbol.for("@socketserver/core/Remote/host")))

describe("the end of a server in a worker", () => {
  it.effect.each(["asked", "failed"] as const)("says why: it was %s", (why) =>
    Effect.gen(function* () {
      const bug = yield* Deferred.make<void>()
      const taking = yield* Deferred.make<Remote.Taker>()
      const host: Remote.Host = {
        service: Lines.key,
        address: "memory:lines",
        worker: { kind: "thread", id: 1, requests: 0 },
        policy: { ...Policy.fiber(), drain: () => Effect.andThen(Deferred.await(bug), Effect.die("bug")) },
        open: (taker) => Deferred.doneUnsafe(taking, Effect.succeed(taker))
      }
      Remote.setHost(() => Promise.resolve(host))
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(Effect.exit(Lines.run(() => Effect.succeed(Response.empty))))
        const taker = yield* Deferred.await(taking)
        const stopping = yield* Effect.forkScoped(taker.stopping)
        yield* turns
        assert.isUndefined(stopping.pollUnsafe())
        if (why === "failed") yield* Deferred.succeed(bug, undefined)
        else yield* Effect.forkScoped((yield* Lines).shutdown)
        assert.strictEqual(yield* Fiber.join(stopping), why)
      }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
    })
  )
})
