import { assert, describe, it } from "@effect/vitest"
import { Middleware, Response } from "@socketserver/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { counts, type LineHandler, Lines, logs, peer, rest, serving, settled, tell } from "./support/serving.ts"

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
          return [
            level,
            message.replace(/ from .* /, " "),
            annotations["request"],
            annotations["millis"],
            annotations["response"]
          ]
        })
        assert.sameDeepMembers(facts, [
          ["Info", "Lines: request 1 answered", 1, 1_500, "Reply"],
          ["Info", "Lines: request 2 answered", 2, 0, "Empty"],
          ["Info", "Lines: request 3 answered", 3, 0, "Streamed"]
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

  it.effect("logs a request that died once, as an error, which stays Failed", () => {
    const [entries, layer] = logs()
    return serving(
      Middleware.logging()(handler),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "die")
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
        const [line, ...others] = entries
        assert.deepStrictEqual(others, [])
        assert.strictEqual(line?.level, "Error")
        assert.match(line?.message ?? "", /^Lines: request 1 from memory:\S+ failed$/)
        assert.deepStrictEqual([line?.annotations["request"], line?.annotations["millis"]], [1, 0])
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
        assert.lengthOf(entries, 1)
        assert.match(entries[0]!.message, /^Lines: request 1 from memory:\S+ ended: refused: closed on Sundays$/)
        assert.deepStrictEqual([entries[0]!.level, entries[0]!.annotations["outcome"]], ["Info", "Refused"])
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("logs a request whose peer has left once, and as no error", () =>
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
          assert.lengthOf(entries, 1)
          assert.match(entries[0]!.message, /^Lines: request 1 from memory:\S+ ended: the peer is gone$/)
          assert.strictEqual(entries[0]!.level, "Info")
        })
      ).pipe(Effect.provide(layer))
    })
  )

  it.effect("logs a request once, also where outcomes are logged", () => {
    const [entries, layer] = logs()
    const late = Middleware.timeout(handler, "1 second")
    return serving(
      Middleware.logging(late),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "2000")
        yield* settled
        yield* TestClock.adjust("1 second")
        yield* rest(client)
        assert.deepStrictEqual(
          entries.map(({ annotations, level, message }) => [
            level,
            message.replace(/ from .* /, " "),
            annotations["millis"]
          ]),
          [["Info", "Lines: request 1 ms", 1_000]]
        )
      }).pipe(Effect.provide(Lines.logOutcomes))
    ).pipe(Effect.provide(layer))
  })

  it.effect("quotes nothing of what a peer has sent", () => {
    const [entries, layer] = logs()
    const secret = "s\x1b[31mecret"
    return serving(
      Middleware.logging(() => Effect.die(new Error(secret))),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, secret)
        yield* rest(client)
        assert.notInclude(JSON.stringify(entries), "ecret")
      })
    ).pipe(Effect.provide(layer))
  })
})
