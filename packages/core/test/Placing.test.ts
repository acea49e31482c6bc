/** Policies that take their time to be placed, as those of workers do. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import { turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** A server that starts, with a request that has come meanwhile. */
const starting = Effect.gen(function* () {
  const ready = yield* Deferred.make<void, string>()
  const policy: Policy.Policy = {
    ...Policy.fiber(),
    name: "late",
    place: (served) =>
      Deferred.await(ready).pipe(
        Effect.mapError((problem) => new Policy.PolicyError({ policy: "late", problem })),
        Effect.as(served)
      )
  }
  const served = Lines.serve(({ body }) => Effect.succeed(Response.make(body)), { policy })
  const program = yield* Effect.forkChild(
    Effect.scoped(Effect.andThen(Layer.build(Layer.merge(served, Lines.announce)), Effect.never)),
    { startImmediately: true }
  )
  const client = yield* Lines.client
  const asked = yield* Effect.forkChild(client.send("hello"), { startImmediately: true })
  yield* turns
  return { ready, program, asked }
})

const on = Effect.provide([MemoryServer.layer(Lines, { name: "late" }), Logger.layer([])])

describe("a server whose policy is not placed yet", () => {
  it.effect("announces nothing, and answers what has come once it is", () =>
    Effect.gen(function* () {
      const { asked, ready } = yield* starting
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
      yield* Deferred.succeed(ready, undefined)
      assert.strictEqual(yield* Fiber.join(asked), "hello")
      assert.deepStrictEqual(yield* TestConsole.logLines, ["listening on memory:late"])
    }).pipe(Effect.scoped, on)
  )

  it.effect("announces nothing where it cannot be", () =>
    Effect.gen(function* () {
      const { program, ready } = yield* starting
      yield* Deferred.fail(ready, "it has no file")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(program)))
      yield* turns
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }).pipe(Effect.scoped, on)
  )

  it.effect("answers what it has received when it is stopped, as soon as it is", () =>
    Effect.gen(function* () {
      const { asked, program, ready } = yield* starting
      const stopped = yield* Effect.forkChild(Fiber.interrupt(program), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(stopped.pollUnsafe())
      yield* Deferred.succeed(ready, undefined)
      assert.strictEqual(yield* Fiber.join(asked), "hello")
      yield* Fiber.join(stopped)
      assert.strictEqual((yield* (yield* Lines).counts).Completed, 1)
    }).pipe(Effect.scoped, on)
  )

  it.effect("answers what it has received when its own shutdown is called", () =>
    Effect.gen(function* () {
      const { asked, ready } = yield* starting
      const server = yield* Lines
      const report = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      yield* turns
      yield* Deferred.succeed(ready, undefined)
      assert.strictEqual(yield* Fiber.join(asked), "hello")
      assert.strictEqual((yield* Fiber.join(report)).counts.Completed, 1)
    }).pipe(Effect.scoped, on)
  )

  it.effect("ends within the drain timeout when it never is", () =>
    Effect.gen(function* () {
      const { asked, program } = yield* starting
      const stopped = yield* Effect.forkChild(Fiber.interrupt(program), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(stopped)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(asked)))
      assert.strictEqual((yield* (yield* Lines).counts).Drained, 1)
    }).pipe(Effect.scoped, on)
  )
})

describe("a server whose handler has room for one request", () => {
  it.effect("lets the next ones wait on their connections, and refuses none", () =>
    Effect.gen(function* () {
      const begun: Array<string> = []
      const ends = new Map<string, Deferred.Deferred<void>>()
      let wake = (): void => {}
      const room: Policy.Room = {
        isFull: () => begun.length > 0 && ends.size > 0,
        free: Effect.callback((resume) => void (wake = () => resume(Effect.void)))
      }
      const policy: Policy.Policy = {
        ...Policy.fiber(),
        name: "roomy",
        drain: Remote.drain,
        place: (served) => Effect.succeed({ ...served, room })
      }
      yield* Layer.build(
        Lines.serve(
          ({ body }) =>
            Effect.suspend(() => {
              const end = Deferred.makeUnsafe<void>()
              begun.push(body)
              ends.set(body, end)
              return Effect.as(Deferred.await(end), Response.make(body))
            }),
          { policy }
        )
      )
      const [one, two] = [yield* Lines.client, yield* Lines.client]
      const asked = yield* Effect.forEach(
        [
          [one, "a"],
          [one, "b"],
          [two, "c"]
        ] as const,
        ([client, line]) => Effect.forkChild(client.send(line), { startImmediately: true })
      )
      yield* turns
      for (const line of ["a", "b", "c"]) {
        assert.strictEqual(begun.at(-1), line)
        yield* Deferred.succeed(ends.get(line) as Deferred.Deferred<void>, undefined)
        ends.delete(line)
        wake()
        yield* turns
      }
      assert.deepStrictEqual(yield* Effect.forEach(asked, Fiber.join), ["a", "b", "c"])
      assert.strictEqual((yield* (yield* Lines).counts).Refused, 0)
    }).pipe(Effect.scoped, on)
  )
})
