/** A stop before anybody has served: what has come waits some turns for that, and not for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { asking } from "./support/asking.ts"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Paced extends Server.Service<Paced>()("Paced", { protocol: asking({ perSecond: 400 }) }) {}

/** A server that listens, and a peer that has sent something. */
const listening = (text: string) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const transport = Transport.layer(Paced, { drainTimeout: "3 seconds" }, listen)
    const context = yield* Layer.build(transport)
    const wire = new Scripted()
    accept(wire)
    wire.data(text)
    return { context, server: Context.get(context, Paced), wire }
  })

describe("a server that stops before anybody has served it", () => {
  it.effect.each([
    ["a request", "ask 1\n"],
    ["a request behind what is read a moment later", "ping a\n".repeat(40) + "ask 1\n"],
    ["one before that, and one behind", "ask 0\n" + "ping a\n".repeat(40) + "ask 1\n"]
  ])("gives up before its deadline: %s", ([, text]) =>
    Effect.gen(function* () {
      const { server, wire } = yield* listening(text)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      for (let millis = 0; millis < 1_500; millis += 10) {
        yield* turns
        yield* TestClock.adjust(10)
        if (wire.asked().includes("end")) {
          wire.finish()
          wire.half()
        }
      }
      const at = yield* Clock.currentTimeMillis
      const report = yield* Fiber.join(stop)
      assert.isBelow(report.millis, 1_500)
      assert.strictEqual(yield* Clock.currentTimeMillis, at)
      assert.strictEqual(report.counts.Drained, text.split("ask").length - 1)
    }).pipe(Effect.scoped)
  )

  it.effect("answers what has come where somebody serves it in the same moment", () =>
    Effect.gen(function* () {
      const { context, server, wire } = yield* listening("ask 1\n")
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      const serving = Paced.serve(() => Effect.succeed(Response.make("1 done")))
      yield* Layer.build(serving).pipe(Effect.provide(context))
      yield* turns
      assert.deepStrictEqual(wire.asked(), ["write 1 done", "end"])
      wire.finish()
      wire.half()
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted], [1, 0])
    }).pipe(Effect.scoped)
  )
})
