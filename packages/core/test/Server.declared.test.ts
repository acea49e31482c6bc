/** What a program has declared and placed, and does not serve; and what it has declared twice. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import type { ServerError } from "@socketserver/core/ServerError"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { turns } from "./support/scripted.ts"
import { type LineHandler, Lines, logs } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** The warnings of a program that has been placed for a second. */
const warnings = <R>(program: Effect.Effect<unknown, unknown, Lines | R>, before: Effect.Effect<void> = Effect.void) =>
  Effect.gen(function* () {
    const [entries, logging] = logs()
    yield* Effect.gen(function* () {
      yield* Effect.forkScoped(program, { startImmediately: true })
      yield* turns
      yield* before
      yield* turns
      yield* TestClock.adjust("1 second")
      yield* turns
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines, { name: "placed" })), Effect.provide(logging))
    return entries.filter(({ level }) => level === "Warn").map(({ message }) => message)
  }) as unknown as Effect.Effect<ReadonlyArray<string>>

const built = (layer: Layer.Layer<never, unknown, Lines>) =>
  Effect.scoped(Effect.andThen(Layer.build(layer), Effect.never))

const forgotten =
  "Lines: nobody serves it, and it listens on memory:placed: its peers wait for ever; add Lines.serve(…) to the program, or take its requests"

describe("a server that is placed", () => {
  it.effect("is told of within a second where nobody serves it, once", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* warnings(built(Lines.announce)), [forgotten])
      assert.deepStrictEqual(yield* warnings(TestClock.adjust("1 hour")), [forgotten])
    })
  )

  const slow: Policy.Policy = { ...Policy.fiber(), place: () => Effect.never }
  it.effect.each([
    { how: "serve", program: built(Lines.serve(echo)) },
    { how: "run", program: Lines.run(echo) },
    { how: "requests", program: Effect.flatMap(Lines, (server) => Stream.runDrain(server.requests)) },
    { how: "handleRequest", program: Lines.handleRequest(echo) },
    { how: "a policy whose workers still start", program: Lines.run(echo, { policy: slow }) },
    { how: "a stop", program: Effect.flatMap(Lines, (server) => server.shutdown) }
  ])("is not told of where its requests are taken: $how", ({ program }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* warnings(program as Effect.Effect<unknown, unknown, Lines>), [])
    })
  )

  it.effect("is not told of while its program is being built", () =>
    Effect.gen(function* () {
      const whole = Deferred.makeUnsafe<void>()
      const said = (before: Effect.Effect<void>) =>
        Effect.provideService(warnings(Effect.void, before), Transport.WhenBuilt, Deferred.await(whole))
      assert.deepStrictEqual(yield* said(Effect.void), [])
      assert.deepStrictEqual(yield* said(Effect.asVoid(Deferred.succeed(whole, undefined))), [forgotten])
    })
  )
})

class First extends Server.Service<First>()("Same", { protocol: Protocol.lines() }) {}
class Second extends Server.Service<Second>()("Same", { protocol: Protocol.lines() }) {}
class Extended extends First {}

describe("two declarations with one key", () => {
  it.effect.each([
    { how: "serve", serves: Effect.scoped(Layer.build(First.serve(echo))) },
    { how: "run", serves: First.run(echo) },
    { how: "handleRequest", serves: First.handleRequest(echo) }
  ])("fail the start, and say so: $how", ({ serves }) =>
    Effect.gen(function* () {
      const error = (yield* Effect.flip(serves as Effect.Effect<never, ServerError, First>)) as ServerError
      assert.strictEqual(error.reason._tag, "DeclaredTwice")
      assert.include(error.message, '"Same"')
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(MemoryServer.layer(First), MemoryServer.layer(Second))))
  )

  it.effect("are one where a class extends the other", () =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(Extended.run(echo) as Effect.Effect<never, never, First>, { startImmediately: true })
      yield* turns
      assert.strictEqual(yield* (yield* First.client).send("a"), "a")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(First)))
  )
})
