import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import * as Remote from "@socketserver/core/Remote"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Session from "@socketserver/core/Session"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Outcome from "@socketserver/core/Outcome"
import * as Peer from "@socketserver/core/Peer"
import * as Transport from "@socketserver/core/Transport"
import type * as Wire from "@socketserver/core/Wire"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Counts the datagrams of each sender, and what was set up and released. */
const counting = (options?: {
  readonly setup?: (connection: Connection.Ref<string>) => Effect.Effect<void, Outcome.Refused>
  readonly answer?: (n: number, body: string) => Effect.Effect<Response.Response<string>>
}) => {
  const seen = { ids: [] as Array<number>, released: [] as Array<number> }
  const session: Session.Session<string, string> = Session.make((connection: Connection.Ref<string>) =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => void seen.ids.push(connection.id)),
        () => Effect.sync(() => void seen.released.push(connection.id))
      )
      yield* options?.setup?.(connection) ?? Effect.void
      let n = 0
      return ({ body }) => options?.answer?.(++n, body) ?? Effect.succeed(Response.make(`${++n}: ${body}`))
    })
  )
  return { seen, session }
}

const inMemory =
  (work: Session.Session<string, string>, options?: MemoryServer.MemoryServerOptions, policy?: Policy.Policy) =>
  <A, E, R>(test: Effect.Effect<A, E, R>) =>
    test.pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(work, policy === undefined ? {} : { policy: policy as never }),
          MemoryServer.layerDatagrams(Lines, options)
        )
      )
    )

const server = Effect.flatMap(Lines, Effect.succeed)

