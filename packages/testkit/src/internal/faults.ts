import { assert } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import {
  echo,
  encode,
  Json,
  ledger,
  Lines,
  on,
  readAll,
  received,
  served,
  Short,
  type Subject,
  tester
} from "./harness.ts"

/** Handlers and peers that break the rules: their connection ends, after the replies that were before. */
export const faults = (subject: Subject): void => {
  const test = tester(subject)

  const broken: ReadonlyArray<{
    readonly what: string
    readonly handler: Handler.Handler<string, string>
    readonly text: string
  }> = [
    { what: "dies", handler: () => Effect.die("broken"), text: "" },
    { what: "dies later", handler: () => Effect.andThen(Effect.yieldNow, Effect.die("broken")), text: "" },
    {
      what: "throws",
      handler: () => {
        throw new Error("broken")
      },
      text: ""
    },
    { what: "interrupts itself", handler: () => Effect.interrupt, text: "" },
    { what: "answers what cannot be encoded", handler: () => Effect.succeed(Response.make("two\nlines")), text: "" },
    {
      what: "answers with a stream that dies",
      handler: () => Effect.succeed(Response.stream(Stream.concat(Stream.make("start"), Stream.die("broken")))),
      text: "start\n"
    },
    {
      what: "answers with a stream that cannot be encoded",
      handler: () => Effect.succeed(Response.stream(Stream.make("start", "two\nlines"))),
      text: "start\n"
    }
  ]

  test.each(broken)(
    "fails a request whose handler $what, and closes after the replies before it",
    ({ handler, text }) => {
      const gate = Latch.makeUnsafe()
      const both: Handler.Handler<string, string> = (request) =>
        request.body === "broken" ? handler(request) : Effect.andThen(gate.await, echo(request))
      return Effect.gen(function* () {
        const server = yield* Lines
        const events = yield* ledger(server)
        const connection = yield* Lines.rawClient
        yield* connection.write(encode("before\nbroken\nafter\n"))
        yield* received(server, 3)
        yield* Effect.yieldNow
        yield* gate.open
        assert.strictEqual(yield* readAll(connection), `before\n${text}`)
        assert.deepStrictEqual(
          (yield* Queue.takeN(events, 3)).map(({ outcome, request }) => [request?.body, outcome._tag]),
          [
            ["before", "Completed"],
            ["broken", "Failed"],
            ["after", "Cancelled"]
          ]
        )
        assert.strictEqual(
          yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("other"))),
          "other"
        )
      }).pipe(on(served(subject, Lines, both)))
    }
  )

  test("answers what came before a frame that is too large, counts it, and closes", () => {
    const gate = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const server = yield* Short
      const events = yield* ledger(server)
      const connection = yield* Short.rawClient
      yield* connection.write(encode(`fine\n${"x".repeat(17)}`))
      yield* received(server, 1)
      assert.strictEqual((yield* server.counts).FrameTooLarge, 0)
      yield* gate.open
      assert.strictEqual(yield* readAll(connection), "fine\n")
      const [fine, large] = yield* Queue.takeN(events, 2)
      assert.strictEqual(fine?.outcome._tag, "Completed")
      assert.deepStrictEqual(large?.outcome, { _tag: "FrameTooLarge", limitBytes: 16, offset: 5 })
      assert.strictEqual(large.request, undefined)
      assert.strictEqual((yield* server.counts).FrameTooLarge, 1)
    }).pipe(on(served(subject, Short, (request) => Effect.andThen(gate.await, echo(request)))))
  })

  test("answers what came before malformed input, counts it with its place, and closes", () => {
    const handler: Handler.Handler<unknown, unknown> = ({ body }) =>
      Effect.andThen(Effect.yieldNow, Effect.succeed(Response.make(body)))
    return Effect.gen(function* () {
      const server = yield* Json
      const events = yield* ledger(server)
      const connection = yield* Json.rawClient
      yield* connection.write(encode('{"a":1}\n[2]\n{broken}\n{"never":"seen"}\n'))
      assert.strictEqual(yield* readAll(connection), '{"a":1}\n[2]\n')
      const outcomes = (yield* Queue.takeN(events, 3)).map(({ outcome }) => outcome)
      assert.deepStrictEqual(outcomes.slice(0, 2), [{ _tag: "Completed" }, { _tag: "Completed" }])
      assert.include(outcomes[2], { _tag: "Malformed", offset: 12 })
      assert.strictEqual((yield* server.counts).Malformed, 1)
    }).pipe(on(served(subject, Json, handler)))
  })

  test("counts malformed input of a peer that leaves before it is answered", () =>
    Effect.gen(function* () {
      const server = yield* Json
      const events = yield* ledger(server)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* Json.rawClient
          yield* connection.write(encode("1\n{broken}\n"))
          yield* received(server, 1)
        })
      )
      const outcomes = (yield* Queue.takeN(events, 2)).map(({ outcome }) => outcome._tag)
      assert.deepStrictEqual(outcomes.toSorted(), ["Cancelled", "Malformed"])
    }).pipe(
      on(
        served(subject, Json, ({ connection }) =>
          // Only who writes learns that a TCP peer has left.
          Effect.andThen(
            Effect.ignore(Effect.forever(Effect.andThen(Effect.yieldNow, connection.push("?")))),
            Effect.never
          )
        )
      )
    ))
}
