import { assert } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { encode, ledger, Lines, on, readAll, received, served, type Subject, tester } from "./harness.ts"

/** What a peer gets for its requests, and in which order. */
export const ordering = (subject: Subject): void => {
  const test = tester(subject)

  test("answers in the order of the requests though the handlers end in reverse", () => {
    const answers = Array.from({ length: 5 }, () => Deferred.makeUnsafe<string>())
    const handler: Handler.Handler<string, string> = ({ body }) =>
      Effect.map(Deferred.await(answers[Number(body)]!), Response.make)
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("0\n1\n2\n3\n4\n"))
      yield* connection.end
      yield* Effect.flatMap(Lines, (server) => received(server, 5))
      for (let i = 4; i >= 0; i--) {
        assert.strictEqual(yield* Queue.size(events), 0)
        yield* Deferred.succeed(answers[i]!, `answer ${i}`)
        yield* Effect.yieldNow
      }
      assert.strictEqual(yield* readAll(connection), "answer 0\nanswer 1\nanswer 2\nanswer 3\nanswer 4\n")
      const settled = (yield* Queue.takeN(events, 5)).map(({ request }) => request?.body)
      assert.deepStrictEqual(settled, ["0", "1", "2", "3", "4"])
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("sends a stream in its turn, with what is pushed in between", () => {
    const more = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = ({ body, connection }) =>
      body === "stream"
        ? Effect.succeed(
            Response.stream(
              Stream.concat(
                Stream.make("one", "two"),
                Stream.concat(Stream.fromEffectDrain(more.await), Stream.make("three"))
              )
            )
          )
        : Effect.as(Effect.ignore(connection.push(`pushed by ${body}`)), Response.make(`answer to ${body}`))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("stream"), "one")
      assert.strictEqual(yield* client.take, "two")
      assert.strictEqual(yield* client.send("next"), "pushed by next")
      yield* more.open
      assert.strictEqual(yield* client.take, "three")
      assert.strictEqual(yield* client.take, "answer to next")
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("starts a stream only when the replies before it have left", () => {
    const first = Latch.makeUnsafe()
    const steps: Array<string> = []
    const handler: Handler.Handler<string, string> = ({ body }) => {
      if (body === "first") return Effect.as(first.await, Response.make("first"))
      return Effect.succeed(
        Response.stream(Stream.fromEffect(Effect.sync(() => (steps.push(`${body} starts`), `${body} streamed`))))
      )
    }
    return Effect.gen(function* () {
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("first\nsecond\nthird\n"))
      yield* connection.end
      yield* Effect.flatMap(Lines, (server) => received(server, 3))
      yield* Effect.yieldNow
      assert.deepStrictEqual(steps, [])
      yield* first.open
      assert.strictEqual(yield* readAll(connection), "first\nsecond streamed\nthird streamed\n")
      assert.deepStrictEqual(steps, ["second starts", "third starts"])
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("sends nothing for an empty response, and goes on", () => {
    const handler: Handler.Handler<string, string> = ({ body }) =>
      Effect.succeed(body === "quiet" ? Response.empty : Response.make(body))
    return Effect.gen(function* () {
      const server = yield* Lines
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("quiet\nloud\nquiet\n"))
      yield* connection.end
      assert.strictEqual(yield* readAll(connection), "loud\n")
      assert.strictEqual((yield* server.counts).Completed, 3)
    }).pipe(on(served(subject, Lines, handler)))
  })

  test.each([
    { what: "a reply", response: Response.make("bye"), text: "bye\n" },
    { what: "nothing", response: Response.empty, text: "" },
    { what: "a stream", response: Response.stream(Stream.make("good", "bye")), text: "good\nbye\n" }
  ])("closes after $what where the response says so, and cancels what was asked later", ({ response, text }) => {
    const handler: Handler.Handler<string, string> = ({ body }) =>
      body === "later"
        ? Effect.never
        : Effect.succeed(body === "quit" ? Response.andClose(response) : Response.make(body))
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("hi\nquit\nlater\n"))
      assert.strictEqual(yield* readAll(connection), `hi\n${text}`)
      assert.deepStrictEqual(
        (yield* Queue.takeN(events, 3)).map(({ outcome, request }) => [request?.body, outcome]),
        [
          ["hi", { _tag: "Completed" }],
          ["quit", { _tag: "Completed" }],
          ["later", { _tag: "Cancelled", reason: "ConnectionClosed" }]
        ]
      )
    }).pipe(on(served(subject, Lines, handler)))
  })
}
