/** What handlers, policies and peers can do to a server that should go on, in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Middleware from "@socketserver/core/Middleware"
import * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import type * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import { ListenerFailed } from "@socketserver/core/ServerError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { counts, type LineHandler, Lines, logs, noKey, peer, rest, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))
const [, quiet] = logs()

/** Where a server keeps what its transport reports to: no transport here loses its listener. */
const engine: unique symbol = Symbol.for("@socketserver/core/Server/engine") as never

/** Runs a test against a handler. What it leaves unanswered ends with it, so that a failure is not a hang. */
const serving = <A, E, R2>(
  work: LineHandler<R2> | Session.Session<string, string, R2>,
  test: Effect.Effect<A, E, Lines | Scope.Scope>,
  options?: Server.ServeOptions<string> & { readonly drainTimeout?: "10 seconds" }
): Effect.Effect<A, unknown> =>
  test.pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(
        Lines.serve(work as LineHandler<R2>, options),
        MemoryServer.layer(Lines, { drainTimeout: options?.drainTimeout ?? 0 })
      )
    )
  ) as never

/** Fails instead of hanging when something does not come, in turns of the event loop rather than in time. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const turns = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })
  return Effect.raceFirst(effect, Effect.andThen(turns, Effect.die(new Error("it did not come"))))
}

/** Waits for a condition. */
const until = <R>(condition: Effect.Effect<boolean, never, R>): Effect.Effect<void, never, R> =>
  soon(Effect.asVoid(Effect.repeat(Effect.andThen(Effect.yieldNow, condition), { until: (is) => is })))

/** What the server knows of its only connection. */
const connection = Effect.flatMap(Lines, (server) => Effect.map(server.connections, ([info]) => info))
const inFlight = (count: number) => until(Effect.map(connection, (info) => info?.inFlight === count))
const deserted = until(Effect.map(connection, (info) => info === undefined))

/** Lets handlers begin, and a stop read what has arrived. */
const someTurns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

/** Collects garbage, in a turn of its own so that no frame holds anything. */
const gc = Effect.promise(async () => {
  setFlagsFromString("--expose_gc")
  const collect = runInNewContext("gc") as () => void
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
})

describe("a handler", () => {
  it.effect("that returns no response fails its own request and nothing more", () =>
    serving(
      (request) => (request.body === "bad" ? Effect.succeed(undefined as never) : echo(request)),
      Effect.gen(function* () {
        yield* tell(yield* peer, "bad")
        yield* settled
        assert.strictEqual(yield* soon((yield* peer).send("good")), "good")
        assert.deepStrictEqual(yield* counts, { Failed: 1, Completed: 1 })
      })
    ).pipe(Effect.provide(quiet))
  )

  it.effect("that closes its connection goes on, also under a timeout", () => {
    const went = Deferred.makeUnsafe<string>()
    const closing: LineHandler = ({ connection }) =>
      connection.close.pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Deferred.succeed(went, "on")),
        Effect.as(Response.empty),
        Effect.onInterrupt(() => Deferred.succeed(went, "interrupted"))
      )
    return serving(
      Middleware.timeout(closing, "1 hour"),
      Effect.gen(function* () {
        yield* tell(yield* peer, "close")
        assert.strictEqual(yield* soon(Deferred.await(went)), "on")
      })
    )
  })

  it.effect("that stops its server does not wait for what its own connection asked before and got", () => {
    const latch = Latch.makeUnsafe()
    return serving(
      (request) =>
        request.body === "slow"
          ? Effect.as(latch.await, Response.make("slow"))
          : Effect.flatMap(Lines, (server) => Effect.as(server.shutdown, Response.make("stopped"))),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "slow", "stop")
        yield* inFlight(2)
        yield* someTurns
        yield* latch.open
        assert.strictEqual(yield* client.take, "slow")
        assert.strictEqual(yield* soon(client.take), "stopped")
      }),
      { drainTimeout: "10 seconds" }
    )
  })

  it.effect("that keeps its first request keeps nothing of those after it", () => {
    let first: unknown
    const later: Array<WeakRef<object>> = []
    return serving(
      (request) => {
        if (first === undefined) first = request
        else if (request.id < 50) later.push(new WeakRef(request))
        // Several in flight at a time: each is followed by another when it ends.
        return Effect.andThen(Effect.yieldNow, echo(request))
      },
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, ...Array.from({ length: 200 }, (_, i) => `${i}`))
        for (let i = 0; i < 200; i++) yield* client.take
        yield* gc
        assert.isDefined(first)
        assert.strictEqual(later.filter((ref) => ref.deref() !== undefined).length, 0)
      })
    )
  })
})

