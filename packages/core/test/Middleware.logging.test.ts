import { assert, describe, it } from "@effect/vitest"
import { Middleware, Response } from "@socketserver/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { counts, type LineHandler, logs, peer, rest, serving, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

describe("Middleware.logging", () => {
  const handler: LineHandler = (request) => {
    switch (request.body) {
      case "die":
        return Effect.die(new Error("bug"))
      case "empty":
        return Effect.succeed(Response.empty)
      case "stream":
        return Effect.succeed(Response.stream(Stream.make("s")))
      default:
        return Effect.as(Effect.sleep(Number(request.body)), Response.make("secret answer"))
    }
  }

  it.effect("logs each request with its peer, its time and what was answered, but no bodies", () => {
    const [entries, layer] = logs()
    return serving(
      Middleware.logging(handler),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "1500", "empty", "stream")
        yield* settled
        yield* TestClock.adjust("1500 millis")
        assert.deepStrictEqual([yield* client.take, yield* client.take], ["secret answer", "s"])
        const facts = entries.map(({ annotations, level, message }) => {
          assert.match(String(annotations["peer"]), /^memory:.*#1$/)
          return [level, message, annotations["request"], annotations["millis"], annotations["response"]]
        })
        assert.sameDeepMembers(facts, [
          ["Info", "request answered", 1, 1_500, "Reply"],
          ["Info", "request answered", 2, 0, "Empty"],
          ["Info", "request answered", 3, 0, "Streamed"]
        ])
        assert.notInclude(JSON.stringify(entries), "secret")
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("logs at the level it is given", () => {
    const [entries, layer] = logs()
    return serving(
      Middleware.logging<string, string, never>(handler, { level: "Debug" }),
      Effect.gen(function* () {
        const client = yield* peer
        yield* client.send("0")
        assert.deepStrictEqual(
          entries.map(({ level }) => level),
          ["Debug"]
        )
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("logs a request that died as an error, which stays Failed", () => {
    const [entries, layer] = logs()
    return serving(
      Middleware.logging()(handler),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "die")
        assert.deepStrictEqual(yield* rest(client), [])
        const failed = entries.filter(({ message }) => message.startsWith("request failed"))
        assert.deepStrictEqual(
          failed.map(({ level }) => level),
          ["Error"]
        )
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("says what another middleware has made of the request", () => {
    const [entries, layer] = logs()
    const refused = Middleware.filter(echo, () => Effect.succeed(false), { reason: "closed on Sundays" })
    return serving(
      Middleware.logging(refused),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "x")
        yield* rest(client)
        assert.deepStrictEqual(
          entries.filter(({ level }) => level === "Info").map(({ message }) => message),
          ["request refused: closed on Sundays"]
        )
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("does not log a request whose peer has left as an error", () =>
    Effect.gen(function* () {
      const [entries, layer] = logs()
      const begun = yield* Deferred.make<void>()
      const waiting: LineHandler = () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      yield* serving(
        Middleware.logging(waiting),
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* peer
              yield* tell(client, "x")
              yield* Deferred.await(begun)
              yield* client.reset
            })
          )
          yield* settled
          assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
          assert.deepStrictEqual(
            entries.filter(({ level }) => level === "Error"),
            []
          )
        })
      ).pipe(Effect.provide(layer))
    })
  )
})
