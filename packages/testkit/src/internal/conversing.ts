import { assert } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import type * as Handler from "@socketserver/core/Handler"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { deserted, ledger, on, received, served, type Subject, Talk, tester } from "./harness.ts"

type Speaker = (connection: Connection.Connection<string, string>) => Effect.Effect<void, unknown>

/** Protocols whose request is the whole connection. */
export const conversing = (subject: Subject): void => {
  const test = tester(subject)
  const speaking = (speaker: Speaker) => {
    const handler: Handler.Handler<Connection.Connection<string, string>, never> = ({ body }) =>
      Effect.as(Effect.orDie(speaker(body)), Response.empty)
    return served(subject, Talk, handler)
  }

  test("greets first, converses, and may still write after the peer's half-close", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      assert.strictEqual(yield* client.take, "hello")
      assert.strictEqual(yield* client.send("one"), "1: one")
      assert.strictEqual(yield* client.send("two"), "2: two")
      yield* client.end
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["2 lines", "bye"])
      yield* deserted(server)
      assert.strictEqual((yield* server.counts).Completed, 1)
    }).pipe(
      on(
        speaking((connection) =>
          Effect.gen(function* () {
            yield* connection.write("hello")
            let count = 0
            yield* Stream.runForEach(connection.stream, (line) => connection.write(`${++count}: ${line}`))
            yield* connection.write(`${count} lines`)
            yield* connection.write("bye")
          })
        )
      )
    ))

  test("closes when the handler ends, though the peer would say more", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      assert.strictEqual(yield* client.send("anything"), "one line is enough")
      assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      yield* client.close
      yield* deserted(server)
    }).pipe(on(speaking((connection) => Effect.andThen(connection.take, connection.write("one line is enough"))))))

  test("takes line by line what arrived at once", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      for (const line of ["a", "b", "c", "d"]) yield* client.write(line)
      yield* client.end
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["a then b", "rest c,d"])
    }).pipe(
      on(
        speaking((connection) =>
          Effect.gen(function* () {
            yield* connection.write(`${yield* connection.take} then ${yield* connection.take}`)
            yield* connection.write(`rest ${(yield* Stream.runCollect(connection.stream)).join(",")}`)
          })
        )
      )
    ))

  test("interrupts the handler of a peer that is gone", () => {
    const interrupted = Deferred.makeUnsafe<void>()
    const left = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const server = yield* Talk
      const events = yield* ledger(server)
      yield* Effect.scoped(Effect.flatMap(Talk.client, (client) => client.take))
      yield* left.open
      yield* Deferred.await(interrupted)
      assert.deepStrictEqual((yield* Queue.take(events)).outcome, { _tag: "Cancelled", reason: "PeerGone" })
      yield* deserted(server)
    }).pipe(
      on(
        speaking((connection) =>
          connection.write("hello").pipe(
            Effect.andThen(left.await),
            Effect.andThen(Effect.ignore(Effect.forever(Effect.andThen(Effect.yieldNow, connection.write("there?"))))),
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
      )
    )
  })

  test("fails with the handler, and closes after what was written", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["oops"])
      assert.strictEqual((yield* server.counts).Failed, 1)
    }).pipe(on(speaking((connection) => Effect.andThen(connection.write("oops"), Effect.die("broken"))))))

  test("ends the reading of a conversation when the server stops, so that it can say goodbye", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      assert.strictEqual(yield* client.send("hello"), "hello")
      yield* received(server, 1)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      assert.deepStrictEqual(yield* Stream.runCollect(client.stream), ["goodbye"])
      yield* client.close
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted], [1, 0])
    }).pipe(
      on(
        speaking((connection) =>
          Effect.andThen(
            Stream.runForEach(connection.stream, (line) => connection.write(line)),
            connection.write("goodbye")
          )
        )
      )
    ))
}
