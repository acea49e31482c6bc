import { assert, describe, it } from "@effect/vitest"
import { type Connection, MemoryServer, Policy, Response, Session } from "@socketserver/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { counts, type LineHandler, Lines, peer, rest, serving, settled, tell } from "./support/serving.ts"

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))

/** Numbers the requests of each connection, and greets with how many connections there were. */
const numbering = () => {
  let setups = 0
  return Session.make<string, string>((connection) =>
    Effect.gen(function* () {
      let requests = 0
      yield* Effect.orDie(connection.push(`hello ${++setups}`))
      return (request) => Effect.sync(() => Response.make(`${++requests} ${request.body}`))
    })
  )
}

describe("Session.make", () => {
  it.effect("greets when a peer connects, before it has asked anything", () =>
    serving(
      numbering(),
      Effect.gen(function* () {
        const client = yield* peer
        assert.strictEqual(yield* client.take, "hello 1")
        assert.deepStrictEqual(yield* counts, {})
      })
    )
  )

  it.effect("sets up once for each connection, and keeps their states apart", () =>
    serving(
      numbering(),
      Effect.gen(function* () {
        const [a, b] = [yield* peer, yield* peer]
        yield* tell(a, "x", "y")
        assert.deepStrictEqual([yield* a.take, yield* a.take, yield* a.take], ["hello 1", "1 x", "2 y"])
        assert.deepStrictEqual([yield* b.take, yield* b.send("x"), yield* a.send("z")], ["hello 2", "1 x", "3 z"])
      })
    )
  )

  it.effect("sets up connections that were there before it served", () =>
    Effect.gen(function* () {
      const early = yield* peer
      yield* settled
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.forkScoped(Lines.run(numbering()))
          assert.strictEqual(yield* early.take, "hello 1")
          assert.strictEqual(yield* early.send("x"), "1 x")
        })
      )
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layer(Lines)))
  )

  it.effect("lets requests wait for a setup that takes its time, and the greeting still comes first", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const handler = Session.make<string, string>((connection) =>
        gate.await.pipe(Effect.andThen(Effect.orDie(connection.push("hello"))), Effect.as(echo))
      )
      yield* serving(
        handler,
        Effect.gen(function* () {
          const client = yield* peer
          yield* tell(client, "a", "b")
          const server = yield* Lines
          while ((yield* server.connections)[0]?.inFlight !== 2) yield* Effect.yieldNow
          yield* gate.open
          assert.deepStrictEqual([yield* client.take, yield* client.take, yield* client.take], ["hello", "a", "b"])
        })
      )
    })
  )

  it.effect("closes its scope when the peer has left, and not before", () =>
    Effect.gen(function* () {
      const left = yield* Deferred.make<void>()
      let gone = false
      const leave = Effect.suspend(() => {
        gone = true
        return Deferred.succeed(left, undefined)
      })
      // Only the first connection counts: `settled` makes others.
      const handler = Session.make((connection: Connection.Ref<string>) =>
        Effect.as(
          Effect.addFinalizer(() => (connection.id === 1 ? leave : Effect.void)),
          echo
        )
      )
      yield* serving(
        handler,
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* peer
              yield* client.send("a")
              yield* settled
              assert.isFalse(gone)
              yield* client.send("b")
            })
          )
          yield* Deferred.await(left)
        })
      )
    })
  )

  for (const [policy, ends] of [
    [Policy.fiber(), "was interrupted"],
    [Policy.finishing(Policy.fiber()), "has finished"]
  ] as const) {
    it.effect(`closes its scope after its last handler ${ends}: ${policy.name}`, () =>
      Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const gate = yield* Latch.make()
        const over = yield* Deferred.make<void>()
        const log: Array<string> = []
        const slow: LineHandler = () =>
          Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(policy.onPeerGone === "finish" ? gate.await : Effect.never),
            Effect.as(Response.empty),
            Effect.onInterrupt(() => gate.await),
            Effect.ensuring(Effect.sync(() => log.push("handler")))
          )
        const leave = Effect.andThen(
          Effect.sync(() => log.push("scope")),
          Deferred.succeed(over, undefined)
        )
        const handler = Session.make(({ id }: Connection.Ref<string>) =>
          Effect.as(
            Effect.addFinalizer(() => (id === 1 ? leave : Effect.void)),
            slow
          )
        )
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
            // The server has seen by now that the peer has left.
            yield* settled
            assert.deepStrictEqual(log, [])
            yield* gate.open
            yield* Deferred.await(over)
            assert.deepStrictEqual(log, ["handler", "scope"])
            assert.deepStrictEqual((yield* counts).Cancelled, 1)
          }),
          { policy }
        )
      })
    )
  }

  it.effect("closes all scopes when the server stops", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const handler = Session.make((_: Connection.Ref<string>) =>
        Effect.as(
          Effect.addFinalizer(() => Effect.sync(() => log.push("scope"))),
          echo
        )
      )
      yield* serving(
        handler,
        Effect.gen(function* () {
          const [a, b] = [yield* peer, yield* peer]
          yield* Effect.all([a.send("a"), b.send("b")])
        })
      )
      assert.deepStrictEqual(log, ["scope", "scope"])
    })
  )

  it.effect("interrupts a setup that is not done when its peer leaves", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const handler = Session.make<string, string>(() =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
        )
      )
      yield* serving(
        handler,
        Effect.gen(function* () {
          yield* Effect.scoped(Effect.andThen(peer, Deferred.await(begun)))
          yield* Deferred.await(interrupted)
          assert.deepStrictEqual(yield* counts, {})
        })
      )
    })
  )

  describe("when the setup dies", () => {
    const dying = (gate: Effect.Effect<void>, log: Array<string>) =>
      Session.make((connection: Connection.Ref<string>) =>
        gate.pipe(
          Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => log.push("scope")))),
          Effect.andThen(connection.id === 1 ? Effect.die(new Error("bug")) : Effect.succeed(echo))
        )
      )

    it.effect("closes that connection, is Failed in the ledger, and the server goes on", () => {
      const log: Array<string> = []
      return serving(
        dying(Effect.void, log),
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* rest(yield* peer), [])
          assert.deepStrictEqual(yield* counts, { Failed: 1 })
          const next = yield* peer
          assert.strictEqual(yield* next.send("a"), "a")
        })
      )
    })

    it.effect("ends each request that waited for it in one outcome, and closes what it had acquired", () =>
      Effect.gen(function* () {
        const gate = yield* Latch.make()
        const log: Array<string> = []
        yield* serving(
          dying(gate.await, log),
          Effect.gen(function* () {
            yield* Effect.scoped(
              Effect.gen(function* () {
                const client = yield* peer
                yield* tell(client, "a", "b")
                const server = yield* Lines
                while ((yield* server.connections)[0]?.inFlight !== 2) yield* Effect.yieldNow
                yield* gate.open
                assert.deepStrictEqual(yield* rest(client), [])
              })
            )
            yield* settled
            const { Cancelled = 0, Failed = 0, ...others } = yield* counts
            assert.deepStrictEqual(others, {})
            // One for the connection, one for each request.
            assert.strictEqual(Failed + Cancelled, 3)
            assert.isAtLeast(Failed, 1)
            assert.deepStrictEqual(log, ["scope"])
          })
        )
      })
    )
  })
})
