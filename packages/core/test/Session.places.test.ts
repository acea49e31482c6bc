/** Whoever is let in is greeted, or refused, counted and told: whatever bounds the policy. */
import { assert, describe, it } from "@effect/vitest"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { turns } from "./support/scripted.ts"
import { counts, type LineHandler, Lines, logs, peer, rest, serving, tell } from "./support/serving.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}

const echo: LineHandler = (request) => Effect.succeed(Response.make(request.body))
const [, quiet] = logs()

/** What a server records from now on. */
const recorded = <In, Out>(server: Server.Server<In, Out>) =>
  Effect.gen(function* () {
    const outcomes: Array<Outcome.Outcome> = []
    yield* Effect.forkScoped(
      Stream.runForEach(server.outcomes, ({ outcome }) => Effect.sync(() => outcomes.push(outcome))),
      { startImmediately: true }
    )
    yield* turns
    return outcomes
  })

const refusing = (after: Effect.Effect<void>, log: Array<string> = []) =>
  Session.make<string, string>((connection) =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => log.push("scope")))
      yield* after
      yield* Effect.ignore(connection.push("-ERR go away"))
      return yield* Session.refuse("not on the list")
    })
  )

describe("a session that refuses", () => {
  it.effect("tells its peer, closes, counts as refused with its reason, and closes its scope", () => {
    const log: Array<string> = []
    return serving(
      refusing(Effect.void, log),
      Effect.gen(function* () {
        const outcomes = yield* recorded(yield* Lines)
        assert.deepStrictEqual(yield* rest(yield* peer), ["-ERR go away"])
        yield* turns
        assert.deepStrictEqual(outcomes, [{ _tag: "Refused", kind: "Program", reason: "not on the list" }])
        assert.deepStrictEqual(yield* counts, { Refused: 1 })
        assert.deepStrictEqual(log, ["scope"])
        assert.deepStrictEqual(yield* (yield* Lines).connections, [])
      })
    )
  })

  it.effect("answers nothing that was asked meanwhile", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      yield* serving(
        refusing(gate.await),
        Effect.gen(function* () {
          const server = yield* Lines
          const client = yield* peer
          yield* tell(client, "a", "b")
          while ((yield* server.connections)[0]?.inFlight !== 2) yield* Effect.yieldNow
          yield* gate.open
          assert.deepStrictEqual(yield* rest(client), ["-ERR go away"])
          yield* turns
          const { Cancelled = 0, Refused = 0, ...others } = yield* counts
          assert.deepStrictEqual(others, {})
          // One for the connection, one for each request.
          assert.strictEqual(Refused + Cancelled, 3)
          assert.isAtLeast(Refused, 1)
        })
      )
    })
  )

  it.effect("does so for one peer, and not for the next", () =>
    serving(
      Session.make((connection: Connection.Ref<string>) =>
        connection.id === 1 ? Session.refuse("the first") : Effect.succeed(echo)
      ),
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* rest(yield* peer), [])
        assert.strictEqual(yield* (yield* peer).send("a"), "a")
      })
    )
  )
})

describe("a session whose setup", () => {
  it.effect.each([
    { how: "dies", setup: Effect.die(new Error("bug")) },
    { how: "interrupts itself", setup: Effect.interrupt }
  ])("$how is Failed, and its connection closes", ({ setup }) =>
    serving(
      Session.make((connection: Connection.Ref<string>) =>
        connection.id === 1 ? Effect.as(setup, echo) : Effect.succeed(echo)
      ),
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* rest(yield* peer), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
        assert.strictEqual(yield* (yield* peer).send("a"), "a")
      })
    ).pipe(Effect.provide(quiet))
  )

  it.effect("throws is Failed, and its connection closes", () =>
    serving(
      Session.make((connection: Connection.Ref<string>) => {
        if (connection.id === 1) throw new Error("bug")
        return Effect.succeed(echo)
      }),
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* rest(yield* peer), [])
        assert.deepStrictEqual(yield* counts, { Failed: 1 })
        assert.strictEqual(yield* (yield* peer).send("a"), "a")
      })
    ).pipe(Effect.provide(quiet))
  )

  it.effect.each([Policy.sequential, Policy.fiber({ max: 1 }), Policy.connection({ max: 1 })])(
    "hangs holds up no other connection before it has asked anything: $name",
    (policy) =>
      serving(
        Session.make((connection: Connection.Ref<string>) =>
          connection.id === 1 ? Effect.never : Effect.as(Effect.ignore(connection.push("hello")), echo)
        ),
        Effect.gen(function* () {
          yield* peer
          const next = yield* peer
          assert.deepStrictEqual([yield* next.take, yield* next.send("a")], ["hello", "a"])
        }),
        { policy }
      )
  )

  it.effect("is slow lets what was asked wait, in order", () =>
    serving(
      Session.make(() => Effect.as(Effect.sleep("1 second"), echo)),
      Effect.gen(function* () {
        const client = yield* peer
        const asking = yield* Effect.forkScoped(Effect.forEach(["a", "b", "c"], client.send, { concurrency: 3 }))
        yield* turns
        yield* TestClock.adjust("999 millis")
        assert.isUndefined(asking.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(asking), ["a", "b", "c"])
      })
    )
  )
})

