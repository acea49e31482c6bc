import { assert, describe, it, vi } from "@effect/vitest"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as ServerError from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Worker from "@socketserver/core/Worker"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"
import { turns } from "./support/scripted.ts"
import { logs } from "./support/serving.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}
class Other extends Server.Service<Other>()("Other", { protocol: Protocol.lines() }) {}

const echo = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))

/** A transport that binds nothing and dies when it is told to. */
const mortal = () => {
  const sink = Deferred.makeUnsafe<Transport.Sink>()
  const layer = <Self, In, Out>(tag: Server.Tag<Self, In, Out>) =>
    Transport.layer(tag, {}, (to) =>
      Effect.as(Deferred.succeed(sink, to), {
        address: Endpoint.memory("mortal"),
        close: () => {},
        connect: Effect.die("nobody connects here")
      })
    )
  const die = Effect.map(Deferred.await(sink), (sink) => sink.fail(new Error("the cable was pulled")))
  return { layer, die }
}

/** A program that uses what it is provided with, and says when it has been built. */
const announcing = (ready: Deferred.Deferred<void>) => Layer.effectDiscard(Deferred.succeed(ready, undefined))

const message = "The listener on memory:mortal failed: the cable was pulled"

/** The error of a server wherever an exit carries it: as a failure, or as the defect that ends a layer. */
const errorOf = (exit: Exit.Exit<unknown, unknown>): ServerError.ServerError | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const errors = exit.cause.reasons.map((reason) =>
    reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
  )
  return errors.find((error) => error instanceof ServerError.ServerError)
}

describe("a listener that dies after it was bound", () => {
  it.effect("fails run, with the endpoint and the cause", () => {
    const { die, layer } = mortal()
    return Effect.gen(function* () {
      const loop = yield* Effect.forkScoped(Lines.run(echo), { startImmediately: true })
      yield* die
      const error = yield* Effect.flip(Fiber.join(loop))
      assert.strictEqual(error._tag === "ServerError" && error.reason._tag, "ListenerFailed")
      assert.strictEqual(error.message, message)
      assert.strictEqual((error.cause as Error).message, "the cable was pulled")
    }).pipe(Effect.provide(layer(Lines)))
  })

  it.effect("fails the requests that are taken directly", () => {
    const { die, layer } = mortal()
    return Effect.gen(function* () {
      const server = yield* Lines
      const taking = yield* Effect.forkScoped(Stream.runDrain(server.requests), { startImmediately: true })
      const handling = yield* Effect.forkScoped(Lines.handleRequest(echo), { startImmediately: true })
      yield* die
      assert.strictEqual((yield* Effect.flip(Fiber.join(taking))).message, message)
      assert.strictEqual((yield* Effect.flip(Fiber.join(handling))).message, message)
    }).pipe(Effect.provide(layer(Lines)))
  })

  it.effect("ends a launched layer with the error", () => {
    const { die, layer } = mortal()
    const ready = Deferred.makeUnsafe<void>()
    const program = Layer.provide(Layer.provide(announcing(ready), Lines.serve(echo)), layer(Lines))
    return Effect.gen(function* () {
      const launched = yield* Effect.forkScoped(Layer.launch(program))
      yield* Effect.andThen(Deferred.await(ready), die)
      assert.strictEqual(errorOf(yield* Fiber.await(launched))?.message, message)
    })
  })

  const merged = (lines: ReturnType<typeof mortal>["layer"]) =>
    Layer.mergeAll(
      Layer.provide(Other.serve(echo), MemoryServer.layer(Other)),
      Layer.provide(Lines.serve(echo), lines(Lines))
    )

  it.effect("is an unhandled error where nobody waits for the layer, as one of several merged", () => {
    const { die, layer } = mortal()
    const ready = Deferred.makeUnsafe<void>()
    const unhandled = Deferred.makeUnsafe<unknown>()
    const reject = vi.spyOn(Promise, "reject").mockImplementation((error) => {
      Deferred.doneUnsafe(unhandled, Effect.succeed(error))
      return Promise.resolve() as never
    })
    return Effect.gen(function* () {
      yield* Effect.forkScoped(Layer.launch(Layer.provide(announcing(ready), merged(layer))))
      yield* Effect.andThen(Deferred.await(ready), die)
      assert.strictEqual(((yield* Deferred.await(unhandled)) as Error).message, message)
    }).pipe(Effect.ensuring(Effect.sync(() => reject.mockRestore())))
  })

  it.effect("tells the runner of the program, where there is one, whatever fiber built the layer", () => {
    const { die, layer } = mortal()
    const ready = Deferred.makeUnsafe<void>()
    const told = Deferred.makeUnsafe<string>()
    const runner = Layer.succeed(Server.OnListenerDied, (error) => Deferred.succeed(told, error.message))
    const program = Layer.provide(announcing(ready), merged(layer)).pipe(
      Layer.provide(runner),
      Layer.provide(Logger.layer([]))
    )
    return Effect.gen(function* () {
      yield* Effect.forkScoped(Effect.exit(Layer.launch(program)))
      yield* Effect.andThen(Deferred.await(ready), die)
      assert.strictEqual(yield* Deferred.await(told), message)
    })
  })

  it.effect("is no error when it dies while the server stops", () => {
    const { die, layer } = mortal()
    return Effect.gen(function* () {
      const server = yield* Lines
      yield* server.shutdown
      yield* die
      const error = yield* Effect.flip(Lines.run(echo))
      assert.strictEqual(error._tag === "ServerError" && error.reason._tag, "ServerClosed")
    }).pipe(Effect.provide(layer(Lines)))
  })
})