describe("a session over datagrams", () => {
  it.effect.each(
    [undefined, Policy.sequential, Policy.fiber(), Policy.connection()].map((policy) => ({
      policy,
      name: policy?.name ?? "no policy"
    }))
  )("has its state for each sender under $name", ({ policy }) => {
    const { seen, session } = counting()
    return Effect.gen(function* () {
      const [one, other] = [yield* Lines.client, yield* Lines.client]
      assert.strictEqual(yield* one.send("a"), "1: a")
      assert.strictEqual(yield* one.send("b"), "2: b")
      assert.strictEqual(yield* other.send("c"), "1: c")
      assert.strictEqual(yield* one.send("d"), "3: d")
      assert.deepStrictEqual([seen.ids.length, seen.released], [2, []])
    }).pipe(inMemory(session, undefined, policy))
  })

  it.effect("has it for the same peer once for each listener, and over a connection as ever", () => {
    const { session } = counting()
    const both = Transport.layer(Lines, {}, [
      MemoryServer.listenDatagrams("a"),
      MemoryServer.listenDatagrams("b"),
      MemoryServer.listen("c")
    ])
    const asks = (name: string, peer: string, text: string) =>
      Effect.gen(function* () {
        const wire = yield* MemoryServer.wire(name, { name: peer })
        const client = yield* Client.make(wire, Protocol.lines())
        return yield* client.send(text)
      })
    return Effect.gen(function* () {
      assert.strictEqual(yield* asks("a", "peer", "x"), "1: x")
      assert.strictEqual(yield* asks("a", "peer", "x"), "2: x")
      assert.strictEqual(yield* asks("b", "peer", "x"), "1: x")
      assert.strictEqual(yield* asks("c", "peer", "x"), "1: x")
      assert.strictEqual(yield* asks("c", "peer", "x"), "1: x")
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Lines.serve(session), both)))
  })

  it.effect("is released when its sender was silent for senderTimeout, and begins anew", () => {
    const { seen, session } = counting()
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("a"), "1: a")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* client.send("b"), "2: b")
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(seen.released, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(seen.released, [seen.ids[0]])
      assert.strictEqual(yield* client.send("c"), "1: c")
      assert.strictEqual(seen.ids.length, 2)
    }).pipe(inMemory(session, { senderTimeout: "5 seconds" }))
  })

  it.effect("is kept for a minute unless told otherwise, and for ever where that is off", () => {
    const { seen, session } = counting()
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.send("a")
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(seen.released, [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.released.length, 1)
      yield* client.send("b")
      yield* Effect.flatMap(server, ({ control }) => control.change({ senderTimeout: "off" }))
      yield* TestClock.adjust("10 days")
      assert.strictEqual(seen.released.length, 1)
      yield* Effect.flatMap(server, ({ control }) => control.change({ senderTimeout: "1 second" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.released.length, 2)
    }).pipe(inMemory(session))
  })

  it.effect("is not released while a datagram of its sender is at work", () => {
    const { seen, session } = counting({
      answer: (_, body) => Effect.delay(Effect.succeed(Response.make(body)), "1 minute")
    })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("slow")
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(seen.released, [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* client.take, "slow")
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(seen.released, [])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(seen.released.length, 1)
    }).pipe(inMemory(session, { senderTimeout: "1 second" }))
  })

  it.effect("has the datagrams of a sender handled in their order, and those of others beside them", () => {
    const { session } = counting({
      answer: (_, body) => Effect.delay(Effect.succeed(Response.make(body)), body === "slow" ? "1 second" : 0)
    })
    return Effect.gen(function* () {
      const [one, other] = [yield* Lines.client, yield* Lines.client]
      yield* one.write("slow")
      yield* one.write("quick")
      assert.strictEqual(yield* other.send("other"), "other")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* one.take, yield* one.take], ["slow", "quick"])
    }).pipe(inMemory(session))
  })

  it.effect("is the connection that its handlers see, whose facts are all of the sender's", () => {
    const refs: Array<Connection.Ref<string>> = []
    const session: Session.Session<string, string> = Session.make((connection: Connection.Ref<string>) =>
      Effect.sync(() => {
        refs.push(connection)
        return (request) => {
          refs.push(request.connection)
          return Effect.succeed(Response.make(`${request.connection.inFlight}`))
        }
      })
    )
    return Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("12345"), "1")
      assert.strictEqual(yield* client.send("123"), "1")
      const [ref] = refs
      assert.isTrue(refs.every((other) => other === ref))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        [ref!.kind, ref!.bytesRead, ref!.bytesWritten, ref!.inFlight, ref!.endedBy],
        ["datagram", 8, 2, 0, undefined]
      )
      assert.deepStrictEqual(yield* Effect.flatMap(server, ({ connections }) => connections), [ref])
    }).pipe(inMemory(session))
  })

  it.effect("pushes to its sender at the set-up and long after, until it has ended", () => {
    const refs: Array<Connection.Ref<string>> = []
    const { session } = counting({
      setup: (connection) =>
        Effect.andThen(
          Effect.sync(() => void refs.push(connection)),
          Effect.orDie(connection.push("welcome"))
        )
    })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["welcome", "1: a"])
      yield* TestClock.adjust("30 seconds")
      yield* refs[0]!.push("still there?")
      assert.strictEqual(yield* client.take, "still there?")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Effect.flip(refs[0]!.push("no more"))).reason._tag, "Closed")
      assert.strictEqual(refs[0]!.endedBy, "self")
    }).pipe(inMemory(session))
  })

  it.effect("ends when it is closed, by its handler or its answer", () => {
    const { seen, session } = counting({
      answer: (n, body) =>
        Effect.succeed(
          body === "bye" ? Response.andClose(Response.make(`${n}: ${body}`)) : Response.make(`${n}: ${body}`)
        )
    })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.send("a")
      assert.strictEqual(yield* client.send("bye"), "2: bye")
      yield* TestClock.adjust(0)
      assert.strictEqual(seen.released.length, 1)
      assert.strictEqual(yield* client.send("b"), "1: b")
      yield* TestClock.adjust(0)
      const [ref] = yield* Effect.flatMap(server, ({ connections }) => connections)
      yield* ref!.close
      yield* TestClock.adjust(0)
      assert.strictEqual(seen.released.length, 2)
      assert.deepStrictEqual(yield* Effect.flatMap(server, ({ connections }) => connections), [])
    }).pipe(inMemory(session))
  })

  it.effect("turns a sender away once for each datagram, and is set up anew for the next", () => {
    let refused = 0
    const { seen, session } = counting({ setup: () => (++refused < 3 ? Session.refuse("not yet") : Effect.void) })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* client.write("b")
      assert.strictEqual(yield* client.send("c"), "1: c")
      yield* TestClock.adjust(0)
      const { Completed, Refused } = yield* Effect.flatMap(server, ({ counts }) => counts)
      assert.deepStrictEqual({ Completed, Refused }, { Completed: 1, Refused: 2 })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([seen.ids.length, seen.released.length], [3, 2])
    }).pipe(inMemory(session, undefined, Policy.sequential))
  })

  it.effect("costs a sender whose set-up dies its datagram, and nobody anything else", () => {
    let died = false
    const { session } = counting({ setup: () => (died ? Effect.void : ((died = true), Effect.die("a defect"))) })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* client.send("b"), "1: b")
      assert.strictEqual((yield* Effect.flatMap(server, ({ counts }) => counts)).Failed, 1)
    }).pipe(inMemory(session))
  })

  it.effect("refuses what waits for a set-up that takes longer than loginTimeout", () => {
    const { seen, session } = counting({ setup: () => Effect.never })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* client.write("b")
      yield* TestClock.adjust("3 seconds")
      const { counts, refusals } = yield* server
      assert.deepStrictEqual([(yield* counts).Refused, (yield* refusals).LoginTimeout], [2, 2])
      yield* TestClock.adjust(0)
      assert.strictEqual(seen.released.length, 1)
    }).pipe(inMemory(session, { loginTimeout: "3 seconds" }))
  })

  it.effect("makes nothing of what is no message", () => {
    const { seen, session } = counting()
    return Effect.gen(function* () {
      const raw = yield* Lines.rawClient
      yield* raw.write(Uint8Array.of(0xff))
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flatMap(server, ({ counts }) => counts)).Malformed, 1)
      assert.deepStrictEqual(seen.ids, [])
    }).pipe(inMemory(session))
  })

  it.effect("is set up for who has sent before anybody served", () => {
    const { session } = counting()
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* client.write("b")
      yield* TestClock.adjust(0)
      yield* Effect.forkScoped(Lines.run(session), { startImmediately: true })
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["1: a", "2: b"])
    }).pipe(Effect.scoped, Effect.provide(MemoryServer.layerDatagrams(Lines)))
  })

  it.effect("is released at a stop, once what was received is answered", () => {
    const begun = Deferred.makeUnsafe<void>()
    const steps: Array<string> = []
    const session: Session.Session<string, string> = Session.make(() =>
      Effect.as(
        Effect.acquireRelease(Effect.void, () =>
          Effect.delay(
            Effect.sync(() => void steps.push("released")),
            "1 second"
          )
        ),
        () =>
          Effect.andThen(
            Deferred.succeed(begun, undefined),
            Effect.delay(
              Effect.sync(() => (steps.push("answered"), Response.make("late"))),
              "2 seconds"
            )
          )
      )
    )
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* Deferred.await(begun)
      const stop = yield* Effect.forkScoped(
        Effect.flatMap(server, ({ shutdown }) => shutdown),
        { startImmediately: true }
      )
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(steps, ["answered"])
      assert.isUndefined(stop.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(steps, ["answered", "released"])
      assert.strictEqual((yield* Fiber.join(stop)).completed, 1)
      assert.strictEqual(yield* client.take, "late")
    }).pipe(inMemory(session))
  })

  it.effect("is released when a stop cuts off what is at work", () => {
    const { seen, session } = counting({ answer: () => Effect.never })
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("a")
      yield* TestClock.adjust(0)
      const stop = yield* Effect.forkScoped(
        Effect.flatMap(server, ({ shutdown }) => shutdown),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(stop)).interrupted, 1)
      assert.strictEqual(seen.released.length, 1)
    }).pipe(inMemory(session, { drainTimeout: "1 second" }))
  })

  it.effect("may go back no more bytes than its sender has sent, where that is bounded", () => {
    const refs: Array<Connection.Ref<string>> = []
    const { session } = counting({ setup: (connection) => Effect.sync(() => void refs.push(connection)) })
    return Effect.gen(function* () {
      const { address } = yield* Lines
      const wire = yield* MemoryServer.wire(String(address).slice("memory:".length), { name: "192.0.2.1:5000" })
      const client = yield* Client.make(wire, Protocol.lines())
      assert.strictEqual(yield* client.send("12345678"), "1: 12345678")
      // 16 may go back for 8, and 11 have.
      assert.strictEqual((yield* Effect.flip(refs[0]!.push("123456"))).reason._tag, "Undelivered")
      yield* refs[0]!.push("12345")
      assert.strictEqual(yield* client.take, "12345")
      // 16 of 18.
      yield* client.write("1")
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flatMap(server, ({ counts }) => counts)).Undelivered, 1)
    }).pipe(inMemory(session, { maxAmplification: 2 }))
  })
})

