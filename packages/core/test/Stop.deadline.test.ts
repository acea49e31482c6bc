import { assert, describe, it } from "@effect/vitest"
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
