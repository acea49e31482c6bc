import { assert } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  deserted,
  echo,
  encode,
  Lines,
  on,
  readAll,
  received,
  served,
  steady,
  type Subject,
  tester
} from "./harness.ts"

/** Back-pressure: who is slow slows down its own connection, and no other. */
export const pressure = (subject: Subject): void => {
  const test = tester(subject)
  const line = "x".repeat(1_023)
  // More than a kernel buffers for one connection on loopback.
  const lines = 32_768

  const roundTrip = Effect.scoped(
    Effect.flatMap(Lines.client, (client) =>
      Effect.map(client.send("ping"), (answer) => assert.strictEqual(answer, "ping"))
    )
  )

  /** What the server has read of its first connection. */
  const bytesRead = Effect.flatMap(Lines, (server) =>
    Effect.map(server.connections, (connections) => connections.find(({ id }) => id === 1)?.bytesRead ?? 0)
  )

  test.each([
    {
      who: "a handler that does not end",
      handler: (gate: Latch.Latch) => Effect.as(gate.await, Response.make("done"))
    },
    { who: "a peer that does not read", handler: (_: Latch.Latch) => Effect.succeed(Response.make(line)) },
    {
      who: "a stream that the peer does not read",
      handler: () => Effect.succeed(Response.stream(Stream.forever(Stream.make(line))))
    }
  ])("stops reading because of $who, on that connection only", ({ handler }) => {
    const gate = Latch.makeUnsafe()
    const both: Handler.Handler<string, string> = (request) => (request.body === "ping" ? echo(request) : handler(gate))
    return Effect.gen(function* () {
      const server = yield* Lines
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* Lines.rawClient
          const flood = encode(`${line}\n`.repeat(64))
          const writing = yield* Effect.forkScoped(
            Effect.forEach(Array.from({ length: lines / 64 }), () => connection.write(flood), { discard: true })
          )
          const read = yield* steady(bytesRead, roundTrip)
          assert.isAbove(read, 0)
          assert.isBelow(read, (lines * 1_024) / 2)
          assert.strictEqual(writing.pollUnsafe(), undefined)
          // Otherwise it would wait a second for what it has written to leave.
          yield* connection.reset
        })
      )
      yield* gate.open
      yield* deserted(server)
    }).pipe(on(served(subject, Lines, both)))
  })

  test("goes on where it stopped when a slow peer reads again", () =>
    Effect.gen(function* () {
      const connection = yield* Lines.rawClient
      const count = 8_192
      const writing = yield* Effect.forkScoped(
        Effect.andThen(
          Effect.forEach(Array.from({ length: count / 64 }), () => connection.write(encode(`${line}\n`.repeat(64))), {
            discard: true
          }),
          connection.end
        )
      )
      yield* steady(bytesRead, roundTrip)
      assert.strictEqual((yield* readAll(connection)).length, count * 1_024)
      yield* Fiber.join(writing)
    }).pipe(on(served(subject, Lines, echo))))

  test("does not let a stream run ahead of its peer", () => {
    let produced = 0
    const endless = Stream.forever(Stream.fromEffect(Effect.sync(() => (produced++, line))))
    const handler: Handler.Handler<string, string> = (request) =>
      request.body === "ping" ? echo(request) : Effect.succeed(Response.stream(endless))
    return Effect.gen(function* () {
      const server = yield* Lines
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(Lines.client, scope)
      yield* client.write("go")
      const ahead = yield* steady(
        Effect.sync(() => produced),
        roundTrip
      )
      assert.isAbove(ahead, 0)
      yield* Stream.runDrain(Stream.take(client.stream, ahead + 1))
      assert.isAbove(produced, ahead)
      yield* Scope.close(scope, Exit.void)
      yield* deserted(server)
      assert.strictEqual((yield* server.counts).Cancelled, 1)
    }).pipe(on(served(subject, Lines, handler)))
  })

  test("has no more requests of a connection in work than may be pipelined", () => {
    const gate = Latch.makeUnsafe()
    let begun = 0
    const handler: Handler.Handler<string, string> = (request) => {
      if (request.body === "ping") return echo(request)
      begun++
      return Effect.andThen(gate.await, echo(request))
    }
    return Effect.gen(function* () {
      const server = yield* Lines
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"))
      yield* connection.end
      yield* received(server, 3)
      yield* steady(
        Effect.sync(() => begun),
        roundTrip
      )
      assert.strictEqual(begun, 3)
      yield* gate.open
      assert.strictEqual(yield* readAll(connection), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")
    }).pipe(on(served(subject, Lines, handler, { maxPipelined: 3 })))
  })
}