/** Greets, and answers what it is asked when the gate opens. */
const greeting = (gate: Effect.Effect<void>) =>
  Session.make<string, string>((connection) =>
    Effect.as(Effect.ignore(connection.push("hello")), (request) => Effect.andThen(gate, echo(request)))
  )

describe("a policy with fewer places than there are connections", () => {
  it.effect.each([
    Policy.sequential,
    Policy.fiber({ max: 2 }),
    Policy.connection({ max: 2 }),
    Policy.keyed({ max: 2 }),
    Policy.finishing(Policy.fiber({ max: 1 }))
  ])("lets a session greet everybody at once, though handlers are busy: $name", (policy) =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      yield* serving(
        greeting(gate.await),
        Effect.gen(function* () {
          const busy = [yield* peer, yield* peer]
          for (const client of busy) {
            assert.strictEqual(yield* client.take, "hello")
            yield* tell(client, "wait")
          }
          yield* turns
          const third = yield* peer
          assert.strictEqual(yield* third.take, "hello")
          yield* gate.open
          assert.strictEqual(yield* third.send("a"), "a")
        }),
        { policy }
      )
    })
  )

  it.effect.each([
    { policy: Policy.fiber({ max: 2 }), places: 2 },
    { policy: Policy.connection({ max: 2 }), places: 2 },
    { policy: Policy.sequential, places: 1 }
  ])("refuses a whole connection that finds no place in ten seconds: $policy.name", ({ places, policy }) =>
    Effect.gen(function* () {
      const server = yield* Talk
      const outcomes = yield* recorded(server)
      const inside = yield* Effect.forEach(Array.from({ length: places }), () => Talk.client)
      for (const client of inside) assert.strictEqual(yield* client.take, "hello")
      const outside = yield* Talk.client
      const said = yield* Effect.forkScoped(Effect.exit(outside.take))
      yield* turns
      yield* TestClock.adjust("9999 millis")
      yield* turns
      assert.isUndefined(said.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(said)))
      yield* turns
      assert.deepStrictEqual(outcomes, [
        { _tag: "Refused", kind: "PlaceTimeout", reason: "no handler was free within 10000 ms" }
      ])
      assert.strictEqual((yield* server.counts).Refused, 1)
      assert.strictEqual((yield* server.connections).length, places)
      // Its turn in the policy costs nobody a place.
      const waiting = yield* Talk.client
      yield* inside[0]!.write("bye")
      assert.strictEqual(yield* waiting.take, "hello")
    }).pipe(Effect.scoped, talking({ policy }))
  )

  it.effect.each([
    { when: "is taken in time", after: "9999 millis", refused: 0 },
    { when: "is not taken in time", after: "10001 millis", refused: 1 }
  ] as const)("does so to one that is handed to a worker and $when, and to a datagram", ({ after, refused }) => {
    const test = (log: Array<string>) =>
      Effect.gen(function* () {
        const server = yield* Talk
        const client = yield* Talk.client
        yield* client.write("hello")
        yield* turns
        yield* TestClock.adjust("10 seconds")
        yield* turns
        yield* TestClock.adjust("1 hour")
        yield* turns
        assert.strictEqual((yield* server.counts).Refused, refused)
        assert.strictEqual((yield* server.connections).length, 1 - refused)
        assert.deepStrictEqual(log.splice(0), [refused === 1 ? "given up" : "taken"])
      }).pipe(Effect.scoped)
    const [streams, datagrams]: [Array<string>, Array<string>] = [[], []]
    return Effect.andThen(
      test(streams).pipe(talking({ policy: handedOn(after, streams) })),
      test(datagrams).pipe(
        Effect.provide(
          Layer.provideMerge(
            Talk.serve(() => Effect.succeed(Response.empty), { policy: handedOn(after, datagrams) }),
            MemoryServer.layerDatagrams(Talk, { drainTimeout: 0 })
          )
        )
      )
    )
  })

  it.effect.each([
    Policy.sequential,
    Policy.fiber({ max: 1 }),
    Policy.connection({ max: 1 }),
    // It is with a worker, which has not taken it.
    handedOn("1 hour", [])
  ])("tells a whole connection that finds no place why it is refused: $name", (policy) =>
    Effect.gen(function* () {
      yield* Talk.client
      yield* turns
      const outside = yield* Talk.client
      const said = yield* Effect.forkScoped(Stream.runCollect(outside.stream), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(said), ["ERR PlaceTimeout"])
      yield* outside.end
    }).pipe(
      Effect.scoped,
      talking({ policy, onTurnedAway: ({ kind }: Outcome.Refused) => Response.make(`ERR ${kind}`) })
    )
  )

  it.effect("refuses one without a word where what it would say cannot be sent, or its program throws", () =>
    Effect.gen(function* () {
      yield* Talk.client
      for (let times = 0; times < 2; times++) {
        const outside = yield* Talk.client
        const said = yield* Effect.forkScoped(Stream.runCollect(outside.stream), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.join(said), [])
      }
      assert.strictEqual((yield* (yield* Talk).counts).Refused, 2)
    }).pipe(
      Effect.scoped,
      talking({
        policy: Policy.sequential,
        onTurnedAway: (_: Outcome.Refused, { id }: Connection.Info) => {
          if (id === 2) throw new Error("a bug")
          return Response.make("two\nlines")
        }
      }),
      Effect.provide(quiet)
    )
  )

  it.effect("lets a whole connection in whose place is there in time, for as long as it likes", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* Talk.client, yield* Talk.client]
      assert.strictEqual(yield* first.take, "hello")
      yield* second.write("said before")
      yield* TestClock.adjust("900 millis")
      yield* first.write("bye")
      assert.deepStrictEqual([yield* second.take, yield* second.take], ["hello", "said before"])
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* second.send("a"), "a")
    }).pipe(Effect.scoped, talking({ policy: Policy.sequential }, { placeTimeout: "1 second" }))
  )

  it.effect("counts a peer that leaves while it waits once, and not as refused", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const first = yield* Talk.client
      assert.strictEqual(yield* first.take, "hello")
      yield* Effect.scoped(Effect.andThen(Talk.client, (client) => client.reset))
      yield* turns
      yield* TestClock.adjust("1 minute")
      yield* turns
      const { Cancelled, Refused } = yield* server.counts
      assert.deepStrictEqual({ Cancelled, Refused }, { Cancelled: 1, Refused: 0 })
    }).pipe(Effect.scoped, talking({ policy: Policy.sequential }))
  )

  it.effect("refuses a datagram that finds no place, where it is a whole connection", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      for (const line of ["one", "two"]) yield* client.write(line)
      assert.strictEqual(yield* client.take, "hello")
      yield* TestClock.adjust("10 seconds")
      yield* turns
      assert.strictEqual((yield* server.counts).Refused, 1)
      assert.strictEqual((yield* server.connections).length, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(
            Handler.dialogue<string, string>((connection) => Effect.andThen(connection.write("hello"), Effect.never)),
            { policy: Policy.sequential }
          ),
          MemoryServer.layerDatagrams(Talk, { drainTimeout: 0 })
        )
      ),
      Effect.provide(quiet)
    )
  )
})

