/** A stop takes in who waits in a listener's queue, and not for ever. */
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Stops a server to whose queue somebody comes in every turn; how many came until it was closed, and how often it was. */
const flooded = (meanwhile: Effect.Effect<unknown>) => {
  const seen = { arrivals: 0, closed: 0 }
  let sink: Transport.Sink | undefined
  const listen: Transport.Listen = (given) => {
    sink = given
    const close = () => void seen.closed++
    return Effect.succeed({
      address: Endpoint.memory("queue"),
      queues: true,
      close,
      connect: MemoryServer.wire("queue")
    })
  }
  const arrive = Effect.sync(() => {
    const wire = new Scripted()
    seen.arrivals++
    sink!.accept(wire)
    wire.gone()
  })
  const serving = Lines.serve((request) => Effect.succeed(Response.make(request.body)))
  return Effect.gen(function* () {
    const flood = yield* Effect.forkScoped(Effect.forever(Effect.andThen(arrive, Effect.yieldNow)))
    const server = yield* Lines
    const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
    assert.strictEqual(seen.closed, 0)
    yield* meanwhile
    yield* Fiber.join(stop)
    yield* Fiber.interrupt(flood)
    return seen
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(serving, Transport.layer(Lines, {}, listen))))
}

describe("a queue to which somebody comes in every turn", () => {
  it.effect("is closed after 512 turns", () =>
    Effect.map(flooded(Effect.void), ({ arrivals, closed }) => {
      assert.strictEqual(closed, 1)
      assert.isAtLeast(arrivals, 512)
      // The flood may run more than once in a turn of the server; without a bound it would run until the stop's deadline.
      assert.isBelow(arrivals, 4 * 512)
    })
  )

  it.effect("is closed after a second", () =>
    Effect.map(flooded(Effect.andThen(turns, TestClock.adjust("1 second"))), ({ arrivals, closed }) => {
      assert.strictEqual(closed, 1)
      assert.isBelow(arrivals, 512)
    })
  )
})
