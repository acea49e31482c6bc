import { assert } from "@effect/vitest"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Bytes, echo, encode, Lines, on, pass, quiet, readAll, received, type Subject, tester } from "./harness.ts"

/** Taking requests without a policy. */
export const direct = (subject: Subject): void => {
  const test = tester(subject)
  const listening = Layer.provide(subject.layer(Lines), quiet)

  test("takes as many requests as are asked for, and loses none of the others", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("1\n2\n3\n4\n5\n"))
      yield* connection.end
      yield* received(server, 5)
      const seen: Array<string> = []
      for (const count of [2, 1, 2]) {
        yield* Stream.runForEach(Stream.take(server.requests, count), (request) => {
          seen.push(request.body)
          return request.respond(Response.make(`${count}: ${request.body}`))
        })
      }
      assert.deepStrictEqual(seen, ["1", "2", "3", "4", "5"])
      assert.strictEqual(yield* readAll(connection), "2: 1\n2: 2\n1: 3\n2: 4\n2: 5\n")
    }).pipe(on(listening)))

  test("serves two servers from one merged stream", () =>
    Effect.gen(function* () {
      const lines = (yield* Lines).requests.pipe(
        Stream.map((request) => request.respond(Response.make(`line ${request.body}`)))
      )
      const chunks = (yield* Bytes).requests.pipe(
        Stream.map((request) => request.respond(Response.make(encode(`${request.body.length} bytes`))))
      )
      yield* Effect.forkScoped(Stream.runForEach(Stream.merge(lines, chunks), (answer) => answer))
      const client = yield* Lines.client
      const raw = yield* Bytes.rawClient
      for (const text of ["one", "three"]) {
        assert.strictEqual(yield* client.send(text), `line ${text}`)
        yield* raw.write(encode(text))
        assert.deepStrictEqual(yield* raw.take, encode(`${text.length} bytes`))
      }
    }).pipe(on(Layer.merge(listening, subject.layer(Bytes)))))

  test("handles one request, and none if none comes in time", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkScoped(Lines.handleRequest(echo, { timeout: "20 millis" }), {
        startImmediately: true
      })
      yield* pass(subject, "20 millis")
      assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(client.send("hello"))
      const outcome = yield* Lines.handleRequest(echo, { timeout: "1 minute" })
      assert.deepStrictEqual(outcome, Option.some({ _tag: "Completed" }))
      assert.strictEqual(yield* Fiber.join(answer), "hello")
      yield* Effect.andThen(client.write("one"), client.write("two"))
      assert.strictEqual(Option.getOrThrow(yield* Lines.handleRequest(echo))._tag, "Completed")
      yield* Effect.flatMap(Lines, (server) => received(server, 1))
      assert.strictEqual(Option.getOrThrow(yield* Lines.handleRequest(echo))._tag, "Completed")
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["one", "two"])
    }).pipe(on(listening)))

  test("has the outcome of a request that failed in handleRequest, and goes on", () =>
    Effect.gen(function* () {
      const broken = yield* Lines.client
      yield* broken.write("hello")
      const outcome = Option.getOrThrow(yield* Lines.handleRequest(() => Effect.die("broken")))
      assert.strictEqual(outcome._tag, "Failed")
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(client.send("hello"))
      yield* Lines.handleRequest(echo)
      assert.strictEqual(yield* Fiber.join(answer), "hello")
    }).pipe(on(listening)))

  test("gives a request one outcome, that of its first answer", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("a\nb\n"))
      yield* connection.end
      const [a, b] = yield* Stream.runCollect(Stream.take(server.requests, 2))
      // Answered out of order, so that the first answer waits for its turn while the others come.
      const answers = yield* Effect.forkScoped(
        Effect.all(
          [
            b!.respond(Response.make("first")),
            b!.handle(() => Effect.die("broken")),
            b!.respond(Response.make("third")),
            b!.outcome
          ],
          {
            concurrency: "unbounded"
          }
        ),
        { startImmediately: true }
      )
      yield* a!.handle(echo)
      const outcomes = (yield* Fiber.join(answers)).map(({ _tag }) => _tag)
      assert.deepStrictEqual(outcomes, ["Completed", "Completed", "Completed", "Completed"])
      assert.strictEqual(yield* readAll(connection), "a\nfirst\n")
      const counts = yield* server.counts
      assert.deepStrictEqual([counts.Completed, counts.Failed], [2, 0])
    }).pipe(on(listening)))

  test("does not let what nobody takes hold up a stop", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("1\n2\n3\n4\n5\n"))
      yield* received(server, 2)
      const report = yield* server.shutdown
      assert.strictEqual(report.completed, 0)
      assert.strictEqual(report.interrupted, report.counts.Drained)
      assert.isAtLeast(report.interrupted, 2)
      assert.deepStrictEqual(yield* server.connections, [])
    }).pipe(on(subject.layer(Lines, { maxPipelined: 2, drainTimeout: "40 millis" }))))
}