/** Greets, says what it hears, and ends at `bye`. */
/** As if a worker took each connection after a while. */
const handedOn = (after: Duration.Input, log: Array<string>): Policy.Policy => ({
  ...Policy.fiber(),
  name: "handed on",
  place: (served) =>
    Effect.succeed({
      ...served,
      handler: (request) => {
        const relay = Remote.relay(request.body as object)
        const taken = Effect.sync(() => {
          relay.start({ onData: () => {}, onEnd: () => {} })
          log.push("taken")
        })
        return Effect.andThen(Effect.andThen(Effect.sleep(after), taken), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.sync(() => log.push("given up")))
        )
      }
    })
})

const talking = (options?: Server.ServeOptions<any>, transport?: MemoryServer.MemoryServerOptions) =>
  Effect.provide(
    Layer.provideMerge(
      Talk.serve(
        Handler.dialogue<string, string>((connection) =>
          Effect.andThen(
            connection.write("hello"),
            Stream.runForEach(
              Stream.takeWhile(connection.stream, (line) => line !== "bye"),
              connection.write
            )
          )
        ),
        options
      ),
      MemoryServer.layer(Talk, { ...transport, drainTimeout: 0 })
    )
  )

describe("without a policy", () => {
  // More than any policy bounds by default.
  const several = 1_100

  it.effect("as many whole connections run as are let in, and one more is refused", () =>
    Effect.gen(function* () {
      const server = yield* Talk
      const clients = yield* Effect.forEach(Array.from({ length: several }), () => Talk.client)
      for (const client of clients) assert.strictEqual(yield* client.take, "hello")
      assert.strictEqual((yield* server.connections).length, several)
      assert.deepStrictEqual(Exit.isFailure(yield* Effect.exit((yield* Talk.client).take)), true)
      assert.strictEqual((yield* server.counts).Refused, 1)
    }).pipe(Effect.scoped, talking({}, { maxConnections: several }), Effect.provide(quiet))
  )

  it.effect("as many sessions are at work as are let in", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const server = Layer.provideMerge(
        Lines.serve(greeting(gate.await)),
        MemoryServer.layer(Lines, { maxConnections: several })
      )
      yield* Effect.gen(function* () {
        const clients = yield* Effect.forEach(Array.from({ length: several }), () => peer)
        for (const client of clients) {
          assert.strictEqual(yield* client.take, "hello")
          yield* client.write("wait")
        }
        const last = clients.at(-1)!
        yield* turns
        yield* gate.open
        assert.strictEqual(yield* last.take, "wait")
      }).pipe(Effect.scoped, Effect.provide(server))
    })
  )

  it.effect("the requests of a session are handled in their order, connections side by side", () => {
    const begun: Array<string> = []
    const slow: LineHandler = ({ body }) =>
      Effect.andThen(
        Effect.sync(() => begun.push(body)),
        Effect.delay(Effect.succeed(Response.make(body)), "1 second")
      )
    return serving(
      Session.make(() => Effect.succeed(slow)),
      Effect.gen(function* () {
        const [a, b] = [yield* peer, yield* peer]
        yield* tell(a, "a1", "a2")
        yield* tell(b, "b1", "b2")
        yield* turns
        assert.deepStrictEqual(begun.toSorted(), ["a1", "b1"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(begun.toSorted(), ["a1", "a2", "b1", "b2"])
        yield* TestClock.adjust("1 second")
      })
    )
  })
})

