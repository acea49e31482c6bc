/** Whether new peers should be sent to a server, and the time between saying so and its stop. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const echo = (request: Request.Request<string>) => Effect.succeed(Response.make(request.body))

const isReady = Effect.flatMap(Lines, (server) => server.isReady)

const ask = (line: string) => Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send(line)))

/** A server, as whoever runs its program sees it, too. */
const running = <A, E>(
  options: MemoryServer.MemoryServerOptions,
  body: (server: Server.Running) => Effect.Effect<A, E, Lines>
) => {
  const seen: Array<Server.Running> = []
  const layer = Layer.provideMerge(Lines.serve(echo), MemoryServer.layer(Lines, options))
  return Effect.suspend(() => body(seen[0]!)).pipe(
    Effect.provide(layer),
    Effect.provideService(Server.OnListening, (server) => Effect.sync(() => seen.push(server)))
  )
}

describe("a server is ready", () => {
  it.effect("once somebody takes its requests", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* isReady)
      yield* Effect.forkScoped(Lines.run(echo))
      yield* ask("hello")
      assert.isTrue(yield* isReady)
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("also where its requests are handled one by one", () =>
    Effect.gen(function* () {
      const one = yield* Effect.forkScoped(Lines.handleRequest(echo))
      yield* ask("hello")
      yield* Fiber.join(one)
      assert.isTrue(yield* isReady)
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("unless it lets nobody in", () =>
    running({}, () =>
      Effect.gen(function* () {
        const { control } = yield* Lines
        yield* control.suspend
        assert.isFalse(yield* isReady)
        yield* control.resume
        assert.isTrue(yield* isReady)
      })
    )
  )

  it.effect("until it stops", () =>
    running({}, () =>
      Effect.gen(function* () {
        assert.isTrue(yield* isReady)
        const { shutdown } = yield* Lines
        yield* shutdown
        assert.isFalse(yield* isReady)
      })
    )
  )
})

describe("a server that is told to leave", () => {
  it.effect("is not ready, and goes on accepting and answering for its delay", () =>
    running({ drainDelay: "5 seconds" }, (server) =>
      Effect.gen(function* () {
        const leaving = yield* Effect.forkChild(server.leave, { startImmediately: true })
        yield* TestClock.adjust("4999 millis")
        assert.isFalse(yield* isReady)
        assert.strictEqual(yield* ask("a newcomer"), "a newcomer")
        assert.isUndefined(leaving.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(leaving)
        // Whoever has asked for it stops it; nobody else does.
        assert.strictEqual(yield* ask("another"), "another")
      })
    )
  )

  it.effect("does not wait unless it has a delay", () =>
    running({}, (server) =>
      Effect.gen(function* () {
        yield* server.leave
        assert.isFalse(yield* isReady)
      })
    )
  )

  it.effect("waits no longer when a stop begins", () =>
    running({ drainDelay: "1 hour" }, (server) =>
      Effect.gen(function* () {
        const leaving = yield* Effect.forkChild(server.leave, { startImmediately: true })
        yield* server.shutdown
        yield* Fiber.join(leaving)
      })
    )
  )

  it.effect("has the delay that was set last", () =>
    running({}, (server) =>
      Effect.gen(function* () {
        const { control } = yield* Lines
        yield* control.change({ drainDelay: "3 seconds" })
        assert.strictEqual(server.delayMillis, 3_000)
        const leaving = yield* Effect.forkChild(server.leave, { startImmediately: true })
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(leaving.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(leaving)
      })
    )
  )

  it.effect("does not wait where it was not ready: nobody was sent to it", () => {
    const seen: Array<Server.Running> = []
    return Effect.suspend(() => seen[0]!.leave).pipe(
      Effect.provide(MemoryServer.layer(Lines, { drainDelay: "1 hour" })),
      Effect.provideService(Server.OnListening, (server) => Effect.sync(() => seen.push(server)))
    )
  })

  it.effect("stops at once where it is not asked to leave", () =>
    running({ drainDelay: "1 hour" }, () =>
      Effect.gen(function* () {
        const { shutdown } = yield* Lines
        assert.strictEqual((yield* shutdown).millis, 0)
      })
    )
  )

  it.effect("has a delay that is a time", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(Effect.scoped(Layer.build(MemoryServer.layer(Lines, { drainDelay: -1 }))))
      assert.strictEqual(reason._tag, "InvalidOption")
      assert.match(String((reason as { readonly problem?: string }).problem), /a time that ends, not -1; write/)
    })
  )
})

describe("a server is leaving", () => {
  const isLeaving = Effect.flatMap(Lines, (server) => server.isLeaving)

  it.effect("from when its stop is announced, and neither before it is served nor where it lets nobody in", () =>
    running({ drainDelay: "1 second" }, ({ leave }) =>
      Effect.gen(function* () {
        const { control } = yield* Lines
        assert.isFalse(yield* isLeaving)
        yield* control.suspend
        assert.isFalse(yield* isLeaving)
        yield* control.resume
        yield* Effect.forkScoped(leave, { startImmediately: true })
        assert.isTrue(yield* isLeaving)
      }).pipe(Effect.scoped)
    )
  )

  it.effect("where a stop has begun that nobody has announced", () =>
    running({}, () =>
      Effect.gen(function* () {
        yield* Effect.flatMap(Lines, ({ shutdown }) => shutdown)
        assert.isTrue(yield* isLeaving)
      })
    )
  )
})
