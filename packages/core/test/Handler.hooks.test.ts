/** What is done when a peer connects, through whatever is wrapped around the handler. */
import { assert, describe, it } from "@effect/vitest"
import { Handler, Middleware, Response } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as TestClock from "effect/testing/TestClock"
import { counts, type LineHandler, peer, rest, serving, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** Numbers the requests of each connection, and greets with how many connections there were. */
const numbering = () => {
  let setups = 0
  return Handler.perConnection<string, string>((connection) =>
    Effect.gen(function* () {
      let requests = 0
      yield* Effect.orDie(connection.push(`hello ${++setups}`))
      return (request) => Effect.sync(() => Response.make(`${++requests} ${request.body}`))
    })
  )
}

/** A user's own middleware, which knows nothing of hooks. */
const plain = (self: LineHandler): LineHandler => {
  return (request) => self(request)
}

describe("Handler.perConnection inside a middleware that knows nothing of it", () => {
  it.effect("sets up once, with the first request", () =>
    serving(
      plain(numbering()),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "x", "y")
        assert.deepStrictEqual([yield* client.take, yield* client.take, yield* client.take], ["hello 1", "1 x", "2 y"])
        assert.strictEqual(yield* client.send("z"), "3 z")
      })
    )
  )

  it.effect("fails the request if the setup dies, and closes the connection", () =>
    serving(
      plain(Handler.perConnection<string, string>(() => Effect.die(new Error("bug")))),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "x")
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
      })
    )
  )

  it.effect("outlives the first request, whose end does not interrupt the setup", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const handler = Middleware.timeout(
        plain(Handler.perConnection<string, string>(() => Effect.as(gate.await, echo))),
        "1 second",
        { onTimeout: () => Response.make("late") }
      )
      yield* serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "a")
          yield* settled
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* client.take, "late")
          yield* gate.open
          assert.strictEqual(yield* client.send("b"), "b")
        })
      )
    })
  )
})

describe("A combinator", () => {
  for (const [name, wrap] of [
    ["recover", (self: LineHandler): LineHandler => Handler.recover(self, () => Response.make(""))],
    ["mapRequest", (self: LineHandler): LineHandler => Handler.mapRequest(self, (line: string) => line)],
    ["mapResponse", (self: LineHandler): LineHandler => Handler.mapResponse(self, (line: string) => line)],
    ["onFailure", (self: LineHandler): LineHandler => Handler.onFailure(self, () => Effect.void)],
    ["timeout", (self: LineHandler): LineHandler => Middleware.timeout(self, "1 second")],
    ["verify", (self: LineHandler): LineHandler => Middleware.verify(self, () => Effect.succeed(true))],
    ["logging", (self: LineHandler): LineHandler => Middleware.logging(self)]
  ] as const) {
    it.effect(`keeps the greeting of perConnection before the first request: ${name}`, () => {
      const greeting = Handler.perConnection<string, string>((connection) =>
        Effect.as(Effect.orDie(connection.push("hello")), echo)
      )
      return serving(
        wrap(greeting),
        Effect.gen(function* () {
          const client = yield* peer
          assert.strictEqual(yield* client.take, "hello")
          assert.strictEqual(yield* client.send("a"), "a")
        })
      )
    })
  }
})
