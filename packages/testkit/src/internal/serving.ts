import { assert } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Handler from "@socketserver/core/Handler"
import * as Middleware from "@socketserver/core/Middleware"
import type * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  Bytes,
  deserted,
  echo,
  encode,
  ledger,
  Lines,
  on,
  readAll,
  reasonOf,
  served,
  type Subject,
  tester
} from "./harness.ts"

/** Serving under one policy: the ancestor's test matrix, cell by cell. */
export const serving = (subject: Subject, policy: Policy.Policy): void => {
  const test = tester(subject)
  const echoing = served(subject, Lines, echo, { policy })

  test("gives three clients in turn their lines back, at the address it reports", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const address = String(server.address)
      assert.strictEqual(String(Result.getOrThrow(Endpoint.parse(address))), address)
      assert.notMatch(address, /:0$/)
      for (const name of ["one", "two", "three"]) {
        const lines = [`${name} hello`, `${name} world`, `${name} ß€😀`]
        const answers = yield* Effect.scoped(
          Effect.flatMap(Lines.client, (client) => Effect.forEach(lines, (line) => client.send(line)))
        )
        assert.deepStrictEqual(answers, lines)
      }
      assert.strictEqual((yield* server.counts).Completed, 9)
    }).pipe(on(echoing)))

  test("ends its loop and closes its listener when it is stopped", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const loop = yield* Effect.forkScoped(Lines.run(echo, { policy }))
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("hi"))), "hi")
      yield* server.shutdown
      assert.strictEqual(yield* reasonOf(loop), "ServerClosed")
      const refused = yield* Effect.flip(Effect.scoped(Lines.client))
      assert.strictEqual(refused._tag, "ConnectFailed")
      assert.strictEqual(refused.kind, "Refused")
    }).pipe(on(subject.layer(Lines))))

  test("closes its listener when its scope is left", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(echoing, scope)
      const connect = Effect.provideContext(Lines.client, context)
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(connect, (client) => client.send("hi"))), "hi")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(Effect.scoped(connect))).kind, "Refused")
    }))

  test("ends twenty times when it is stopped right after its start", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        yield* Effect.scoped(Layer.build(echoing))
        const loop = yield* Effect.forkChild(Effect.provide(Lines.run(echo, { policy }), subject.layer(Lines)))
        yield* Fiber.interrupt(loop)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(loop)))
      }
    }))

  test("closes without error when it never ran", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Layer.build(subject.layer(Lines)))
      const report = yield* Effect.flatMap(Lines, (server) => server.shutdown).pipe(on(subject.layer(Lines)))
      assert.strictEqual(report.completed + report.interrupted, 0)
    }))

  test("can be started again after it was stopped", () =>
    Effect.gen(function* () {
      for (const line of ["first life", "second life"]) {
        const answer = Effect.flatMap(Lines.client, (client) => client.send(line)).pipe(on(echoing))
        assert.strictEqual(yield* answer, line)
      }
    }))

  const hooked: Array<string> = []
  const failing: Handler.Handler<string, string> = Handler.onFailure(
    (request) => (request.body === "bad" ? Effect.die("the handler is broken") : echo(request)),
    (cause, request) =>
      Effect.sync(() => {
        const die = cause.reasons.find((reason) => reason._tag === "Die")
        hooked.push(`${request.body} from ${request.peer.name}: ${String(die?.defect)}`)
      })
  )
  test("reports a failure to the hook, closes that connection, and goes on serving", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const client = yield* Lines.client
      assert.strictEqual((yield* Effect.flip(client.send("bad"))).reason._tag, "Closed")
      const { outcome, request } = yield* Queue.take(events)
      assert.strictEqual(outcome._tag, "Failed")
      assert.deepStrictEqual(hooked, [`bad from ${request?.peer.name}: the handler is broken`])
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("good"))), "good")
    }).pipe(on(served(subject, Lines, failing, { policy }))))

  test("runs finish when handle died, and not when setup did", () => {
    const steps: Array<string> = []
    const handler = Handler.lifecycle<string, string, string>({
      setup: ({ body }) =>
        Effect.suspend(() => {
          steps.push(`setup ${body}`)
          return body === "no setup" ? Effect.die("no setup") : Effect.succeed(body)
        }),
      handle: (_, state) => {
        steps.push(`handle ${state}`)
        return state === "no handle" ? Effect.die("no handle") : Effect.succeed(Response.make(state))
      },
      finish: (_, state, exit) => Effect.sync(() => void steps.push(`finish ${state} ${exit._tag}`))
    })
    return Effect.gen(function* () {
      for (const line of ["fine", "no setup", "no handle"]) {
        yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => Effect.exit(client.send(line))))
      }
      assert.deepStrictEqual(steps, [
        "setup fine",
        "handle fine",
        "finish fine Success",
        "setup no setup",
        "setup no handle",
        "handle no handle",
        "finish no handle Failure"
      ])
      const { Completed, Failed } = yield* Effect.flatMap(Lines, (server) => server.counts)
      assert.deepStrictEqual({ Completed, Failed }, { Completed: 1, Failed: 2 })
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("shuts a refused request down once", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const intruder = yield* Lines.client
      assert.strictEqual((yield* Effect.flip(intruder.send("intruder"))).reason._tag, "Closed")
      yield* Effect.andThen(intruder.close, deserted(server))
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("guest"))), "guest")
      const outcomes = yield* Queue.takeN(events, 2)
      assert.deepStrictEqual(
        outcomes.map(({ outcome }) => outcome._tag),
        ["Refused", "Completed"]
      )
    }).pipe(
      on(
        served(
          subject,
          Lines,
          Middleware.filter(echo, ({ body }) => Effect.succeed(body !== "intruder")),
          { policy }
        )
      )
    ))

  test("sends what a handler has written before the handler ends", () => {
    const latch = Latch.makeUnsafe()
    const handler: Handler.Handler<string, string> = ({ connection }) =>
      Effect.andThen(Effect.ignore(connection.push("first")), Effect.as(latch.await, Response.make("second")))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("go"), "first")
      yield* latch.open
      assert.strictEqual(yield* client.take, "second")
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("brings a huge response whole to a peer that reads late and slowly", () => {
    const size = 4 * 1_048_576
    const huge = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 0xff)
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Bytes)
      const connection = yield* Bytes.rawClient
      yield* connection.write(encode("go"))
      yield* Queue.take(events)
      const got = new Uint8Array(size)
      for (let at = 0; at < size; yield* Effect.yieldNow) {
        const chunk = yield* connection.take
        got.set(chunk, at)
        at += chunk.length
      }
      assert.strictEqual(
        got.findIndex((byte, i) => byte !== huge[i]),
        -1
      )
    }).pipe(on(served(subject, Bytes, () => Effect.succeed(Response.make(huge)), { policy })))
  })

  test("answers what was asked before a half-close", () =>
    Effect.gen(function* () {
      const connection = yield* Lines.rawClient
      yield* connection.write(encode("one\ntwo\nthree"))
      yield* connection.end
      assert.strictEqual(yield* readAll(connection), "one\ntwo\nthree\n")
    }).pipe(on(served(subject, Lines, (request) => Effect.andThen(Effect.yieldNow, echo(request)), { policy }))))

  test("keeps nothing of what has ended", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const lines = Array.from({ length: 500 }, (_, i) => `line ${i}`)
      const client = yield* Lines.client
      const answers = Stream.runCollect(Stream.take(client.exchange(Stream.fromIterable(lines)), lines.length))
      assert.deepStrictEqual(yield* answers, lines)
      for (let i = 0; i < 20; i++) yield* Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("short")))
      yield* Effect.andThen(client.close, deserted(server))
      assert.strictEqual((yield* server.counts).Completed, 520)
    }).pipe(on(echoing)))
}
