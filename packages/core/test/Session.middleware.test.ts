/** What is done when a peer connects, through whatever is wrapped around the handler. */
import { assert, describe, it } from "@effect/vitest"
import { Middleware, Response, Session } from "@socketserver/core"
import * as Effect from "effect/Effect"
import { counts, type LineHandler, peer, rest, serving, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** Numbers the requests of each connection, and greets with how many connections there were. */
const numbering = () => {
  let setups = 0
  return Session.make<string, string>((connection) =>
    Effect.gen(function* () {
      let requests = 0
      yield* Effect.orDie(connection.push(`hello ${++setups}`))
      return (request) => Effect.sync(() => Response.make(`${++requests} ${request.body}`))
    })
  )
}

/** A user's own middleware, which knows nothing of sessions. */
const plain = (self: LineHandler): LineHandler => {
  return (request) => self(request)
}

describe("A session whose handlers a middleware wraps that knows nothing of sessions", () => {
  it.effect("sets up once, with the first request", () =>
    serving(
      Session.mapHandler(numbering(), plain),
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
      Session.mapHandler(
        Session.make<string, string>(() => Effect.die(new Error("bug"))),
        plain
      ),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "x")
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
      })
    )
  )
})

describe("A middleware of the library", () => {
  type Lined = Session.Session<string, string>
  for (const [name, wrap] of [
    ["timeout", (self: Lined): Lined => Middleware.timeout(self, "1 second")],
    ["filter", (self: Lined): Lined => Middleware.filter(self, () => Effect.succeed(true))],
    ["logging", (self: Lined): Lined => Middleware.logging(self)]
  ] as const) {
    it.effect(`takes a session, and keeps its greeting: ${name}`, () => {
      const greeting = Session.make<string, string>((connection) =>
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
