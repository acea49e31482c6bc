import { assert, it } from "@effect/vitest"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Refusal from "@socketserver/core/Refusal"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type * as Transport from "@socketserver/core/Transport"
import * as Session from "@socketserver/core/Session"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  deserted,
  echo,
  encode,
  ledger,
  Lines,
  on,
  readAll,
  received,
  served,
  type Subject,
  tester,
  until
} from "./harness.ts"

/** What happens at the limits of a transport. */
export const limits = (subject: Subject): void => {
  const test = tester(subject)

  const refusesOneMore = (options: Transport.ServerOptions, kind: Refusal.Kind) =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(Lines.client, scope)
      assert.strictEqual(yield* first.send("first"), "first")
      const failure = yield* Effect.flip(
        Effect.scoped(Effect.flatMap(Lines.rawClient, (connection) => connection.take))
      )
      // Only where a handshake comes first is it the connecting that fails.
      if (failure._tag === "ConnectFailed") assert.strictEqual(failure.kind, "Handshake")
      const refused = (yield* Queue.takeN(events, 2))[1]
      assert.strictEqual(refused?.outcome._tag === "Refused" && refused.outcome.kind, kind)
      assert.strictEqual(refused?.request, undefined)
      assert.strictEqual(yield* first.send("still there"), "still there")
      yield* Scope.close(scope, Exit.void)
      yield* deserted(server)
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("next"))), "next")
      assert.strictEqual((yield* server.counts).Refused, 1)
      assert.strictEqual((yield* server.refusals)[kind], 1)
    }).pipe(on(served(subject, Lines, echo, options)))

  test("refuses one connection more than allowed, and accepts again when one has left", () =>
    refusesOneMore({ maxConnections: 1 }, "MaxConnections"))

  test("refuses a peer one connection more than it may have, and accepts again when one has left", () =>
    refusesOneMore({ maxConnectionsPerPeer: 1 }, "MaxConnectionsPerPeer"))

  test("lets a peer have one connection more when another of it has ended, where it may wait for that", () => {
    let waits = false
    const listening = Logger.make<unknown, void>(({ message }) => {
      if (String(message).includes("held back")) waits = true
    })
    const options = { maxConnectionsPerPeer: 1, maxPeerWait: "10 seconds" } as const
    const waiting = Layer.provideMerge(Lines.serve(echo), subject.layer(Lines, options))
    return Effect.gen(function* () {
      const server = yield* Lines
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(Lines.client, scope)
      assert.strictEqual(yield* first.send("first"), "first")
      const second = yield* Effect.forkScoped(
        Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("second")))
      )
      yield* until(Effect.sync(() => waits))
      assert.strictEqual(yield* first.send("still there"), "still there")
      assert.isUndefined(second.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(second), "second")
      assert.strictEqual((yield* server.counts).Refused, 0)
    }).pipe(on(Layer.provide(waiting, Logger.layer([listening]))))
  })

  // Where time counts it passes when the test says so, over sockets as well: nothing here depends on who is quick.
  const timed = it.effect

  timed("closes a connection that is silent for too long", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("hello"), "hello")
      const end = yield* Effect.forkScoped(Effect.flip(client.take))
      yield* passing(hasEnded(end))
      assert.strictEqual((yield* Fiber.join(end))._tag, "Done")
      yield* client.close
      yield* deserted(server)
      assert.strictEqual((yield* server.counts).Completed, 1)
    }).pipe(on(served(subject, Lines, echo, { idleTimeout: "40 millis" })))
  )

  timed("does not take a connection for silent while its request is in work", () => {
    const gate = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      const silent = yield* Lines.rawClient
      const answer = yield* Effect.forkScoped(client.send("slow"))
      yield* received(server, 1)
      const end = yield* Effect.forkScoped(Effect.flip(silent.take))
      yield* passing(hasEnded(end))
      // When the silent one is closed, the other would have been as well.
      assert.strictEqual((yield* Fiber.join(end))._tag, "Done")
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(answer), "slow")
    }).pipe(
      on(served(subject, Lines, (request) => Effect.andThen(gate.await, echo(request)), { idleTimeout: "40 millis" }))
    )
  })

  /** The first deadline that has ended a connection. */
  const late = (events: Queue.Dequeue<Outcome.Event>) =>
    Effect.gen(function* () {
      for (;;) {
        const { outcome, request } = yield* Queue.take(events)
        if (request === undefined && outcome._tag === "TimedOut") return outcome.deadline
      }
    })

  timed("closes who does not end a frame that it has begun", () =>
    Effect.gen(function* () {
      const server = yield* Short
      const events = yield* ledger(server)
      const client = yield* Short.rawClient
      yield* client.write(encode("hello\nhal"))
      const answers = yield* Effect.forkScoped(readAll(client))
      yield* passing(hasEnded(answers))
      assert.strictEqual(yield* late(events), "frame")
      assert.strictEqual(yield* Fiber.join(answers), "hello\n")
      yield* client.close
      yield* deserted(server)
    }).pipe(on(served(subject, Short, echo, { frameTimeout: "40 millis" })))
  )

  timed("resets who reads nothing", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const client = yield* Lines.rawClient
      yield* client.write(encode("hello\n"))
      yield* received(server, 1)
      const reset = yield* Effect.forkScoped(late(events))
      yield* passing(hasEnded(reset))
      assert.strictEqual(yield* Fiber.join(reset), "write")
      yield* deserted(server)
      assert.strictEqual((yield* server.timeouts).write, 1)
    }).pipe(
      on(
        served(subject, Lines, () => Effect.succeed(Response.stream(Stream.forever(Stream.make("x".repeat(10_000))))), {
          writeTimeout: "100 millis"
        })
      )
    )
  )

  timed("refuses who is not logged in, in time", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(Effect.exit(client.send("hello")))
      yield* received(server, 1)
      yield* passing(hasEnded(answer))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(answer)))
      assert.strictEqual((yield* server.counts).Refused, 1)
    }).pipe(
      on(
        served(
          subject,
          Lines,
          Session.make(() => Effect.never),
          { loginTimeout: "40 millis" }
        )
      )
    )
  )
}

/** Lets time pass, a little in each turn of the event loop, until something is so. */
const passing = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  until(Effect.andThen(TestClock.adjust("5 millis"), condition))

const hasEnded = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.sync(() => fiber.pollUnsafe() !== undefined)

/** A server whose frames are so short that they have next to no time. */
class Short extends Server.Service<Short>()("Short", { protocol: Protocol.lines({ maxFrameBytes: 64 }) }) {}
