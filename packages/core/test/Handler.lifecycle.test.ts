import { assert, describe, it } from "@effect/vitest"
import { Handler, Response } from "@socketserver/core"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { counts, type LineHandler, peer, rest, serving, settled, tell } from "./support/serving.ts"

const bug = Effect.die(new Error("bug"))

describe("Handler.lifecycle", () => {
  const traced = (log: Array<string>, faulty?: "setup" | "handle" | "handle throws" | "finish") =>
    Handler.lifecycle<string, string, string>({
      setup: (request) => {
        log.push(`setup ${request.body}`)
        return faulty === "setup" ? bug : Effect.succeed(`state of ${request.body}`)
      },
      handle: (request, state) => {
        log.push(`handle ${request.body} with ${state}`)
        if (faulty === "handle throws") throw new Error("bug")
        return faulty === "handle" ? bug : Effect.succeed(Response.make(request.body))
      },
      finish: (request, state, exit) => {
        log.push(`finish ${request.body} with ${state} after ${exit._tag}`)
        return faulty === "finish" ? bug : Effect.void
      }
    })

  it.effect("runs setup, handle and finish in order, for each request", () => {
    const log: Array<string> = []
    return serving(
      traced(log),
      Effect.gen(function* () {
        const client = yield* peer
        assert.deepStrictEqual([yield* client.send("a"), yield* client.send("b")], ["a", "b"])
        const of = (name: string) => [
          `setup ${name}`,
          `handle ${name} with state of ${name}`,
          `finish ${name} with state of ${name} after Success`
        ]
        assert.deepStrictEqual(log, [...of("a"), ...of("b")])
      })
    )
  })

  const faults: ReadonlyArray<readonly [Parameters<typeof traced>[1], Array<string>]> = [
    ["setup", ["setup a"]],
    ["handle", ["setup a", "handle a with state of a", "finish a with state of a after Failure"]],
    ["handle throws", ["setup a", "handle a with state of a", "finish a with state of a after Failure"]],
    ["finish", ["setup a", "handle a with state of a", "finish a with state of a after Success"]]
  ]
  for (const [faulty, steps] of faults) {
    it.effect(`ends the request as Failed if it dies: ${faulty}`, () => {
      const log: Array<string> = []
      return serving(
        traced(log, faulty),
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "a")
          assert.deepStrictEqual(yield* rest(client), [])
          assert.deepStrictEqual(log, steps)
          assert.deepStrictEqual(yield* counts, { Failed: 1 })
        })
      )
    })
  }

  it.effect("finishes when the peer has left in the middle of it", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const finished = yield* Deferred.make<Exit.Exit<unknown>>()
      const handler = Handler.lifecycle<string, string, void>({
        setup: () => Effect.void,
        handle: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
        finish: (_, __, exit) => Effect.asVoid(Deferred.succeed(finished, exit))
      })
      yield* serving(
        handler,
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* peer
              yield* tell(client, "a")
              yield* Deferred.await(begun)
              yield* client.reset
            })
          )
          const exit = yield* Deferred.await(finished)
          assert(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
          assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
        })
      )
    })
  )
})

describe("Handler.onFailure", () => {
  const failing: LineHandler = (request) => {
    if (request.body === "throw") throw new Error("bug")
    return request.body === "die" ? bug : Effect.succeed(Response.make(request.body))
  }

  for (const how of ["die", "throw"]) {
    it.effect(`runs with the cause and the request when a handler dies, and the server goes on: ${how}`, () => {
      const seen: Array<string> = []
      const handler = Handler.onFailure(failing, (cause, request) =>
        Effect.sync(() =>
          seen.push(`${request.body} of ${request.peer.name}: ${(Cause.squash(cause) as Error).message}`)
        )
      )
      return serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "a", how)
          assert.deepStrictEqual(yield* rest(client), ["a"])
          assert.match(seen.join("; "), new RegExp(`^${how} of memory:.*#1: bug$`))
          assert.deepStrictEqual(yield* counts, { Completed: 1, Failed: 1 })
          assert.strictEqual(yield* (yield* peer).send("b"), "b")
        })
      )
    })
  }

  it.effect("does not run for a request whose peer has left: that is no failure", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      let failures = 0
      const waiting: LineHandler = () =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.ensuring(Deferred.succeed(ended, undefined))
        )
      const handler = Handler.onFailure(waiting, () => Effect.sync(() => failures++))
      yield* serving(
        handler,
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* peer
              yield* tell(client, "a")
              yield* Deferred.await(begun)
              yield* client.reset
            })
          )
          yield* Deferred.await(ended)
          yield* settled
          assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
          assert.strictEqual(failures, 0)
        })
      )
    })
  )

  it.effect("leaves the request Failed with the handler's cause if it dies itself", () =>
    serving(
      Handler.onFailure(failing, () => bug),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "die")
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
      })
    )
  )
})
