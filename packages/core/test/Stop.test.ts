import { assert, describe, it } from "@effect/vitest"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Middleware from "@socketserver/core/Middleware"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))

/** A server whose handler says when it has begun. */
const served = (handler: Handler.Handler<string, string, Lines>, options?: MemoryServer.MemoryServerOptions) => {
  const begun = Deferred.makeUnsafe<void>()
  const layer = Layer.provideMerge(
    Lines.serve((request) => Effect.andThen(Deferred.succeed(begun, undefined), handler(request))),
    MemoryServer.layer(Lines, options)
  )
  return { begun: Deferred.await(begun), layer }
}

const shutdown = Effect.flatMap(Lines, (server) => server.shutdown)

describe("a stop", () => {
  it.effect("reports how long it took, what it answered, and what it cut off", () => {
    const { begun, layer } = served(({ body }) => Effect.delay(Effect.succeed(Response.make(body)), "3 seconds"))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      const answer = yield* Effect.forkScoped(client.send("slow"))
      yield* begun
      const stop = yield* Effect.forkScoped(shutdown, { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(answer), "slow")
      yield* client.close
      const { counts, ...report } = yield* Fiber.join(stop)
      assert.deepStrictEqual(report, { millis: 3_000, completed: 1, interrupted: 0, refused: 0, connections: 1 })
      assert.strictEqual(counts.Completed, 1)
      assert.deepStrictEqual((yield* shutdown).counts, counts)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("takes ten seconds at most unless told otherwise", () => {
    const { begun, layer } = served(() => Effect.never)
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("for ever")
      yield* begun
      const stop = yield* Effect.forkScoped(shutdown, { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(stop.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { completed, interrupted, millis } = yield* Fiber.join(stop)
      assert.deepStrictEqual({ completed, interrupted, millis }, { completed: 0, interrupted: 1, millis: 10_000 })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect.each([
    {
      what: "the scope of the layer is left",
      start: (layer: Layer.Layer<Lines, unknown>) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const context = yield* Layer.buildWithScope(layer, scope)
          return [context, Scope.close(scope, Exit.void)] as const
        })
    },
    {
      what: "run is interrupted",
      start: (layer: Layer.Layer<Lines, unknown>) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(layer)
          const loop = yield* Effect.forkScoped(Effect.provideContext(Lines.run(slow), context), {
            startImmediately: true
          })
          return [context, Fiber.interrupt(loop)] as const
        }),
      alone: true
    }
  ])("answers what was received when $what", ({ alone, start }) =>
    Effect.gen(function* () {
      const listening = MemoryServer.layer(Lines)
      const layer = alone === true ? listening : Layer.provideMerge(Lines.serve(slow), listening)
      const [context, end] = yield* start(layer)
      const client = yield* Effect.provideContext(Lines.client, context)
      const answers = yield* Effect.forkScoped(
        Effect.andThen(Effect.andThen(client.write("a"), client.write("b")), Stream.runCollect(client.stream))
      )
      yield* until(Effect.sync(() => begunCount === 2))
      const stop = yield* Effect.forkScoped(end, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(answers), ["a", "b"])
      yield* client.close
      yield* Fiber.join(stop)
      begunCount = 0
    })
  )
  let begunCount = 0
  const slow: Handler.Handler<string, string> = ({ body }) => {
    begunCount++
    return Effect.delay(Effect.succeed(Response.make(body)), "1 second")
  }

  it.effect("answers what was received beyond the pipelining limit too", () => {
    const { begun, layer } = served(({ body }) => Effect.delay(Effect.succeed(Response.make(body)), "1 second"), {
      maxPipelined: 2
    })
    return Effect.gen(function* () {
      const client = yield* Lines.rawClient
      yield* client.write(new TextEncoder().encode("1\n2\n3\n4\n5\n"))
      yield* begun
      const stop = yield* Effect.forkScoped(shutdown, { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      yield* Stream.runDrain(client.stream)
      yield* client.close
      assert.strictEqual((yield* Fiber.join(stop)).completed, 5)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("does not wait for a handler that stops its own server under a timeout", () => {
    const { layer } = served(Middleware.timeout(() => Effect.as(shutdown, Response.make("stopping")), "1 hour"))
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("stop"), "stopping")
      yield* client.close
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("does not wait for itself when two handlers stop their own server", () => {
    const gate = Deferred.makeUnsafe<void>()
    const { layer } = served(({ body }) =>
      Effect.andThen(Deferred.await(gate), Effect.as(shutdown, Response.make(`${body} stopped it`)))
    )
    return Effect.gen(function* () {
      const [one, two] = [yield* Lines.client, yield* Lines.client]
      const answers = yield* Effect.forkScoped(Effect.all([one.send("one"), two.send("two")], { concurrency: 2 }))
      const server = yield* Lines
      yield* until(Effect.map(server.connections, (all) => all.reduce((sum, { inFlight }) => sum + inFlight, 0) === 2))
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(answers), ["one stopped it", "two stopped it"])
      yield* Effect.andThen(one.close, two.close)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("lets a stream end, and cuts one that does not", () => {
    const { layer } = served(({ body }) =>
      Effect.succeed(
        Response.stream(
          body === "endless"
            ? Stream.tick("1 second").pipe(Stream.map(() => "tick"))
            : Stream.make("1", "2", "3").pipe(Stream.tap(() => Effect.sleep("1 second")))
        )
      )
    )
    return Effect.gen(function* () {
      const server = yield* Lines
      const short = yield* Lines.client
      const endless = yield* Lines.client
      const got = yield* Effect.forkScoped(Effect.andThen(short.write("short"), Stream.runCollect(short.stream)))
      const ticks = yield* Effect.forkScoped(
        Effect.andThen(endless.write("endless"), Effect.exit(Stream.runCollect(endless.stream)))
      )
      yield* until(Effect.map(server.connections, (all) => all.reduce((sum, { inFlight }) => sum + inFlight, 0) === 2))
      const stop = yield* Effect.forkScoped(shutdown, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(got), ["1", "2", "3"])
      yield* Fiber.join(ticks)
      const { completed, interrupted } = yield* Fiber.join(stop)
      assert.deepStrictEqual([completed, interrupted], [1, 1])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("waits for the state of connections to be released, and not for ever", () => {
    const steps: Array<string> = []
    const counting = (release: Effect.Effect<void>) =>
      Session.make<string, string, never, Scope.Scope>(() =>
        Effect.as(
          Effect.addFinalizer(() =>
            Effect.andThen(
              release,
              Effect.sync(() => void steps.push("released"))
            )
          ),
          echo
        )
      )
    const stopping = (release: Effect.Effect<void>) =>
      Effect.gen(function* () {
        const client = yield* Lines.client
        yield* client.send("hello")
        const stop = yield* Effect.forkScoped(shutdown, { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        return (yield* Fiber.join(stop)).millis
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Lines.serve(counting(release)), MemoryServer.layer(Lines)))
      )
    return Effect.gen(function* () {
      assert.strictEqual(yield* stopping(Effect.sleep("2 seconds")), 2_000)
      assert.deepStrictEqual(steps, ["released"])
      assert.strictEqual(yield* stopping(Effect.never), 10_000)
      assert.deepStrictEqual(steps, ["released"])
    })
  })

  it.effect("does not wait for a peer to close its end of a connection that the server has closed", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("quit"), "quit")
      assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
      assert.strictEqual((yield* shutdown).millis, 0)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(({ body }) => Effect.succeed(Response.andClose(Response.make(body)))),
          MemoryServer.layer(Lines)
        )
      )
    )
  )

  it.effect("is not held up by a client that has not read its answers", () => {
    const { layer } = served(echo)
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      let answeredBytes = 0
      for (const line of ["one", "two", "three"]) {
        yield* client.write(line)
        answeredBytes += line.length + 1
        yield* until(Effect.map(server.connections, ([connection]) => connection?.bytesWritten === answeredBytes))
      }
      const { completed, millis } = yield* shutdown
      assert.deepStrictEqual({ completed, millis }, { completed: 0, millis: 0 })
    }).pipe(Effect.scoped, Effect.provide(layer))
  })
})

const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* Effect.yieldNow
  })