describe("a stream", () => {
  it.effect("does not begin when its request is cancelled before its turn", () => {
    let began = false
    const streaming = Response.stream(
      Stream.fromEffect(
        Effect.sync(() => {
          began = true
          return "late"
        })
      )
    )
    return serving(
      (request) => (request.body === "slow" ? Effect.never : Effect.succeed(streaming)),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "slow", "stream")
        yield* inFlight(2)
        yield* someTurns
        yield* client.reset
        yield* deserted
        assert.deepStrictEqual(yield* counts, { Cancelled: 2 })
        assert.isFalse(began)
      })
    )
  })

  it.effect("does not run ahead of its peer within one array of elements", () =>
    serving(
      () =>
        Effect.succeed(Response.stream(Stream.fromIterable(Array.from({ length: 2_000 }, () => "x".repeat(10_000))))),
      Effect.gen(function* () {
        const client = yield* peer
        yield* client.write("all")
        yield* until(Effect.map(connection, (info) => info !== undefined && info.bytesWritten > 0))
        yield* settled
        // Its encoder has not been given more than that: 20 MB otherwise.
        assert.isBelow((yield* connection)?.bytesWritten ?? 0, 1_000_000)
      })
    )
  )

  it.effect("without end ends with its connection, also where handlers finish", () => {
    let elements = 0
    const endless = Stream.forever(Stream.fromEffect(Effect.sync(() => `${++elements}`)))
    return serving(
      () => Effect.succeed(Response.stream(endless)),
      Effect.gen(function* () {
        const client = yield* peer
        yield* client.write("all")
        yield* client.take
        yield* client.reset
        yield* deserted
      }),
      { policy: Policy.finishing(Policy.fiber()) }
    )
  })
})

describe("a policy", () => {
  it.effect("whose key function throws fails that request and nothing more", () => {
    return serving(
      echo,
      Effect.gen(function* () {
        yield* tell(yield* peer, noKey)
        yield* settled
        assert.strictEqual(yield* soon((yield* peer).send("good")), "good")
        assert.deepStrictEqual(yield* counts, { Failed: 1, Completed: 1 })
      }),
      { policy: Policy.keyed() }
    ).pipe(Effect.provide(quiet))
  })

  it.effect.each([
    { how: "dies", drain: () => Effect.die("a bug") },
    { how: "ends", drain: () => Effect.void }
  ])("that $how leaves no server behind that listens and does not answer", ({ drain }) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Lines.run(echo, { policy: { ...Policy.fiber(), drain } }))
      assert.isTrue(Exit.isFailure(exit))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Lines.client))))
    }).pipe(Effect.provide(MemoryServer.layer(Lines)), Effect.provide(quiet))
  )

  it.effect.each([Policy.sequential, Policy.fiber({ max: 1 }), Policy.keyed()])(
    "that is busy does not hold the requests of peers that have left (%#)",
    (policy) => {
      const held: Array<WeakRef<object>> = []
      const leaves = Effect.gen(function* () {
        const server = yield* Lines
        const client = yield* peer
        yield* tell(client, ...Array.from({ length: 128 }, () => "wait"))
        const full = Effect.map(server.connections, (all) => all.filter((info) => info.inFlight === 128))
        yield* until(Effect.map(full, (all) => all.length === 1))
        for (const info of yield* full) held.push(new WeakRef(info))
        yield* client.reset
        yield* until(Effect.map(full, (all) => all.length === 0))
      })
      return serving(
        () => Effect.never,
        Effect.gen(function* () {
          yield* tell(yield* peer, "busy")
          for (let i = 0; i < 64; i++) {
            yield* Effect.scoped(leaves)
          }
          yield* gc
          assert.strictEqual(held.length, 64)
          // Nothing of the first half is needed by anybody.
          assert.isAtMost(held.filter((ref) => ref.deref() !== undefined).length, 32)
        }),
        { policy }
      )
    }
  )
})

describe("a stop", () => {
  it.effect("lets a loop of handleRequest answer what was received", () => {
    const latch = Latch.makeUnsafe()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* peer
      yield* tell(client, "one", "two", "three")
      yield* settled
      yield* Effect.forkScoped(
        Effect.forever(Lines.handleRequest((request) => Effect.andThen(latch.await, echo(request))))
      )
      yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* someTurns
      yield* latch.open
      assert.deepStrictEqual(yield* rest(client), ["one", "two", "three"])
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  })

  it.effect("by a listener that died answers what was received over the pipelining limit too", () => {
    const latch = Latch.makeUnsafe()
    const begun = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const server = yield* Lines
      const client = yield* peer
      yield* Effect.forkScoped(
        Effect.exit(
          Lines.run((request) =>
            Effect.andThen(Effect.andThen(Deferred.succeed(begun, undefined), latch.await), echo(request))
          )
        ),
        { startImmediately: true }
      )
      // In one chunk, so that all of it is received.
      yield* tell(client, "1", "2", "3", "4")
      yield* Deferred.await(begun)
      ;(server as unknown as { readonly [engine]: { readonly stop: { fail(reason: unknown): void } } })[
        engine
      ].stop.fail(new ListenerFailed({ endpoint: "memory:Lines", cause: new Error("it died") }))
      yield* latch.open
      assert.deepStrictEqual(yield* rest(client), ["1", "2", "3", "4"])
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(MemoryServer.layer(Lines, { maxPipelined: 2 }), quiet)))
  })
})

describe("a setup for each connection", () => {
  it.effect("that hangs ends with its peer, and holds no stop", () => {
    let ended = 0
    const hanging = Session.make<string, string>(() =>
      Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++))
    )
    return serving(
      hanging,
      Effect.gen(function* () {
        const server = yield* Lines
        const client = yield* peer
        yield* tell(client, "hello")
        yield* inFlight(1)
        yield* client.reset
        yield* deserted
        assert.strictEqual(ended, 1)
        yield* peer
        yield* soon(server.shutdown)
        assert.strictEqual(ended, 2)
        assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
      })
    )
  })
})