describe("the connections of a server", () => {
  it.effect("can be pushed to and closed, by anybody", () =>
    serving(
      echo,
      Effect.gen(function* () {
        const server = yield* Lines
        const [a, b] = [yield* peer, yield* peer]
        yield* Effect.all([a.send("x"), b.send("y")])
        const refs = yield* server.connections
        assert.strictEqual(refs.length, 2)
        yield* Effect.forEach(refs, (ref) => ref.push(`news for ${ref.id}`))
        assert.deepStrictEqual([yield* a.take, yield* b.take], ["news for 1", "news for 2"])
        yield* refs[0]!.push("bye")
        yield* refs[0]!.close
        assert.deepStrictEqual(yield* rest(a), ["bye"])
        assert.strictEqual(yield* b.send("still"), "still")
        assert.deepStrictEqual(
          (yield* server.connections).map(({ id }) => id),
          [2]
        )
        assert.strictEqual((yield* Effect.flip(refs[0]!.push("late"))).reason._tag, "Closed")
      })
    )
  )

  it.effect("that are closed cancel what they were asked, and count it", () => {
    const begun = Deferred.makeUnsafe<void>()
    return serving(
      () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
      Effect.gen(function* () {
        const client = yield* peer
        yield* tell(client, "for ever")
        yield* Deferred.await(begun)
        const [ref] = yield* (yield* Lines).connections
        yield* ref!.close
        assert.deepStrictEqual(yield* rest(client), [])
        assert.deepStrictEqual(yield* counts, { Cancelled: 1 })
      })
    )
  })
})
