/** A server is served once at a time, whoever does it and however. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Response from "@socketserver/core/Response"
import type * as ServerError from "@socketserver/core/ServerError"
import * as Session from "@socketserver/core/Session"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { turns } from "./support/scripted.ts"
import { type LineHandler, Lines } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))
const session = Session.make<string, string>(() => Effect.succeed(echo))

/** Each way to serve: what it is, and an effect that serves until it is interrupted. */
const ways = [
  { way: "serve", serves: Effect.scoped(Effect.andThen(Layer.build(Lines.serve(echo)), Effect.never)) },
  { way: "run", serves: Lines.run(echo) },
  {
    way: "serve with a session",
    serves: Effect.scoped(Effect.andThen(Layer.build(Lines.serve(session)), Effect.never))
  },
  { way: "run with a session", serves: Lines.run(session) }
] as const

const reasonOf = (error: ServerError.ServerError | { readonly _tag: "PolicyError" }) =>
  error._tag === "ServerError" ? error.reason._tag : error._tag

describe("a server that is served", () => {
  it.effect.each(
    ways.flatMap((first) => ways.map((second) => ({ first, second, title: `${first.way}, then ${second.way}` })))
  )("is not served a second time, and goes on: $title", ({ first, second }) =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(first.serves as Effect.Effect<never, never, Lines>, { startImmediately: true })
      yield* turns
      assert.strictEqual(
        reasonOf(yield* Effect.flip(second.serves as Effect.Effect<never, ServerError.ServerError, Lines>)),
        "AlreadyServed"
      )
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("a"), "a")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("names itself to who comes second", () =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(Lines.run(echo), { startImmediately: true })
      yield* turns
      assert.match((yield* Effect.flip(Lines.run(echo))).message, /Lines/)
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("says so before a second policy starts anything, also while the first still does", () =>
    Effect.gen(function* () {
      const placed: Array<string> = []
      const slow = (name: string): Policy.Policy => ({
        ...Policy.fiber(),
        name,
        place: (served) =>
          Effect.andThen(
            Effect.sync(() => placed.push(name)),
            Effect.as(Effect.yieldNow, served)
          )
      })
      yield* Effect.forkScoped(Lines.run(echo, { policy: slow("first") }), { startImmediately: true })
      assert.strictEqual(reasonOf(yield* Effect.flip(Lines.run(echo, { policy: slow("second") }))), "AlreadyServed")
      assert.deepStrictEqual(placed, ["first"])
      assert.strictEqual(yield* (yield* Lines.client).send("a"), "a")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("can be served again where it could not be served at all", () =>
    Effect.gen(function* () {
      const policy = Policy.fiber({ max: 0 })
      for (const work of [echo, session]) {
        assert.strictEqual(reasonOf(yield* Effect.flip(Lines.run(work as LineHandler, { policy }))), "PolicyError")
      }
      yield* Effect.forkScoped(Lines.run(echo), { startImmediately: true })
      yield* turns
      assert.strictEqual(yield* (yield* Lines.client).send("a"), "a")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect.each(ways)("stops with who served it, and is free for nobody but says so: $way", ({ serves }) =>
    Effect.gen(function* () {
      const first = yield* Effect.forkScoped(serves as Effect.Effect<never, never, Lines>, { startImmediately: true })
      yield* turns
      yield* Fiber.interrupt(first)
      assert.strictEqual(reasonOf(yield* Effect.flip(Lines.run(echo))), "ServerClosed")
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("is another one where it was built again", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 2; i++) {
        const scope = yield* Scope.make()
        const layer = Layer.provideMerge(Lines.serve(session), MemoryServer.layer(Lines, { name: "again" }))
        const context = yield* Layer.buildWithScope(layer, scope)
        const said = Effect.scoped(Effect.flatMap(Lines.client, (client) => client.send("a")))
        assert.strictEqual(yield* Effect.provideContext(said, context), "a")
        assert.strictEqual(Context.get(context, Lines).address.toString(), "memory:again")
        yield* Scope.close(scope, Exit.void)
      }
    })
  )
})
