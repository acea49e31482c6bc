import { assert } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { deserted, ledger, Lines, on, received, served, type Subject, tester } from "./harness.ts"

/** Peers that leave before they are answered, under one policy. */
export const leaving = (subject: Subject, policy: Policy.Policy): void => {
  const test = tester(subject)

  /**
   * A handler that writes to its peer until the connection is gone. Without
   * writing, TCP cannot tell a peer that left from one that half-closed.
   */
  const writing = (end: Effect.Effect<never>) => {
    const begun = Deferred.makeUnsafe<void>()
    const left = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = ({ connection }) =>
      Deferred.succeed(begun, undefined).pipe(
        Effect.andThen(left.await),
        Effect.andThen(
          Effect.ignore(Effect.forever(Effect.andThen(Effect.yieldNow, connection.push("are you there?"))))
        ),
        Effect.andThen(end)
      )
    return { handler, begun: Deferred.await(begun), left }
  }

  const connectAndAsk = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const client = yield* Scope.provide(Lines.client, scope)
    yield* Effect.andThen(client.write("one"), client.write("two"))
    return Scope.close(scope, Exit.void)
  })

  test("cancels the requests of a peer that is gone", () => {
    const interrupted = Deferred.makeUnsafe<void>()
    const { begun, handler, left } = writing(Effect.never)
    const cancelled: Handler.Handler<string, string> = (request) =>
      Effect.onInterrupt(handler(request), () => Deferred.succeed(interrupted, undefined))
    return Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const leave = yield* connectAndAsk
      yield* received(server, 2)
      yield* begun
      yield* leave
      yield* left.open
      for (const { outcome } of yield* Queue.takeN(events, 2)) {
        assert.deepStrictEqual(outcome, { _tag: "Cancelled", reason: "PeerGone" })
      }
      yield* Deferred.await(interrupted)
      yield* deserted(server)
    }).pipe(on(served(subject, Lines, cancelled, { policy })))
  })

  test("hears what a peer wrote before it left", () => {
    const heard = Deferred.makeUnsafe<string>()
    const handler: Handler.Handler<string, string> = ({ body }) =>
      Effect.as(Deferred.succeed(heard, body), Response.empty)
    return Effect.gen(function* () {
      const server = yield* Lines
      yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.write("last words")))
      assert.strictEqual(yield* Deferred.await(heard), "last words")
      yield* deserted(server)
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("lets the handlers of a peer that is gone finish where the policy says so", () => {
    const finished = Deferred.makeUnsafe<Exit.Exit<unknown>>()
    const resume = Latch.makeUnsafe()
    const { begun, handler, left } = writing(Effect.andThen(resume.await, Effect.die("nobody hears this")))
    const finishing: Handler.Handler<string, string> = (request) =>
      Effect.onExit(handler(request), (exit) => Deferred.succeed(finished, exit))
    return Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const leave = yield* connectAndAsk
      yield* received(server, 2)
      yield* begun
      yield* leave
      yield* left.open
      yield* resume.open
      const exit = yield* Deferred.await(finished)
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.every((reason) => reason._tag === "Die"))
      for (const { outcome } of yield* Queue.takeN(events, 2)) {
        assert.deepStrictEqual(outcome, { _tag: "Cancelled", reason: "PeerGone" })
      }
      yield* deserted(server)
    }).pipe(on(served(subject, Lines, finishing, { policy: Policy.finishing(policy) })))
  })
}
