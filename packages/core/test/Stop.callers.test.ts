/** Handlers that stop their own server: each waits for all the others, and for no longer than it likes. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import type * as Request from "@socketserver/core/Request"
import * as Session from "@socketserver/core/Session"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { turns } from "./support/scripted.ts"
import { Lines } from "./support/serving.ts"

const stopping = Effect.flatMap(Lines, (server) => server.stopping)
const shutdown = Effect.flatMap(Lines, (server) => server.shutdown)

/** What each handler does, by what it is asked; and when each was done, in seconds. */
const serving = (handlers: Record<string, Effect.Effect<unknown, unknown, Lines>>, seconds: number) =>
  Effect.gen(function* () {
    const done: Record<string, number> = {}
    // Once a stop has begun nobody comes in.
    const gate = yield* Latch.make()
    const handler = ({ body }: Request.Request<string, string>) =>
      Effect.gen(function* () {
        yield* gate.await
        yield* Effect.exit(handlers[body]!)
        done[body] = (yield* Clock.currentTimeMillis) / 1_000
        return Response.make(body)
      })
    yield* Effect.gen(function* () {
      for (const name of Object.keys(handlers)) {
        const client = yield* Lines.client
        yield* client.write(name)
        yield* turns
      }
      yield* gate.open
      yield* turns
      for (let i = 0; i < seconds; i++) {
        yield* TestClock.adjust("1 second")
        yield* turns
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines, { drainTimeout: "1 minute" })))
    )
    return done
  })

describe("a handler that stops its own server", () => {
  it.effect("may be what releases the state of a connection, and does not wait for itself", () => {
    const session = Session.make(() =>
      Effect.gen(function* () {
        const server = yield* Lines
        yield* Effect.addFinalizer(() => server.shutdown)
        return ({ body }: Request.Request<string>) => Effect.succeed(Response.make(body))
      })
    )
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("hello"), "hello")
      yield* client.close
      yield* turns
      // No time passes, be it virtual or not.
      const stopped = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* turns
      assert.isDefined(stopped.pollUnsafe())
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(session), MemoryServer.layer(Lines))))
  })

  it.effect("waits for all but those who wait as it does", () =>
    Effect.gen(function* () {
      const done = yield* serving({ slow: Effect.sleep("5 seconds"), one: shutdown, two: shutdown }, 6)
      assert.deepStrictEqual(done, { slow: 5, one: 5, two: 5 })
    })
  )

  it.effect("does not shorten the wait of another when it gives up", () =>
    Effect.gen(function* () {
      const done = yield* serving(
        {
          slow: Effect.sleep("5 seconds"),
          impatient: Effect.andThen(Effect.timeoutOption(shutdown, "1 second"), Effect.sleep("2 seconds")),
          patient: shutdown
        },
        6
      )
      assert.deepStrictEqual(done, { impatient: 3, slow: 5, patient: 5 })
    })
  )

  it.effect("is one that others wait for once it has given up", () =>
    Effect.gen(function* () {
      const done = yield* serving(
        {
          impatient: Effect.andThen(Effect.timeoutOption(shutdown, "1 second"), Effect.sleep("4 seconds")),
          patient: shutdown,
          slow: Effect.sleep("2 seconds")
        },
        6
      )
      assert.deepStrictEqual(done, { slow: 2, impatient: 5, patient: 5 })
    })
  )

  it.effect("counts once, however often it waits", () =>
    Effect.gen(function* () {
      const done = yield* serving(
        {
          slow: Effect.sleep("5 seconds"),
          once: shutdown,
          twice: Effect.all([shutdown, shutdown], { concurrency: 2 })
        },
        6
      )
      assert.deepStrictEqual(done, { slow: 5, once: 5, twice: 5 })
    })
  )

  it.effect("still counts where one of its waits was given up", () =>
    Effect.gen(function* () {
      const done = yield* serving(
        {
          slow: Effect.sleep("5 seconds"),
          twice: Effect.all([Effect.timeoutOption(shutdown, "1 second"), shutdown], { concurrency: 2 }),
          once: shutdown
        },
        6
      )
      assert.deepStrictEqual(done, { slow: 5, twice: 5, once: 5 })
    })
  )

  it.effect("waits for nobody's sake where it has answered, and left the wait to another fiber", () =>
    Effect.gen(function* () {
      const waited = yield* Deferred.make<number>()
      const leaving = Effect.forkDetach(
        Effect.andThen(
          shutdown,
          Effect.flatMap(Clock.currentTimeMillis, (now) => Deferred.succeed(waited, now / 1_000))
        )
      )
      const done = yield* serving({ slow: Effect.sleep("5 seconds"), leaving, patient: shutdown }, 6)
      assert.deepStrictEqual(done, { leaving: 0, slow: 5, patient: 5 })
      assert.strictEqual(yield* Deferred.await(waited), 5)
    })
  )
})