describe("a server", () => {
  it.effect("tells a handler when, from whom and on which connection a request came", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000)
      const one = yield* Lines.client
      const two = yield* Lines.client
      yield* TestClock.setTime(2_000)
      assert.strictEqual(yield* one.send("a"), "1 memory:facts#1 2000 1 1000")
      assert.strictEqual(yield* two.send("b"), "2 memory:facts#2 2000 2 1000")
      yield* TestClock.setTime(3_500)
      assert.strictEqual(yield* one.send("c"), "3 memory:facts#1 3500 1 1000")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(({ connection, id, peer, receivedAt }) =>
            Effect.succeed(Response.make(`${id} ${peer} ${receivedAt} ${connection.id} ${connection.openedAt}`))
          ),
          MemoryServer.layer(Lines, { name: "facts" })
        )
      )
    )
  )

  it.effect("lists its connections with their bytes and requests in flight", () => {
    const gate = Latch.makeUnsafe()
    const begun = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("hello"), "hello")
      const look = Effect.map(server.connections, (connections) =>
        connections.map(({ bytesRead, bytesWritten, inFlight }) => ({ bytesRead, bytesWritten, inFlight }))
      )
      assert.deepStrictEqual(yield* look, [{ bytesRead: 6, bytesWritten: 6, inFlight: 0 }])
      const answer = yield* Effect.forkScoped(client.send("wait"))
      yield* begun.await
      assert.deepStrictEqual(yield* look, [{ bytesRead: 11, bytesWritten: 6, inFlight: 1 }])
      yield* gate.open
      yield* Fiber.join(answer)
      assert.deepStrictEqual(yield* look, [{ bytesRead: 11, bytesWritten: 11, inFlight: 0 }])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve((request) =>
            request.body === "wait"
              ? Effect.andThen(begun.open, Effect.andThen(gate.await, echo(request)))
              : echo(request)
          ),
          MemoryServer.layer(Lines)
        )
      )
    )
  })

  it.effect("gives every outcome to each who watches, and a description of it", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const watch = Effect.gen(function* () {
        const seen = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(
          Stream.runForEach(server.outcomes, ({ outcome, request }) =>
            Queue.offer(seen, `${request?.body}: ${Outcome.describe(outcome)}`)
          ),
          { startImmediately: true }
        )
        return seen
      })
      const watchers = [yield* watch, yield* watch]
      const client = yield* Lines.client
      yield* client.send("fine")
      yield* Effect.exit(client.send("broken"))
      for (const seen of watchers) {
        const [fine, broken] = yield* Queue.takeN(seen, 2)
        assert.strictEqual(fine, "fine: completed")
        assert.match(broken!, /^broken: the handler failed/)
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve((request) => (request.body === "broken" ? Effect.die(new Error("it broke")) : echo(request))),
          MemoryServer.layer(Lines)
        )
      )
    )
  )

  it.effect("announces the endpoint that it is bound to, once somebody takes its requests", () =>
    Effect.gen(function* () {
      yield* Layer.build(Lines.announce)
      yield* turns
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
      yield* Layer.build(Lines.serve(echo))
      yield* turns
      assert.deepStrictEqual(yield* TestConsole.logLines, ["listening on memory:announced"])
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines, { name: "announced" })))
  )

  it.effect("takes its policy from serve, then from its own reference, then from everybody's", () => {
    const who = Layer.provideMerge(Lines.serve(workerName), MemoryServer.layer(Lines))
    const ask = Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("who?")))
    const explicit = Layer.provideMerge(
      Lines.serve(workerName, { policy: Policy.sequential }),
      MemoryServer.layer(Lines)
    )
    return Effect.gen(function* () {
      assert.match(yield* Effect.provide(ask, who), /^fiber-\d+$/)
      const everybody = Policy.layer(Policy.sequential)
      assert.strictEqual(yield* Effect.provide(ask, Layer.provide(who, everybody)), "sequential")
      const own = Layer.succeed(Lines.policy, Policy.fiber())
      assert.match(yield* Effect.provide(ask, Layer.provide(who, Layer.merge(own, everybody))), /^fiber-\d+$/)
      assert.strictEqual(yield* Effect.provide(ask, Layer.provide(explicit, own)), "sequential")
    })
  })
  const workerName = () => Effect.map(Worker.name, Response.make)

  it.effect("says once that a configured policy has no effect, where its program names one", () => {
    const [entries, logger] = logs()
    const built = (options?: Server.ServeOptions<string, string>) =>
      Layer.build(
        Lines.serve(workerName, options).pipe(
          Layer.provideMerge(MemoryServer.layer(Lines)),
          Layer.provide(Layer.succeed(Lines.policy, Policy.fiber({ max: 8 })))
        )
      ).pipe(Effect.scoped)
    return Effect.gen(function* () {
      yield* built()
      assert.deepStrictEqual(entries, [])
      yield* built({ policy: Policy.sequential })
      assert.deepStrictEqual(
        entries.map(({ level, message }) => [level, message]),
        [
          [
            "Warn",
            `${Lines.key}: it is served under sequential, the policy that its program names; the configured fiber:8 has no effect`
          ]
        ]
      )
    }).pipe(Effect.provide(logger))
  })

  it.effect("lets a policy place the handler, and fails with its error if it cannot", () => {
    const placed: Array<unknown> = []
    const elsewhere: Policy.Policy = {
      ...Policy.fiber(),
      place: (handler, { protocol, service }) =>
        Effect.gen(function* () {
          placed.push([service, protocol.name])
          yield* Effect.addFinalizer(() => Effect.sync(() => placed.push("left")))
          return handler
        })
    }
    const nowhere: Policy.Policy = {
      ...Policy.fiber(),
      place: () => Effect.fail(new Policy.PolicyError({ policy: "nowhere", problem: "there is no such place" }))
    }
    return Effect.gen(function* () {
      const ask = Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("hi")))
      const served = (policy: Policy.Policy) =>
        Layer.provideMerge(Lines.serve(echo, { policy }), MemoryServer.layer(Lines))
      assert.strictEqual(yield* Effect.provide(ask, served(elsewhere)), "hi")
      assert.deepStrictEqual(placed, [["Lines", "lines"], "left"])
      const exit = yield* Effect.exit(Effect.provide(ask, served(nowhere)))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof Policy.PolicyError)
    })
  })
})

