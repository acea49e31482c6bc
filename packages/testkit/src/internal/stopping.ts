import { assert } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import type * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import {
  Bytes,
  deserted,
  echo,
  encode,
  Lines,
  on,
  pass,
  reasonOf,
  received,
  served,
  type Subject,
  tester,
  until
} from "./harness.ts"

/** Stopping under one policy. */
export const stopping = (subject: Subject, policy: Policy.Policy): void => {
  const test = tester(subject)

  /** A handler that says when it begins, and answers when it may. */
  const gated = () => {
    const gate = Latch.makeUnsafe()
    const begun = Deferred.makeUnsafe<void>()
    const handler: Handler.Handler<string, string> = (request) =>
      Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(gate.await, Response.make(request.body)))
    return { gate, begun: Deferred.await(begun), handler }
  }

  test("loses none of a hundred requests that were received", () => {
    const { gate, handler } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const lines = Array.from({ length: 10 }, (_, i) => `line ${i}`)
      const asking = Effect.gen(function* () {
        const client = yield* Lines.client
        for (const line of lines) yield* client.write(line)
        const answers = yield* Stream.runCollect(client.stream)
        yield* client.close
        return answers
      }).pipe(Effect.scoped)
      const clients = yield* Effect.forkScoped(
        Effect.all(
          Array.from({ length: 10 }, () => asking),
          { concurrency: 10 }
        )
      )
      yield* received(server, 100)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* gate.open
      for (const answers of yield* Fiber.join(clients)) assert.deepStrictEqual(answers, lines)
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted, report.counts.Completed], [100, 0, 100])
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("does not serve who connects while it stops, and answers who was there", () => {
    const { begun, gate, handler } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(client.send("early"))
      yield* begun
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      // Who connects at once may be taken for one who was in the listener's queue.
      yield* until(Effect.map(Effect.exit(Effect.scoped(Lines.client)), Exit.isFailure))
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(answer), "early")
      yield* client.close
      const { completed, counts } = yield* Fiber.join(stop)
      assert.deepStrictEqual([completed, counts.Completed], [1, 1])
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("closes idle connections at once", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const silent = yield* Lines.rawClient
      const busy = yield* Lines.client
      yield* busy.send("hello")
      yield* until(Effect.map(server.connections, (connections) => connections.length === 2))
      const report = yield* server.shutdown
      assert.deepStrictEqual([report.completed, report.interrupted, report.counts.Completed], [0, 0, 1])
      assert.deepStrictEqual(yield* server.connections, [])
      yield* Effect.flip(silent.take)
      yield* Effect.flip(busy.take)
    }).pipe(on(served(subject, Lines, echo, { policy }))))

  test("interrupts at the deadline what never ends, and closes its connection", () => {
    const interrupted = Deferred.makeUnsafe<void>()
    const begun = Deferred.makeUnsafe<void>()
    const handler: Handler.Handler<string, string> = () =>
      Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      yield* Effect.andThen(client.write("one"), client.write("two"))
      yield* received(server, 2)
      yield* Deferred.await(begun)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* pass(subject, "40 millis")
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted, report.counts.Drained], [0, 2, 2])
      yield* Deferred.await(interrupted)
      yield* Effect.flip(client.take)
      assert.deepStrictEqual(yield* server.connections, [])
    }).pipe(on(served(subject, Lines, handler, { policy, drainTimeout: "40 millis" })))
  })

  test("ends its loop at the deadline though a handler cannot be interrupted", () => {
    const { begun, gate, handler } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const loop = yield* Effect.forkScoped(
        Lines.run((request) => Effect.uninterruptible(handler(request)), { policy })
      )
      const client = yield* Lines.client
      yield* client.write("one")
      yield* begun
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* pass(subject, "40 millis")
      assert.strictEqual((yield* Fiber.join(stop)).interrupted, 1)
      assert.strictEqual(yield* reasonOf(loop), "ServerClosed")
    }).pipe(Effect.ensuring(gate.open), on(subject.layer(Lines, { drainTimeout: "40 millis" })))
  })

  test("ends by the deadline though a peer never reads", () =>
    Effect.gen(function* () {
      const server = yield* Bytes
      const connection = yield* Bytes.rawClient
      yield* connection.write(encode("go"))
      yield* until(Effect.map(server.counts, ({ Completed }) => Completed === 1))
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* pass(subject, "40 millis")
      yield* Fiber.join(stop)
      assert.deepStrictEqual(yield* server.connections, [])
    }).pipe(
      on(
        served(subject, Bytes, () => Effect.succeed(Response.make(new Uint8Array(8 * 1_048_576))), {
          policy,
          drainTimeout: "40 millis"
        })
      )
    ))

  test("can be stopped from inside a handler, which is still answered", () => {
    const handler: Handler.Handler<string, string, Lines> = () =>
      Effect.gen(function* () {
        const server = yield* Lines
        yield* server.shutdown
        return Response.make("stopping")
      })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("stop"), "stopping")
      yield* Effect.flip(client.take)
      yield* client.close
      assert.strictEqual((yield* Effect.flip(Effect.scoped(Lines.client)))._tag, "ConnectFailed")
      yield* Effect.flatMap(Lines, deserted)
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })
}
