import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Network from "@socketserver/core/Network"
import * as Policy from "@socketserver/core/Policy"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Request from "@socketserver/core/Request"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Simulation from "@socketserver/core/Simulation"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** `sleep N`, `many N`, or an echo. */
const handler = ({ body }: Request.Request<string>) => {
  const [command, count] = body.split(" ")
  if (command === "sleep") return Effect.delay(Effect.succeed(Response.make(body)), Number(count))
  if (command === "many") {
    return Effect.succeed(Response.stream(Stream.map(Stream.range(1, Number(count)), (n) => `${n} ${"x".repeat(100)}`)))
  }
  return Effect.succeed(Response.make(body))
}

const served = <A, E, R extends Lines | Simulation.World | Scope.Scope>(
  body: Effect.Effect<A, E, R>,
  options?: MemoryServer.MemoryServerOptions
) =>
  Effect.provide(
    Effect.scoped(body),
    Layer.provideMerge(Lines.serve(handler, { policy: Policy.fiber() }), MemoryServer.layer(Lines, options))
  )

const slow = Network.link({ latency: "40 millis", jitter: "30 millis", chunk: [1, 3], window: 8, rate: 5_000 })

const conversation = served(
  Effect.gen(function* () {
    const peer = yield* Network.connect(Lines, { link: slow })
    const other = yield* Network.connect(Lines, { link: { ...slow, joins: true } })
    yield* peer.write("a\nsleep 100\nmany 3\n")
    yield* other.write("b\n")
    yield* peer.stopReading
    yield* Effect.sleep("1 second")
    yield* peer.resume
    yield* peer.halfClose
    const { how, received } = yield* peer.end
    return {
      how,
      received,
      other: yield* other.received,
      at: yield* Clock.currentTimeMillis,
      drawn: yield* Random.next
    }
  })
)

