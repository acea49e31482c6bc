import { assert } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as Handler from "@socketserver/core/Handler"
import * as Middleware from "@socketserver/core/Middleware"
import type * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { echo, ledger, Lines, on, pass, reasonOf, received, served, type Subject, tester, until } from "./harness.ts"

/** Serving datagrams under one policy: the ancestor's test matrix, cell by cell. */
export const datagramServing = (subject: Subject, policy: Policy.Policy): void => {
  const test = tester(subject)
  const echoing = served(subject, Lines, echo, { policy })
  const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))

  /** A handler that says when it begins, and answers when it may. */
  const gated = () => {
    const gate = Latch.makeUnsafe()
    const begun = Deferred.makeUnsafe<void>()
    const handler: Handler.Handler<string, string> = (request) =>
      Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(gate.await, Response.make(request.body)))
    return { gate, begun: Deferred.await(begun), handler }
  }

  test("gives three clients in turn their lines back, at the address it reports", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const address = String(server.address)
      assert.strictEqual(String(Result.getOrThrow(Endpoint.parse(address))), address)
      assert.notMatch(address, /:0$/)
      for (const name of ["one", "two", "three"]) {
        const lines = [`${name} hello`, `${name} world`, `${name} ß€😀`, ""]
        const answers = yield* Effect.scoped(
          Effect.flatMap(Lines.client, (client) => Effect.forEach(lines, (line) => client.send(line)))
        )
        assert.deepStrictEqual(answers, lines)
      }
      yield* until(Effect.map(server.counts, ({ Completed }) => Completed === 12))
    }).pipe(on(echoing)))

  test("answers each client, and nobody else", () =>
    Effect.gen(function* () {
      const clients = yield* Effect.forEach([1, 2, 3], () => Lines.client)
      yield* Effect.forEach(clients, (client, i) => client.write(`to ${i}`))
      const answers = yield* Effect.forEach(clients, (client) => client.take)
      assert.deepStrictEqual(answers, ["to 0", "to 1", "to 2"])
    }).pipe(on(echoing)))

  test("ends its loop when it is stopped, and takes nothing more", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const loop = yield* Effect.forkScoped(Lines.run(echo, { policy }))
      assert.strictEqual(yield* ask("hi"), "hi")
      const client = yield* Lines.client
      yield* server.shutdown
      assert.strictEqual(yield* reasonOf(loop), "ServerClosed")
      yield* Effect.exit(client.write("late"))
      // Who asks now hears that nobody is there, or from somebody else: what was sent before would have come.
      yield* Effect.exit(ask("later"))
      assert.strictEqual(
        Object.values(yield* server.counts).reduce((sum, count) => sum + count, 0),
        1
      )
    }).pipe(on(subject.layer(Lines))))

  test("ends twenty times when it is stopped right after its start", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        yield* Effect.scoped(Layer.build(echoing))
        const loop = yield* Effect.forkChild(Effect.provide(Lines.run(echo, { policy }), subject.layer(Lines)))
        yield* Fiber.interrupt(loop)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(loop)))
      }
    }))

  test("can be started again after it was stopped", () =>
    Effect.gen(function* () {
      for (const line of ["first life", "second life"]) assert.strictEqual(yield* ask(line).pipe(on(echoing)), line)
    }))

  test("closes when its scope is left", () => {
    const heard: Array<string> = []
    const handler: Handler.Handler<string, string> = (request) => {
      heard.push(request.body)
      return echo(request)
    }
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(served(subject, Lines, handler, { policy }), scope)
      assert.strictEqual(yield* Effect.provideContext(ask("hi"), context), "hi")
      yield* Scope.close(scope, Exit.void)
      // Who asks now hears that nobody is there, or from somebody else who has the address already.
      yield* Effect.exit(Effect.provideContext(ask("late"), context))
      assert.deepStrictEqual(heard, ["hi"])
    })
  })

  test("sends nothing for a handler that dies, and goes on", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const client = yield* Lines.client
      yield* client.write("bad")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Failed")
      // The first that comes back is the answer to the second.
      assert.strictEqual(yield* client.send("good"), "good")
    }).pipe(
      on(
        served(subject, Lines, (request) => (request.body === "bad" ? Effect.die("broken") : echo(request)), { policy })
      )
    ))

  test("runs finish when handle died, and not when setup did", () => {
    const steps: Array<string> = []
    const handler = Handler.lifecycle<string, string, string>({
      setup: ({ body }) => (body === "no setup" ? Effect.die("no setup") : Effect.succeed(body)),
      handle: (_, state) =>
        state === "no handle" ? Effect.die("no handle") : Effect.succeed(Response.make(`handled ${state}`)),
      finish: (_, state, exit) => Effect.sync(() => void steps.push(`finish ${state} ${exit._tag}`))
    })
    return Effect.gen(function* () {
      const events = yield* ledger(yield* Lines)
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("fine"), "handled fine")
      for (const line of ["no setup", "no handle"]) yield* client.write(line)
      const outcomes = (yield* Queue.takeN(events, 3)).map(({ outcome }) => outcome._tag)
      assert.deepStrictEqual(outcomes, ["Completed", "Failed", "Failed"])
      assert.deepStrictEqual(steps, ["finish fine Success", "finish no handle Failure"])
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("refuses a request once, without an answer", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const events = yield* ledger(server)
      const client = yield* Lines.client
      yield* client.write("intruder")
      assert.strictEqual((yield* Queue.take(events)).outcome._tag, "Refused")
      assert.strictEqual(yield* client.send("guest"), "guest")
      yield* until(Effect.map(server.counts, ({ Completed }) => Completed === 1))
      assert.strictEqual((yield* server.counts).Refused, 1)
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

  test("answers what was received when it stops", () => {
    const { gate, handler } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`)
      yield* Effect.forEach(lines, (line) => client.write(line))
      yield* received(server, 20)
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* gate.open
      const answers = yield* Effect.forEach(lines, () => client.take)
      assert.deepStrictEqual(answers.sort(), lines.sort())
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted, report.counts.Completed], [20, 0, 20])
    }).pipe(on(served(subject, Lines, handler, { policy })))
  })

  test("cuts off what is not answered by the deadline of its stop", () => {
    const { begun, handler } = gated()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      yield* client.write("for ever")
      yield* begun
      const stop = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* pass(subject, "40 millis")
      const report = yield* Fiber.join(stop)
      assert.deepStrictEqual([report.completed, report.interrupted], [0, 1])
    }).pipe(on(served(subject, Lines, handler, { policy, drainTimeout: "40 millis" })))
  })

  test("keeps nothing of what has ended", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      for (let i = 0; i < 300; i++) assert.strictEqual(yield* client.send(`line ${i}`), `line ${i}`)
      yield* until(Effect.map(server.connections, (connections) => connections.length === 0))
      assert.strictEqual((yield* server.counts).Completed, 300)
    }).pipe(on(echoing)))
}