/** Datagrams from senders whose names are forged: nothing comes back to them. */
const forging = (options: Transport.ServerOptions, session: Session.Session<string, string>) => {
  let sink: Transport.Sink | undefined
  const sent: Array<string> = []
  const listener = Endpoint.memory("forged")
  const layer = Transport.layer(Lines, options, (given) =>
    Effect.sync(() => {
      sink = given
      return { address: listener, close: () => {}, connect: Effect.never }
    })
  )
  const send = (name: string) => {
    const datagram: Wire.Datagram = {
      data: new TextEncoder().encode("x"),
      peer: Peer.make({ transport: "udp", name }),
      listener,
      reply: (data, done) => {
        sent.push(`${name} ${new TextDecoder().decode(data)}`)
        done()
      }
    }
    sink!.receive(datagram)
  }
  return { layer: Layer.provideMerge(Lines.serve(session), layer), send, sent }
}

const forged = (i: number) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}:${1_024 + (i % 60_000)}`

describe("senders that are forged", () => {
  it.effect(
    "stay within the bound, however many they are, and do not drive out who has sent twice",
    () => {
      let known = 0
      // No more than it takes: there are many.
      const session: Session.Session<string, string> = Session.make((connection) =>
        Effect.sync(() => {
          known++
          Remote.onEnd(connection, () => Effect.sync(() => void known--))
          let n = 0
          return ({ body }) => Effect.succeed(Response.make(`${++n}: ${body}`))
        })
      )
      const { layer, send, sent } = forging({ maxSenders: 500 }, session)
      return Effect.gen(function* () {
        const { connections, counts } = yield* Lines
        const regular = "192.0.2.1:5000"
        send(regular)
        send(regular)
        let most = 0
        for (let i = 0; i < 100_000; i++) {
          send(forged(i))
          if (i % 1_000 === 999) {
            yield* TestClock.adjust(0)
            most = Math.max(most, (yield* connections).length)
          }
        }
        assert.strictEqual(most, 500)
        assert.strictEqual(known, 500)
        assert.strictEqual((yield* counts).Completed, 100_002)
        send(regular)
        yield* TestClock.adjust(0)
        assert.strictEqual(sent.at(-1), `${regular} 3: x`)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual([known, yield* connections], [0, []])
      }).pipe(Effect.provide(layer))
      // They are many: seconds on a machine that has nothing else to do.
    },
    60_000
  )

  it.effect("are all released at a stop, many at once", () => {
    const { seen, session } = counting()
    const { layer, send } = forging({ maxSenders: 20_000, maxConnections: 20_000 }, session)
    return Effect.gen(function* () {
      const { shutdown } = yield* Lines
      for (let i = 0; i < 10_000; i++) send(forged(i))
      yield* TestClock.adjust(0)
      yield* shutdown
      assert.deepStrictEqual([seen.ids.length, seen.released.length], [10_000, 10_000])
    }).pipe(Effect.provide(layer))
  })

  it.effect(
    "make room for others in the order of their silence, and who has sent once before who has sent twice",
    () => {
      const { session } = counting()
      const { layer, send } = forging({ maxSenders: 3 }, session)
      const names = Effect.map(
        Effect.flatMap(Lines, ({ connections }) => connections),
        (all) => all.map(({ peer }) => peer.name).sort()
      )
      return Effect.gen(function* () {
        for (const name of ["a:1", "b:1", "a:1", "c:1", "d:1"]) {
          send(name)
          yield* TestClock.adjust(1)
        }
        assert.deepStrictEqual(yield* names, ["a:1", "c:1", "d:1"])
        for (const name of ["c:1", "d:1"]) send(name)
        yield* TestClock.adjust(1)
        send("e:1")
        yield* TestClock.adjust(1)
        // All have sent twice but the newest, and that is at work when it comes.
        assert.deepStrictEqual(yield* names, ["c:1", "d:1", "e:1"])
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("are as many as have something at work, where these are more", () => {
    const { seen, session } = counting({ answer: () => Effect.delay(Effect.succeed(Response.empty), "1 second") })
    const { layer, send } = forging({ maxSenders: 2 }, session)
    return Effect.gen(function* () {
      const { connections } = yield* Lines
      for (let i = 0; i < 5; i++) send(forged(i))
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual([(yield* connections).length, seen.released], [5, []])
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([(yield* connections).length, seen.released.length], [2, 3])
    }).pipe(Effect.provide(layer))
  })

  it.effect.each([0, -1, 1.5, Number.NaN])("are not bounded by %s", (maxSenders) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(MemoryServer.layerDatagrams(Lines, { maxSenders }))))
      assert.match(error.message, /maxSenders of \w+: it must be a positive integer/)
    })
  )
})