describe("a simulation", () => {
  it.effect("does the same again by the same seed, and something else by another", () =>
    Effect.gen(function* () {
      const one = yield* Simulation.run(conversation, { seed: 1, trace: true })
      const two = yield* Simulation.run(conversation, { seed: 1, trace: true })
      assert.deepStrictEqual(one, two)
      assert.deepStrictEqual(Simulation.runSync(conversation, { seed: 1, trace: true }), one)
      const other = yield* Simulation.run(conversation, { seed: 2 })
      assert.notStrictEqual(other.hash, one.hash)
      const received = (run: typeof one) => Exit.isSuccess(run.exit!) && run.exit.value.received
      assert.strictEqual(received(other), received(one))
      const xs = "x".repeat(100)
      assert.strictEqual(received(one), `a\nsleep 100\n1 ${xs}\n2 ${xs}\n3 ${xs}\n`)
    })
  )

  it("takes its time from nowhere else", () => {
    const day = Effect.andThen(Effect.sleep("1 day"), Clock.currentTimeMillis)
    const { ended, exit, millis } = Simulation.runSync(day)
    assert.deepStrictEqual(
      { ended, exit, millis },
      { ended: "done", exit: Exit.succeed(86_400_000), millis: 86_400_000 }
    )
  })

  it("says at once that nothing will ever happen any more", () => {
    const waits = served(Effect.flatMap(Network.connect(Lines), (peer) => peer.receives("never asked for")))
    const { ended, exit, millis } = Simulation.runSync(waits)
    assert.deepStrictEqual({ ended, exit, millis }, { ended: "dry", exit: undefined, millis: 0 })
  })

  it("says so also where a connection is not read", () => {
    const stuck = Lines.serve(() => Effect.never)
    const program = Effect.gen(function* () {
      const peer = yield* Network.connect(Lines)
      yield* peer.write("a\nb\n")
      return yield* peer.receives("a")
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(stuck, MemoryServer.layer(Lines, { maxPipelined: 1, placeTimeout: "1 hour" })))
    )
    const { ended, millis } = Simulation.runSync(program, { maxTurns: 10_000 })
    assert.deepStrictEqual({ ended, isSoon: millis <= 1_000 }, { ended: "dry", isSoon: true })
  })

  it("says what never rests", () => {
    const busy = Effect.forever(Effect.yieldNow)
    assert.strictEqual(Simulation.runSync(busy, { maxTurns: 1_000 }).ended, "busy")
  })

  it.effect("waits for promises that need no time of their own", () =>
    Effect.gen(function* () {
      const client = served(Effect.flatMap(Lines.client, (client) => client.send("hello")))
      const { ended, exit, millis } = yield* Simulation.run(client)
      assert.deepStrictEqual({ ended, exit, millis }, { ended: "done", exit: Exit.succeed("hello"), millis: 0 })
    })
  )

  it("looks at what has to hold after each turn", () => {
    let most = 0
    const program = served(
      Effect.gen(function* () {
        const server = yield* Lines
        const { onTurn } = yield* Simulation.World
        onTurn(() => {
          most = Math.max(most, ...Effect.runSync(server.connections).map(({ inFlight }) => inFlight))
        })
        const peer = yield* Network.connect(Lines)
        yield* peer.write("sleep 5\n".repeat(100))
        yield* peer.halfClose
        yield* peer.end
      }),
      { maxPipelined: 7 }
    )
    assert.strictEqual(Simulation.runSync(program).ended, "done")
    assert.strictEqual(most, 7)
  })

  it("says what has happened at least once", () => {
    const noted = Effect.andThen(Simulation.sometimes("a"), Simulation.sometimes("a"))
    assert.deepStrictEqual(Simulation.runSync(noted).seen, ["a"])
    // It is no fault to have it in a program that is not simulated.
    Effect.runSync(noted)
    const narrow = served(
      Effect.gen(function* () {
        const peer = yield* Network.connect(Lines, { link: Network.link({ window: 4 }) })
        yield* peer.stopReading
        yield* peer.write("a long line\n")
        yield* Effect.sleep(1)
      })
    )
    assert.deepStrictEqual(Simulation.runSync(narrow).seen, ["a window is full"])
  })

  it("takes as few requests in a turn as it is told", () => {
    for (const turnRequests of [1, 3, undefined]) {
      let inTurn = 0
      let most = 0
      const counted = Lines.serve(
        ({ body }) => {
          most = Math.max(most, ++inTurn)
          return Effect.succeed(Response.make(body))
        },
        { policy: Policy.fiber() }
      )
      const program = Effect.gen(function* () {
        const { onTurn } = yield* Simulation.World
        onTurn(() => {
          inTurn = 0
        })
        const peer = yield* Network.connect(Lines)
        yield* peer.write("a\n".repeat(20))
        yield* peer.halfClose
        yield* peer.end
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(counted, MemoryServer.layer(Lines))))
      assert.strictEqual(Simulation.runSync(program, { turnRequests }).ended, "done")
      assert.strictEqual(most, turnRequests ?? 20)
    }
  })

  it("says what each request waits for, and what is held meanwhile", () => {
    const program = Effect.gen(function* () {
      const server = yield* Lines
      const [narrow, other] = [
        yield* Network.connect(Lines, { link: Network.link({ window: 100 }), name: "narrow" }),
        yield* Network.connect(Lines, { name: "other" })
      ]
      yield* narrow.stopReading
      yield* narrow.write("many 1000\na\n")
      yield* other.write("sleep 50\nmany 1\nb\n")
      yield* Effect.sleep(1)
      const seen = Simulation.holdings(server)
      const waits = seen.map(({ connection, waits }) => [
        connection.peer.name,
        ...waits.map(({ begun, waitsFor, behind }) => [begun, waitsFor, behind])
      ])
      const [first, second] = seen
      return { waits, unsent: first!.unsent > 0, parked: second!.parked, bytes: second!.bytes }
    })
    const { exit } = Simulation.runSync(served(program))
    assert.deepStrictEqual(
      exit,
      Exit.succeed({
        waits: [
          ["narrow", [true, "reader", undefined], [false, "reader", undefined]],
          ["other", [true, "handler", undefined], [true, "turn", 3], [false, "turn", 3]]
        ],
        unsent: true,
        parked: 0,
        bytes: 18
      })
    )
  })

  it("has peers with addresses, which share a turn where they are one", () => {
    const at = (port: number) => NetAddress.inetAddressFromIpStringUnsafe("10.0.0.7", port)
    const program = served(
      Effect.gen(function* () {
        yield* Network.connect(Lines, { name: "10.0.0.7:4000", address: at(4_000) })
        yield* Network.connect(Lines)
        return (yield* (yield* Lines).connections).map(({ peer }) => String(peer.address?._tag))
      })
    )
    assert.deepStrictEqual(Simulation.runSync(program).exit, Exit.succeed(["InetAddressV4", "undefined"]))
  })

  it("is not cut short by real time when it stops a server", () => {
    const program = served(
      Effect.gen(function* () {
        const peer = yield* Network.connect(Lines)
        yield* peer.write("sleep 9000\n")
        yield* Effect.sleep(1)
        const { completed, millis } = yield* (yield* Lines).shutdown
        return { completed, millis }
      })
    )
    const { exit } = Simulation.runSync(program)
    assert.deepStrictEqual(exit, Exit.succeed({ completed: 1, millis: 8_999 }))
  })
})

