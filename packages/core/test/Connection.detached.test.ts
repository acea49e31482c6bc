import { assert, describe, it } from "@effect/vitest"
import { Response } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type LineHandler, peer, serving } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

// They are properties of the interface, so they may be passed on: `Stream.runForEach(lines, connection.write)`.
describe("The functions of a connection work on their own", () => {
  it.effect("write, send and exchange of a client", () =>
    serving(
      echo,
      Effect.gen(function* () {
        const { exchange, send, take, write } = yield* peer
        yield* Effect.forEach(["a", "b"], write)
        assert.deepStrictEqual([yield* take, yield* take], ["a", "b"])
        assert.deepStrictEqual(yield* Effect.forEach(["c", "d"], send), ["c", "d"])
        assert.deepStrictEqual(yield* Stream.runCollect(exchange(Stream.make("e"))), ["e"])
      })
    )
  )

  it.effect("push of a request's connection", () =>
    serving(
      ({ body, connection: { push } }) =>
        Effect.as(Effect.orDie(Effect.forEach([body, body], push, { discard: true })), Response.empty),
      Effect.gen(function* () {
        const client = yield* peer
        yield* client.write("a")
        assert.deepStrictEqual([yield* client.take, yield* client.take], ["a", "a"])
      })
    )
  )
})