describe("a setup that stops its own server", () => {
  it.effect("shortens nobody's wait", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const session = Session.make<string, string, Lines, Lines>(({ id }) =>
        Effect.as(id === 3 ? Effect.asVoid(shutdown) : Effect.void, ({ body }) =>
          Effect.as(
            Effect.andThen(
              body === "slow" ? Effect.sleep("5 seconds") : Effect.andThen(stopping, shutdown),
              Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => done.push(`${body} ${now}`)))
            ),
            Response.empty
          )
        )
      )
      yield* Effect.gen(function* () {
        for (const line of ["patient", "slow"]) yield* (yield* Lines.client).write(line)
        yield* turns
        yield* Lines.client
        yield* TestClock.adjust("6 seconds")
        yield* turns
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Lines.serve(session, { policy: Policy.fiber() }), MemoryServer.layer(Lines)))
      )
      assert.deepStrictEqual(done, ["slow 5000", "patient 5000"])
    })
  )
})

describe("who waits and leaves", () => {
  const key: unique symbol = Symbol.for("@socketserver/core/Server/engine") as never
  interface Inside {
    readonly [key]: { readonly stop: { readonly waiting: Set<unknown> } }
  }

  it.effect("is kept by no server that has not stopped", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const { waiting } = (server as unknown as Inside)[key].stop
      const client = yield* Lines.client
      yield* client.write("for ever")
      yield* turns
      // The loop that serves waits, too.
      const before = waiting.size
      const stops = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkScoped(server.shutdown, { startImmediately: true })
      )
      assert.strictEqual(waiting.size, before + 3)
      yield* Fiber.interruptAll(stops)
      assert.strictEqual(waiting.size, before)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(() => Effect.never),
          MemoryServer.layer(Lines, { drainTimeout: 0 })
        )
      )
    )
  )

  it.effect("is kept by no request that has no outcome", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* Lines.client
      yield* client.write("asked")
      const [incoming] = yield* Stream.runCollect(Stream.take(server.requests, 1))
      const observers = () => (incoming as unknown as { readonly observers?: Set<unknown> }).observers?.size
      const waits = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkScoped(incoming!.outcome, { startImmediately: true })
      )
      assert.strictEqual(observers(), 3)
      yield* Fiber.interruptAll(waits.slice(1))
      assert.strictEqual(observers(), 1)
      yield* incoming!.respond(Response.make("answered"))
      assert.strictEqual((yield* Fiber.join(waits[0]!))._tag, "Completed")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )
})

describe("a handler that stops its own server, with requests behind it on its connection", () => {
  for (const policy of [Policy.sequential, Policy.fiber(), Policy.connection()]) {
    it.effect(`does not wait for what waits for itself: ${policy.name}`, () => {
      const handler = ({ body }: Request.Request<string, string>) =>
        body === "stop"
          ? Effect.as(shutdown, Response.make("stopped"))
          : Effect.succeed(body === "stream" ? Response.stream(Stream.make("streamed")) : Response.make(body))
      return Effect.gen(function* () {
        const client = yield* Lines.rawClient
        yield* client.write(new TextEncoder().encode("stop\nping\nstream\n"))
        const chunks = yield* Stream.runCollect(client.stream)
        assert.strictEqual(Buffer.concat([...chunks]).toString(), "stopped\nping\nstreamed\n")
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(Lines.serve(handler, { policy }), MemoryServer.layer(Lines)))
      )
    })
  }
})