describe("a link", () => {
  const timed = (link: Network.Link, text: string) =>
    Simulation.runSync(
      served(
        Effect.gen(function* () {
          const peer = yield* Network.connect(Lines, { link })
          yield* peer.write(text)
          yield* peer.halfClose
          const { how, received } = yield* peer.end
          assert.strictEqual(how, "closed")
          assert.strictEqual(received, text)
        })
      )
    )

  it("takes its time there and back", () => {
    // To connect, to ask, and to be answered.
    assert.strictEqual(timed(Network.link({ latency: "40 millis" }), "a\n").millis, 80)
    assert.strictEqual(timed(Network.link({ rate: 1_000 }), "abc\n").millis, 8)
  })

  it("loses nothing, whatever its window and its pieces", () => {
    const text = Array.from({ length: 200 }, (_, i) => `line ${i}\n`).join("")
    for (let seed = 1; seed <= 30; seed++) {
      const chance = Simulation.chance(seed)
      timed(
        Network.link({
          latency: chance.int(0, 3),
          jitter: chance.int(0, 3),
          chunk: [1, chance.int(1, 100)],
          window: chance.int(1, 300),
          highWater: chance.int(0, 300),
          joins: chance.chance(0.5)
        }),
        text
      )
    }
  })

  it("lets a reset arrive after what was sent before it", () => {
    const program = served(
      Effect.gen(function* () {
        const server = yield* Lines
        const peer = yield* Network.connect(Lines, { link: Network.link({ latency: "10 millis", window: 64 }) })
        yield* peer.stopReading
        yield* peer.write("many 1000\n")
        yield* Effect.sleep("100 millis")
        yield* peer.reset
        yield* Effect.sleep("9 millis")
        const before = (yield* server.connections).length
        yield* Effect.sleep("2 millis")
        return [before, (yield* server.connections).length, (yield* server.counts).Cancelled]
      })
    )
    assert.deepStrictEqual(Simulation.runSync(program).exit, Exit.succeed([1, 0, 1]))
  })

  it("that forgets tells of a reset only that the input has ended, until somebody looks", () => {
    const left: Array<number> = []
    const program = Effect.gen(function* () {
      const server = yield* Lines
      const peer = yield* Network.connect(Lines, { link: Network.link({ window: 16, forgets: true }) })
      yield* peer.stopReading
      yield* peer.write("many 100\n")
      yield* Effect.sleep(1)
      peer.wire.reset()
      yield* Effect.sleep(1)
      left.push((yield* server.connections).length)
      yield* Effect.sleep("2 seconds")
      left.push((yield* server.connections).length)
    })
    assert.strictEqual(Simulation.runSync(served(program)).ended, "done")
    assert.deepStrictEqual(left, [1, 0])
  })

  it.effect("takes the time of a test's clock elsewhere", () =>
    served(
      Effect.gen(function* () {
        const peer = yield* Network.connect(Lines, { link: Network.link({ latency: "1 second", chunk: [1, 2] }) })
        yield* peer.write("a long line\n")
        const answer = yield* Effect.forkChild(peer.receives("line\n"), { startImmediately: true })
        yield* turns
        yield* TestClock.adjust("1 second")
        yield* turns
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(yield* peer.received, "")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(answer), "a long line\n")
      })
    )
  )
})

describe("datagrams over a link", () => {
  const asked = (link: Network.Link, seed = 1) => {
    const program = Effect.gen(function* () {
      const wire = yield* MemoryServer.wire("grams", { link })
      const arrived: Array<string> = []
      wire.start({
        onData: (data) => void arrived.push(new TextDecoder().decode(data)),
        onEnd: () => {},
        onDrain: () => {},
        onFinish: () => {},
        onClose: () => {}
      })
      for (let i = 10; i < 60; i++) wire.write(String(i))
      yield* Effect.sleep("10 seconds")
      const counts = yield* (yield* Lines).counts
      return { arrived, ended: Object.values(counts).reduce((sum, count) => sum + count, 0) }
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layerDatagrams(Lines, { name: "grams" })))
    )
    const { exit, trace } = Simulation.runSync(program, { seed, trace: true })
    const came = trace.filter((line) => /> \d+$/.test(line)).length
    return Exit.isSuccess(exit!) ? { ...exit.value, came } : assert.fail(String(exit))
  }
  const all = Array.from({ length: 50 }, (_, i) => String(i + 10))

  it("loses, doubles, delays and cuts some", () => {
    assert.deepStrictEqual(asked(Network.link({ latency: "5 millis" })), { arrived: all, ended: 50, came: 50 })
    const lossy = asked(Network.link({ loss: 0.5 }))
    assert.isTrue(lossy.ended < 40 && lossy.arrived.length < lossy.ended)
    const doubled = asked(Network.link({ twice: 0.5 }))
    assert.isTrue(doubled.ended > 60 && doubled.arrived.length > doubled.ended)
    const late = asked(Network.link({ late: 0.3 }))
    assert.notDeepEqual(late.arrived, all)
    assert.deepStrictEqual(late.arrived.toSorted(), all)
    assert.isTrue(asked(Network.link({ cut: 0.5 })).arrived.some((text) => text.length < 2))
  })

  it("ends each that arrives once, whatever happens to it", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const chance = Simulation.chance(seed, "datagrams")
      const rate = () => (chance.chance(0.5) ? chance.float() / 2 : 0)
      const link = { loss: rate(), twice: rate(), late: rate(), cut: rate(), latency: chance.int(1, 20) }
      const { came, ended } = asked(Network.link(link), seed)
      assert.strictEqual(ended, came, `seed ${seed}`)
    }
  })
})
