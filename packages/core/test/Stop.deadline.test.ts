import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { listener, Scripted, turns } from "./support/scripted.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** `w…` takes a minute, `s` never ends, everything else is echoed. */
const handler = ({ body }: Request.Request<string>) =>
  body === "s"
    ? Effect.succeed(Response.stream(Stream.map(Stream.range(1, 1e9), () => "x".repeat(10_000))))
    : body.startsWith("w")
      ? Effect.delay(Effect.succeed(Response.make(body)), "1 minute")
      : Effect.succeed(Response.make(body))

const on = <A>(
  policy: Policy.Policy,
  body: (accept: (wire: Scripted) => Scripted, begun: Array<string>) => Effect.Effect<A, unknown, Lines>
) => {
  const { accept, listen } = listener()
  const begun: Array<string> = []
  const served = Lines.serve(
    (request) => {
      begun.push(request.body)
      return handler(request)
    },
    { policy }
  )
  const layer = Layer.provideMerge(served, Transport.layer(Lines, { drainTimeout: "2 seconds" }, listen))
  const connect = (wire: Scripted) => {
    accept(wire)
    return wire
  }
  return Effect.provide(body(connect, begun), layer)
}

const sum = (counts: Outcome.Counts) => Object.values(counts).reduce((all, count) => all + count, 0)

describe("the deadline of a stop", () => {
  it.effect("answers nothing of a connection after a request that it has dropped", () =>
    on(Policy.sequential, (accept) =>
      Effect.gen(function* () {
        const deaf = new Scripted()
        deaf.accepts = false
        accept(deaf)
        const reads = accept(new Scripted())
        deaf.data("s\n")
        yield* turns
        reads.data("w1\ne2\ne3\n")
        yield* turns
        const stop = yield* Effect.forkChild((yield* Lines).shutdown, { startImmediately: true })
        yield* TestClock.adjust("2 seconds")
        const { completed, interrupted } = yield* Fiber.join(stop)
        assert.deepStrictEqual({ completed, interrupted }, { completed: 0, interrupted: 4 })
        assert.deepStrictEqual(reads.asked(), ["destroy"])
      })
    )
  )

  it.effect("begins nothing of the requests that it drops", () =>
    on(Policy.sequential, (accept, begun) =>
      Effect.gen(function* () {
        const wire = accept(new Scripted())
        wire.data("w1\nw2\ne3\n")
        yield* turns
        const stop = yield* Effect.forkChild((yield* Lines).shutdown, { startImmediately: true })
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(stop)).interrupted, 3)
        assert.deepStrictEqual(begun, ["w1"])
      })
    )
  )
})

describe("a peer that leaves", () => {
  it.effect.each([Policy.sequential, Policy.fiber()])(
    "is in the report of a stop with all its requests: $name",
    (policy) =>
      on(policy, (accept) =>
        Effect.gen(function* () {
          const server = yield* Lines
          const wire = accept(new Scripted())
          wire.data("w1\ne2\ne3\n")
          yield* turns
          const stop = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
          yield* turns
          wire.gone(new Error("reset"))
          const report = yield* Fiber.join(stop)
          assert.strictEqual(report.counts.Cancelled, 3)
          assert.strictEqual(sum(report.counts), sum(yield* server.counts))
        })
      )
  )

  it.effect("begins none of its requests when the handler of one ends by that", () =>
    on(Policy.sequential, (accept, begun) =>
      Effect.gen(function* () {
        const wire = accept(new Scripted())
        wire.data("w1\nw2\ne3\n")
        yield* turns
        wire.gone(new Error("reset"))
        yield* turns
        assert.deepStrictEqual(begun, ["w1"])
      })
    )
  )
})

/** Whole connections whose handlers take 30 ms of the CPU to end, and how often the event loop has turned in between. */
const burning = (
  drainTimeout: "50 millis" | "1 second",
  ends: (guest: Connection.Connection<string, string>) => Effect.Effect<void, Connection.ConnectionError>
) =>
  Effect.gen(function* () {
    const { accept, listen } = listener()
    const begins: Array<number> = []
    let turned = 0
    const burn = Effect.sync(() => {
      begins.push(turned)
      for (const end = performance.now() + 30; performance.now() < end;) continue
    })
    const served = Talk.serve(
      Handler.dialogue((guest) =>
        Effect.scoped(
          Effect.andThen(
            Effect.addFinalizer(() => burn),
            ends(guest)
          )
        )
      )
    )
    const layer = Layer.provideMerge(served, Transport.layer(Talk, { drainTimeout }, listen))
    const report = yield* Effect.gen(function* () {
      for (let i = 0; i < 8; i++) accept(new Scripted())
      yield* turns
      const turn = () => {
        turned++
        immediate = setImmediate(turn)
      }
      let immediate = setImmediate(turn)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearImmediate(immediate)))
      return yield* (yield* Talk).shutdown
    }).pipe(Effect.scoped, Effect.provide(layer))
    return { turned: new Set(begins).size > 2, ended: begins.length, interrupted: report.interrupted }
  })

describe("a stop of many whose handlers have much left to do", () => {
  it.live("lets the event loop turn while it tells them", () =>
    Effect.gen(function* () {
      const seen = yield* burning("1 second", (guest) => Stream.runDrain(guest.stream))
      assert.deepStrictEqual(seen, { turned: true, ended: 8, interrupted: 0 })
    })
  )

  it.live("lets the event loop turn while it cuts them off", () =>
    Effect.gen(function* () {
      const seen = yield* burning("50 millis", () => Effect.never)
      assert.deepStrictEqual(seen, { turned: true, ended: 8, interrupted: 8 })
    })
  )
})
