/** Who comes in while the server stops. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

/** A server that greets every peer that it lets in. */
const greeting = (verify: Transport.Verify) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const layer = Layer.provideMerge(
      Talk.serve(({ body }) => Effect.as(Effect.ignore(body.write("welcome")), Response.empty)),
      Transport.layer(Talk, { verify }, listen)
    )
    const server = Context.get(yield* Layer.build(layer), Talk)
    const wire = new Scripted()
    yield* Effect.addFinalizer(() => Effect.sync(() => wire.gone()))
    return {
      server,
      wire,
      accept: Effect.andThen(
        Effect.sync(() => accept(wire)),
        turns
      )
    }
  })

describe("a peer whose verification", () => {
  it.effect("ends well is let in", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { accept, wire } = yield* greeting(() => Effect.as(latch.await, true))
      yield* accept
      assert.isFalse(wire.started)
      yield* Effect.andThen(latch.open, turns)
      assert.deepStrictEqual(wire.asked(), ["write welcome", "end"])
    }).pipe(Effect.scoped)
  )

  for (const said of [null, undefined, "yes", 1, {}, Promise.resolve(true)]) {
    for (const [how, verify] of [
      ["at once", () => said as never],
      ["in an effect", () => Effect.succeed(said as never)]
    ] as const) {
      it.effect(
        `says what is no answer is turned away, ${how}: ${said instanceof Promise ? "a promise" : JSON.stringify(said)}`,
        () =>
          Effect.gen(function* () {
            const { accept, server, wire } = yield* greeting(verify)
            yield* accept
            assert.deepStrictEqual(wire.asked(), ["destroy"])
            assert.isFalse(wire.started)
            assert.strictEqual((yield* server.refusals).Verify, 1)
            assert.strictEqual((yield* server.counts).Refused, 1)
            assert.notProperty(yield* server.counts, "undefined")
          }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
      )
    }
  }

  it.effect("stops the server is let in, if it ends well in time", () =>
    Effect.gen(function* () {
      let stop: Fiber.Fiber<unknown> | undefined
      const { accept, server, wire } = yield* greeting(() =>
        Effect.sync(() => {
          stop = Effect.runFork(server.shutdown)
          return true
        })
      )
      yield* accept
      assert.deepStrictEqual(wire.asked(), ["write welcome", "end"])
      wire.gone()
      yield* Fiber.join(stop!)
      assert.strictEqual((yield* server.counts).Completed, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("cannot be interrupted is not let in once the server has stopped", () =>
    Effect.gen(function* () {
      const latch = Latch.makeUnsafe()
      const { accept, server, wire } = yield* greeting(() => Effect.uninterruptible(Effect.as(latch.await, true)))
      yield* accept
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stop)
      assert.deepStrictEqual(wire.asked(), ["destroy"])
      yield* Effect.andThen(latch.open, turns)
      assert.isFalse(wire.started)
      assert.deepStrictEqual(wire.asked(), [])
    }).pipe(Effect.scoped)
  )
})
