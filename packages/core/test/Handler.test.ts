import { assert, describe, it } from "@effect/vitest"
import { Handler, type Request, Response } from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { counts, type LineHandler, peer, rest, serving, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

const bug = Effect.die(new Error("bug"))

describe("Handler.recover", () => {
  const fallible = (request: Request.Request<string>) =>
    request.body === "fail"
      ? Effect.fail("no")
      : request.body === "die"
        ? bug
        : Effect.succeed(Response.make(request.body))
  const answer = (error: string, request: Request.Request<string>) =>
    Response.make(`${error}: ${request.body} ${request.id}`)

  for (const [form, handler] of [
    ["data first", Handler.recover(fallible, answer)],
    ["data last", Handler.recover(answer)(fallible)]
  ] as const) {
    it.effect(`turns an error into a response, and lets answers be (${form})`, () =>
      serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          assert.deepStrictEqual([yield* client.send("a"), yield* client.send("fail")], ["a", "no: fail 2"])
          assert.deepStrictEqual(yield* counts, { Completed: 2 })
        })
      )
    )
  }

  it.effect("does not recover from a defect: the request is Failed and its connection closes", () =>
    serving(
      Handler.recover(fallible, answer),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "a", "die", "b")
        assert.deepStrictEqual(yield* rest(client), ["a"])
        assert.deepStrictEqual(yield* counts, { Completed: 1, Failed: 1, Cancelled: 1 })
      })
    )
  )
})

describe("Handler.mapRequest", () => {
  it.effect("converts the body and leaves the rest of the request as it is", () => {
    const seen: Array<Request.Request<unknown>> = []
    const double = (request: Request.Request<number>) =>
      Effect.sync(() => {
        seen.push(request)
        return Response.make(`${request.body * 2}`)
      })
    const spied: LineHandler = (request) => {
      seen.push(request)
      return Handler.mapRequest(double, Number)(request)
    }
    return serving(
      spied,
      Effect.gen(function* () {
        const client = yield* peer
        assert.strictEqual(yield* client.send("21"), "42")
        const [before, after] = seen as [Request.Request<unknown>, Request.Request<unknown>]
        assert.deepStrictEqual([before.body, after.body], ["21", 21])
        for (const field of ["id", "peer", "receivedAt", "connection"] as const) {
          assert.strictEqual(after[field], before[field])
        }
      })
    )
  })

  it.effect("fails the request if the conversion throws", () =>
    serving(
      Handler.mapRequest((body: string): string => {
        if (body === "bad") throw new Error("bad")
        return body
      })(echo),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "a", "bad")
        assert.deepStrictEqual(yield* rest(client), ["a"])
        assert.deepStrictEqual(yield* counts, { Completed: 1, Failed: 1 })
      })
    )
  )
})

describe("Handler.mapResponse", () => {
  const bracket = (n: number) => `<${n}>`

  it.effect("converts replies, every message of a stream, and pushes; empty stays empty", () => {
    const handler = (request: Request.Request<string, number>) => {
      switch (request.body) {
        case "push":
          return Effect.as(Effect.orDie(request.connection.push(7)), Response.make(8))
        case "stream":
          return Effect.succeed(Response.stream(Stream.make(1, 2, 3)))
        case "empty":
          return Effect.succeed(Response.empty)
        default:
          return Effect.succeed(Response.andClose(Response.make(0)))
      }
    }
    return serving(
      Handler.mapResponse(handler, bracket),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "stream", "empty", "push", "close")
        assert.deepStrictEqual(yield* rest(client), ["<1>", "<2>", "<3>", "<7>", "<8>", "<0>"])
        assert.deepStrictEqual(yield* counts, { Completed: 4 })
      })
    )
  })

  it.effect("gives all requests of a connection the same connection", () => {
    const seen: Array<unknown> = []
    const handler = (request: Request.Request<string, number>) =>
      Effect.sync(() => {
        seen.push(request.connection)
        return Response.make(request.connection.id)
      })
    return serving(
      Handler.mapResponse(handler, bracket),
      Effect.gen(function* () {
        const [a, b] = [yield* peer, yield* peer]
        const ids = [yield* a.send("1"), yield* a.send("2"), yield* b.send("3")]
        assert.strictEqual(ids[0], ids[1])
        assert.notStrictEqual(ids[1], ids[2])
        assert.strictEqual(seen[0], seen[1])
        assert.notStrictEqual(seen[1], seen[2])
      })
    )
  })

  for (const [title, wrap] of [
    ["directly", (self: LineHandler): LineHandler => self],
    ["through mapResponse", (self: LineHandler): LineHandler => Handler.mapResponse(self, (line: string) => line)]
  ] as const) {
    it.effect(`lets a handler close its connection, ${title}: nothing can be pushed any more`, () => {
      let pushed: Exit.Exit<void, unknown> | undefined
      const handler: LineHandler = ({ connection }) =>
        Effect.uninterruptible(
          Effect.gen(function* () {
            yield* connection.close
            pushed = yield* Effect.exit(connection.push("late"))
            return Response.make("unheard")
          })
        )
      return serving(
        wrap(handler),
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "go")
          assert.deepStrictEqual(yield* rest(client), [])
          assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
          assert(pushed !== undefined && Exit.isFailure(pushed))
          assert.match(Cause.pretty(pushed.cause), /it is closed/)
        })
      )
    })

    for (const [when, before] of [
      ["at once", Effect.void],
      ["after it has waited", Effect.yieldNow]
    ] as const) {
      it.effect(`lets a handler that closes its connection ${when} go on, ${title}`, () =>
        Effect.gen(function* () {
          const ended = yield* Deferred.make<Exit.Exit<unknown>>()
          const handler: LineHandler = ({ connection }) =>
            before.pipe(
              Effect.andThen(connection.close),
              Effect.andThen(Effect.yieldNow),
              Effect.as(Response.empty),
              Effect.onExit((exit) => Deferred.succeed(ended, exit))
            )
          yield* serving(
            wrap(handler),
            Effect.gen(function* () {
              const client = yield* peer
              yield* tell(client, "go")
              assert.deepStrictEqual(yield* rest(client), [])
              assert.strictEqual((yield* Deferred.await(ended))._tag, "Success")
              yield* settled
              assert.deepStrictEqual(yield* counts, { Completed: 1 })
            })
          )
        })
      )
    }
  }
})