describe("a declared server", () => {
  it.effect("is served once at a time", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Layer.build(Lines.serve(echo)))
      yield* Layer.build(Lines.serve(echo))
      const error = yield* Effect.flip(Lines.run(echo))
      assert.strictEqual(error._tag === "ServerError" && error.reason._tag, "AlreadyServed")
      assert.include(error.message, "Lines is served already")
      const second = yield* Effect.flip(Layer.build(Lines.serve(echo)))
      assert.strictEqual(second._tag === "ServerError" && second.reason._tag, "AlreadyServed")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("does not start with options of its protocol that are wrong", () =>
    Effect.gen(function* () {
      for (const [protocol, problem] of [
        [Protocol.lines({ maxFrameBytes: 0 }), "maxFrameBytes must be a positive integer, not 0"],
        [Protocol.fixed(0.5), "the size must be a positive integer, not 0.5"],
        [Protocol.delimited(""), "the delimiter is empty; give it one byte at least"],
        [
          Protocol.json(Protocol.netstring({ maxFrameBytes: NaN })),
          "maxFrameBytes must be a positive integer, not NaN"
        ],
        [Protocol.connection(Protocol.fixed(-1)), "the size must be a positive integer, not -1"]
      ] as const) {
        class Wrong extends Server.Service<Wrong>()("Wrong", {
          protocol: protocol as Protocol.Protocol<unknown, unknown>
        }) {}
        const { reason } = yield* Effect.flip(Layer.build(MemoryServer.layer(Wrong)))
        assert(reason._tag === "InvalidOption")
        assert.strictEqual(reason.problem, problem)
      }
    }).pipe(Effect.scoped)
  )
})
