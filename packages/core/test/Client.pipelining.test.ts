/** Many requests of one client on their way at once, and what becomes of each. */
import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import * as Handler from "@socketserver/core/Handler"
import * as Endpoint from "@socketserver/core/Endpoint"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Scripted, turns } from "./support/scripted.ts"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

/** Lines that say first which request they belong to: `7 hello`. `!` has no id, and `?` makes the function throw. */
const idOf = (line: string) => {
  if (line.startsWith("?")) throw new Error("it has no id")
  return line.startsWith("!") ? undefined : line.split(" ")[0]
}
class Ids extends Server.Service<Ids>()("Ids", { protocol: Protocol.correlated(Protocol.lines(), { id: idOf }) }) {}

const lines = (handler: Handler.Handler<string, string>, options?: MemoryServer.MemoryServerOptions) =>
  Effect.provide(Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines, options)))

const ids = (handler: Handler.Handler<string, string>, options?: MemoryServer.MemoryServerOptions) =>
  Effect.provide(Layer.provideMerge(Ids.serve(handler), MemoryServer.layer(Ids, options)))

/** Answers after as many milliseconds as the request says last. */
const after: Handler.Handler<string, string> = ({ body }) =>
  Effect.delay(Effect.succeed(Response.make(body)), Number(body.split(" ").at(-1)))

const many = Array.from({ length: 1_000 }, (_, i) => `${i} ${i === 500 ? 100 : 90}`)

describe("a thousand sends at once over one connection", () => {
  for (const [how, client, on] of [
    ["in order", Lines.client, lines(after, { maxPipelined: 1_000 })],
    ["by id", Ids.client, ids(after, { maxPipelined: 1_000 })]
  ] as const) {
    it.effect(`take as long as the slowest, ${how}`, () =>
      Effect.gen(function* () {
        const { send } = yield* client as Effect.Effect<Client.Client<string, string>, unknown, never>
        const started = yield* Clock.currentTimeMillis
        const sending = yield* Effect.forkChild(Effect.forEach(many, send, { concurrency: "unbounded" }))
        yield* turns
        yield* TestClock.adjust("99 millis")
        assert.isUndefined(sending.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(sending), many)
        assert.strictEqual((yield* Clock.currentTimeMillis) - started, 100)
      }).pipe(Effect.scoped, on as never)
    )
  }
})

/** A client whose wire is the test's. */
const scripted = <In, Out>(protocol: Protocol.Protocol<In, Out>, maxInFlight?: number) =>
  Effect.gen(function* () {
    const wire = new Scripted()
    const making = Client.make(wire, protocol)
    const client = yield* maxInFlight === undefined
      ? making
      : Effect.provideService(making, Client.MaxInFlight, maxInFlight)
    return { wire, client }
  })

/** What was written since the last look, line by line. */
const written = (wire: Scripted) =>
  wire.asked().flatMap((call) => (call.startsWith("write ") ? call.slice(6).split("\n") : [call]))

const starting = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkScoped(effect, { startImmediately: true })

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isSuccess(exit)) return exit.value
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? (reason.error as Connection.ConnectionError).reason._tag : reason?._tag
}

const plain = Protocol.lines()
const correlated = Protocol.correlated(Protocol.lines(), { id: idOf })

describe("what may be in flight", () => {
  it.effect("is 1,024 requests: one more waits until one of them is answered", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain)
      const sending = yield* Effect.forEach(
        Array.from({ length: 1_026 }, (_, i) => `${i}`),
        (line) => starting(client.send(line))
      )
      yield* turns
      assert.strictEqual(wire.bytesWritten, Array.from({ length: 1_024 }, (_, i) => `${i}\n`).join("").length)
      wire.asked()
      wire.data("a\n")
      yield* turns
      assert.strictEqual(yield* Fiber.join(sending[0]!), "a")
      assert.deepStrictEqual(written(wire), ["1024"])
      wire.data("b\n")
      yield* turns
      assert.deepStrictEqual(written(wire), ["1025"])
      wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("is what the service says, and whoever waits gets their place in turn", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated, 2)
      const [, , third, fourth] = yield* Effect.forEach(["1", "2", "3", "4", "5"], (line) =>
        starting(client.send(line))
      )
      yield* turns
      assert.deepStrictEqual(written(wire), ["1", "2"])
      // Who waits and leaves gives its turn to the next.
      yield* Fiber.interrupt(third!)
      wire.data("2 b\n")
      yield* turns
      assert.deepStrictEqual(written(wire), ["4"])
      wire.data("4 d\n")
      yield* turns
      assert.strictEqual(yield* Fiber.join(fourth!), "4 d")
      assert.deepStrictEqual(written(wire), ["5"])
      wire.gone()
    }).pipe(Effect.scoped)
  )

  it.effect("has a place again after a message that cannot be sent", () =>
    Effect.gen(function* () {
      for (const protocol of [plain, correlated]) {
        const { client, wire } = yield* scripted(protocol, 1)
        for (const wrong of ["a\nb", "\r"]) {
          assert.strictEqual(reasonOf(yield* Effect.exit(client.send(wrong))), "EncodeFailed")
        }
        yield* starting(client.send("ok"))
        yield* turns
        assert.deepStrictEqual(written(wire), ["ok"])
        wire.gone()
      }
    }).pipe(Effect.scoped)
  )
})

describe("an answer", () => {
  it.effect("waits for slower ones that were asked for before, and goes to who asked", () =>
    Effect.gen(function* () {
      const { send } = yield* Lines.client
      const order: Array<string> = []
      const ask = (line: string) => Effect.tap(send(line), (answer) => Effect.sync(() => order.push(answer)))
      const sending = yield* Effect.forkChild(Effect.forEach(["a 30", "b 10", "c 20"], ask, { concurrency: 3 }))
      yield* turns
      yield* TestClock.adjust("29 millis")
      assert.deepStrictEqual(order, [])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(sending)
      assert.deepStrictEqual(order, ["a 30", "b 10", "c 20"])
    }).pipe(Effect.scoped, lines(after))
  )

  it.effect("overtakes slower ones where it says what it answers", () =>
    Effect.gen(function* () {
      const { send } = yield* Ids.client
      const order: Array<string> = []
      const ask = (line: string) => Effect.tap(send(line), (answer) => Effect.sync(() => order.push(answer)))
      const sending = yield* Effect.forkChild(Effect.forEach(["a 30", "b 10", "c 20"], ask, { concurrency: 3 }))
      yield* turns
      yield* TestClock.adjust("30 millis")
      assert.deepStrictEqual(yield* Fiber.join(sending), ["a 30", "b 10", "c 20"])
      assert.deepStrictEqual(order, ["b 10", "c 20", "a 30"])
    }).pipe(Effect.scoped, ids(after))
  )

  it.effect("that answers nobody is for the stream, in order, also between others", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated)
      const sending = yield* starting(Effect.all([client.send("1 a"), client.send("2 b")], { concurrency: 2 }))
      yield* turns
      wire.data("! news\n2 B\n3 unknown\n? throws\n1 A\n1 again\n")
      assert.deepStrictEqual(yield* Fiber.join(sending), ["1 A", "2 B"])
      const others = yield* Stream.runCollect(Stream.take(client.stream, 4))
      assert.deepStrictEqual(others, ["! news", "3 unknown", "? throws", "1 again"])
    }).pipe(Effect.scoped)
  )

  it.effect("is refused at once where nothing could say that it is one", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated, 3)
      const first = yield* starting(client.send("1 a"))
      for (const [line, problem] of [
        ["1 b", "an answer with its id (1) is awaited already"],
        ["! none", "it has no id, by which its answer could be known"],
        ["? throws", "it has no id, by which its answer could be known"]
      ] as const) {
        for (let i = 0; i < 4; i++) {
          assert.deepStrictEqual((yield* Effect.flip(client.send(line))).reason, { _tag: "EncodeFailed", problem })
        }
      }
      yield* turns
      assert.deepStrictEqual(written(wire), ["1 a"])
      wire.data("1 A\n")
      assert.strictEqual(yield* Fiber.join(first), "1 A")
      // The id can be used again.
      const again = yield* starting(client.send("1 c"))
      yield* turns
      wire.data("1 C\n")
      assert.strictEqual(yield* Fiber.join(again), "1 C")
    }).pipe(Effect.scoped)
  )

  it.effect("is read though nobody reads the 1,023 others, and not beyond", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated)
      const sending = yield* starting(client.send("1 a"))
      yield* turns
      wire.data("! other\n".repeat(1_023))
      assert.isFalse(wire.paused)
      wire.data("! other\n")
      assert.isTrue(wire.paused)
      // Whoever reads them lets the rest come.
      yield* Stream.runDrain(Stream.take(client.stream, 1_024))
      assert.isFalse(wire.paused)
      wire.data("1 A\n")
      assert.strictEqual(yield* Fiber.join(sending), "1 A")
    }).pipe(Effect.scoped)
  )
})

describe("a server that says what nobody has asked for", () => {
  it.effect("is read no further once what nobody takes is 16 MiB, however few messages that are", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated)
      const sending = yield* starting(client.send("1 a"))
      yield* turns
      const large = `! ${"x".repeat(60_000)}\n`
      let sent = 0
      while (!wire.paused) {
        wire.data(large)
        assert.isBelow(++sent, 1_023)
      }
      assert.isBelow(sent * large.length, 16_777_216)
      // Whoever reads them lets the rest come.
      yield* Stream.runDrain(Stream.take(client.stream, sent))
      assert.isFalse(wire.paused)
      wire.data("1 A\n")
      assert.strictEqual(yield* Fiber.join(sending), "1 A")
      wire.gone()
    }).pipe(Effect.scoped)
  )

  const ends: Record<string, (wire: Scripted, client: Client.Client<string, string>) => Effect.Effect<void>> = {
    "half-closes": (wire) => Effect.sync(() => wire.half()),
    "is gone": (wire) => Effect.sync(() => wire.gone()),
    "is closed by its client": (_, client) => client.close
  }
  for (const [how, end] of Object.entries(ends)) {
    for (const isAnswered of [true, false]) {
      it.effect(`leaves nobody waiting when it ${how}: ${isAnswered ? "an answer" : "none"} is behind that`, () =>
        Effect.gen(function* () {
          const { client, wire } = yield* scripted(correlated)
          const sending = yield* starting(client.send("1 a"))
          const other = yield* starting(client.send("2 b"))
          yield* turns
          wire.data(`${"! other\n".repeat(3_000)}${isAnswered ? "1 A\n" : ""}`)
          assert.isTrue(wire.paused)
          yield* end(wire, client)
          yield* turns
          assert.strictEqual(reasonOf(yield* Fiber.await(sending)), isAnswered ? "1 A" : "Closed")
          assert.strictEqual(reasonOf(yield* Fiber.await(other)), "Closed")
          wire.gone()
        }).pipe(Effect.scoped)
      )
    }
  }

  it.effect("is read no further after what is no message, also where somebody wants more", () =>
    Effect.gen(function* () {
      for (const protocol of [plain, correlated]) {
        const { client, wire } = yield* scripted(protocol)
        const sending = yield* starting(client.send("1 a"))
        yield* turns
        wire.data("x".repeat(70_000))
        assert.strictEqual(reasonOf(yield* Fiber.await(sending)), "FrameTooLarge")
        assert.isTrue(wire.paused)
        yield* Effect.exit(client.take)
        yield* Effect.exit(client.send("2 b"))
        assert.isTrue(wire.paused)
        wire.gone()
      }
    }).pipe(Effect.scoped)
  )
})

describe("what cannot be answered", () => {
  const causes: Record<string, (wire: Scripted) => void> = {
    "the server has half-closed": (wire) => wire.half(),
    "it has sent what is no message": (wire) => wire.data("\r\r\n")
  }
  for (const [why, cause] of Object.entries(causes)) {
    for (const [how, protocol] of [
      ["in order", plain],
      ["by id", correlated]
    ] as const) {
      it.effect(`is not sent, since ${why}, ${how}`, () =>
        Effect.gen(function* () {
          const { client, wire } = yield* scripted(protocol)
          cause(wire)
          yield* turns
          written(wire)
          for (const line of ["1 a", "2 b"]) assert.isTrue(Exit.isFailure(yield* Effect.exit(client.send(line))))
          yield* turns
          assert.notInclude(written(wire).join(), "a")
          assert.notInclude(written(wire).join(), "b")
          wire.gone()
        }).pipe(Effect.scoped)
      )
    }
  }
})

describe("a connection that breaks", () => {
  const breaks: ReadonlyArray<{
    readonly what: string
    readonly break: (wire: Scripted, client: Client.Client<string, string>) => Effect.Effect<void>
    readonly reason: string
  }> = [
    { what: "is reset", break: (wire) => Effect.sync(() => wire.gone(new Error("reset"))), reason: "Reset" },
    { what: "is closed", break: (wire) => Effect.sync(() => wire.gone()), reason: "Closed" },
    { what: "is half-closed by the server", break: (wire) => Effect.sync(() => wire.half()), reason: "Closed" },
    { what: "is closed by the client", break: (_, client) => client.close, reason: "Closed" },
    { what: "brings what is no line", break: (wire) => Effect.sync(() => wire.data("\r\r\n")), reason: "Malformed" }
  ]
  for (const [how, protocol] of [
    ["in order", plain],
    ["by id", correlated]
  ] as const) {
    for (const { break: breakIt, reason, what } of breaks) {
      it.effect(`fails what is unanswered and nothing else when it ${what}, ${how}`, () =>
        Effect.gen(function* () {
          const { client, wire } = yield* scripted(protocol, 4)
          const sending = yield* Effect.forEach(["1", "2", "3", "4", "5", "6"], (line) => starting(client.send(line)))
          yield* turns
          wire.data("1\n2\n")
          yield* breakIt(wire, client)
          yield* turns
          const exits = yield* Effect.forEach(sending, (fiber) => Fiber.await(fiber))
          assert.deepStrictEqual(exits.map(reasonOf), ["1", "2", reason, reason, reason, reason])
          wire.gone()
          yield* turns
          assert.strictEqual(reasonOf(yield* Effect.exit(client.send("7"))), "Closed")
        }).pipe(Effect.scoped)
      )
    }
  }
  it.effect("fails what is asked after the server has half-closed", () =>
    Effect.gen(function* () {
      for (const protocol of [plain, correlated]) {
        const { client, wire } = yield* scripted(protocol, 1)
        wire.half()
        for (const line of ["1", "2"]) {
          assert.strictEqual(reasonOf(yield* Effect.exit(client.send(line))), "Closed")
        }
        wire.gone()
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fails any number that wait for their turn", () =>
    Effect.gen(function* () {
      for (const protocol of [plain, correlated]) {
        const { client, wire } = yield* scripted(protocol, 1)
        const lines = Array.from({ length: 20_000 }, (_, i) => `${i}`)
        const sending = yield* starting(
          Effect.forEach(lines, (line) => Effect.exit(client.send(line)), { concurrency: "unbounded" })
        )
        yield* turns
        wire.gone()
        const exits = yield* Fiber.join(sending)
        assert.deepStrictEqual([...new Set(exits.map(reasonOf))], ["Closed"])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fails any number that wait for their turn behind one that cannot be sent", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain, 1)
      const first = yield* starting(client.send("first"))
      const lines = Array.from({ length: 20_000 }, () => "two\nlines")
      const sending = yield* starting(
        Effect.forEach(lines, (line) => Effect.exit(client.send(line)), { concurrency: "unbounded" })
      )
      yield* turns
      wire.data("answer\n")
      assert.strictEqual(yield* Fiber.join(first), "answer")
      assert.deepStrictEqual([...new Set((yield* Fiber.join(sending)).map(reasonOf))], ["EncodeFailed"])
    }).pipe(Effect.scoped)
  )
})

describe("a send that is interrupted", () => {
  it.effect("alone resets the connection", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain)
      const sending = yield* starting(client.send("a"))
      yield* turns
      yield* Fiber.interrupt(sending)
      assert.deepStrictEqual(written(wire), ["a", "reset"])
    }).pipe(Effect.scoped)
  )

  it.effect("resets nothing under those who wait for its place", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain, 1)
      const first = yield* starting(client.send("1"))
      const second = yield* starting(client.send("2"))
      yield* turns
      yield* Fiber.interrupt(first)
      yield* turns
      assert.deepStrictEqual(written(wire), ["1"])
      wire.data("one\n")
      yield* turns
      assert.deepStrictEqual(written(wire), ["2"])
      wire.data("two\n")
      assert.strictEqual(yield* Fiber.join(second), "two")
    }).pipe(Effect.scoped)
  )

  it.effect("alone resets the connection also after others that could not be sent", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain)
      yield* Effect.flip(client.send("two\nlines"))
      const sending = yield* starting(client.send("a"))
      yield* turns
      yield* Fiber.interrupt(sending)
      assert.deepStrictEqual(written(wire), ["a", "reset"])
    }).pipe(Effect.scoped)
  )

  it.effect("among others leaves an answer that nobody gets", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain)
      const [one, two, three] = yield* Effect.forEach(["1", "2", "3"], (line) => starting(client.send(line)))
      yield* turns
      yield* Fiber.interrupt(two!)
      assert.deepStrictEqual(written(wire), ["1", "2", "3"])
      wire.data("a\nb\nc\nd\n")
      assert.deepStrictEqual([yield* Fiber.join(one!), yield* Fiber.join(three!)], ["a", "c"])
      assert.strictEqual(yield* client.take, "d")
    }).pipe(Effect.scoped)
  )

  it.effect("by id leaves a late answer that nobody gets, its id until then, and its place at once", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(correlated, 1)
      const sending = yield* starting(client.send("1 a"))
      yield* turns
      yield* Fiber.interrupt(sending)
      assert.deepStrictEqual(written(wire), ["1 a"])
      // It may never be answered.
      const next = yield* starting(client.send("2 b"))
      yield* turns
      assert.deepStrictEqual(written(wire), ["2 b"])
      wire.data("2 B\n! other\n")
      assert.deepStrictEqual([yield* Fiber.join(next), yield* client.take], ["2 B", "! other"])
      assert.strictEqual(reasonOf(yield* Effect.exit(client.send("1 too soon"))), "EncodeFailed")
      wire.data("1 late\n")
      const again = yield* starting(client.send("1 again"))
      yield* turns
      assert.deepStrictEqual(written(wire), ["1 again"])
      wire.data("1 A\n")
      assert.strictEqual(yield* Fiber.join(again), "1 A")
    }).pipe(Effect.scoped)
  )

  it.effect("while the peer does not read writes nothing, and leaves its place", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain, 2)
      wire.accepts = false
      const first = yield* starting(client.send("1"))
      yield* turns
      const second = yield* starting(client.send("2"))
      yield* turns
      yield* Fiber.interrupt(second)
      const third = yield* starting(client.send("3"))
      yield* turns
      assert.deepStrictEqual(written(wire), ["1"])
      wire.accepts = true
      wire.drain()
      yield* turns
      assert.deepStrictEqual(written(wire), ["3"])
      wire.data("a\nc\n")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(third)], ["a", "c"])
    }).pipe(Effect.scoped)
  )
})

describe("sends beside others who read", () => {
  it.effect("get theirs in turn where someone takes", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* scripted(plain)
      const one = yield* starting(client.send("1"))
      const taken = yield* starting(client.take)
      const two = yield* starting(client.send("2"))
      const streamed = yield* starting(Stream.runCollect(Stream.take(client.stream, 2)))
      const three = yield* starting(client.send("3"))
      yield* turns
      wire.data("a\nb\nc\nd\ne\n")
      yield* turns
      assert.deepStrictEqual(
        [yield* Fiber.join(one), yield* Fiber.join(taken), yield* Fiber.join(two), yield* Fiber.join(three)],
        ["a", "b", "c", "e"]
      )
      wire.data("f\n")
      assert.deepStrictEqual(yield* Fiber.join(streamed), ["d", "f"])
    }).pipe(Effect.scoped)
  )

  it.effect("get what has their id, and an exchange the rest", () =>
    Effect.gen(function* () {
      const client = yield* Ids.client
      const gate = yield* Deferred.make<void>()
      const requests = Stream.concat(
        Stream.make("! 1", "! 2"),
        Stream.fromEffect(Effect.as(Deferred.await(gate), "! 3"))
      )
      const exchanging = yield* starting(Stream.runCollect(client.exchange(requests)))
      const answers = yield* Effect.forEach(["1 0", "2 0"], client.send, { concurrency: 2 })
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(answers, ["1 0", "2 0"])
      assert.deepStrictEqual([...(yield* Fiber.join(exchanging))].toSorted(), ["! 1", "! 2", "! 3"])
    }).pipe(
      Effect.scoped,
      ids(({ body }) => Effect.succeed(Response.make(body)))
    )
  )
})

describe("a whole connection whose messages say what they answer", () => {
  class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(correlated) }) {}

  it.effect("has a client that matches answers by that", () =>
    Effect.gen(function* () {
      const client = yield* Talk.client
      const answers = yield* Effect.forEach(["1 a", "2 b"], client.send, { concurrency: 2 })
      assert.deepStrictEqual(answers, ["1 a", "2 b"])
      assert.strictEqual(yield* client.take, "! hello")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(
            Handler.dialogue<string, string>((connection) =>
              Effect.gen(function* () {
                yield* connection.write("! hello")
                const [one, two] = [yield* connection.take, yield* connection.take]
                yield* connection.write(two)
                yield* connection.write(one)
              })
            )
          ),
          MemoryServer.layer(Talk)
        )
      )
    )
  )
})

describe("sends over datagrams", () => {
  const datagrams = <Self>(tag: Server.Tag<Self, string, string>, live: Layer.Layer<never, unknown, Self>) =>
    Effect.provide(Layer.provideMerge(live, MemoryServer.layerDatagrams(tag)))
  // What is told to be lost is never answered.
  const losing: Handler.Handler<string, string> = ({ body }) =>
    Effect.succeed(body.endsWith("lost") ? Response.empty : Response.make(body))

  for (const [how, client, on] of [
    ["in order", Lines.client, datagrams(Lines, Lines.serve(losing))],
    ["by id", Ids.client, datagrams(Ids, Ids.serve(losing))]
  ] as const) {
    it.effect(`can be repeated after an answer was lost, as often as it takes, ${how}`, () =>
      Effect.gen(function* () {
        const { send } = yield* Effect.provideService(client as typeof Ids.client, Client.MaxInFlight, 2)
        for (let i = 0; i < 5; i++) {
          const lost = yield* Effect.forkChild(Effect.timeoutOption(send("1 lost"), "1 second"))
          yield* turns
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* Fiber.join(lost))._tag, "None")
        }
        assert.strictEqual(yield* send("1 again"), "1 again")
        assert.deepStrictEqual(yield* Effect.forEach(["2", "3", "4"], send, { concurrency: 3 }), ["2", "3", "4"])
      }).pipe(Effect.scoped, on as never)
    )
  }

  const given = (client: Client.Client<string, string>, line: string) =>
    Effect.flatMap(starting(client.send(line)), (sending) => Effect.andThen(turns, Fiber.interrupt(sending)))

  const lossy = Effect.gen(function* () {
    const wire = Transport.datagramWire({
      peer: Peer.make({ transport: "test", name: "server" }),
      listener: Endpoint.memory("server"),
      maxMessageBytes: 100,
      send: (_, sent) => sent(),
      close: () => {}
    })
    const client = yield* Client.make(wire, correlated)
    const heard = (line: string) => wire.received(new TextEncoder().encode(line))
    return { client, heard }
  })

  it.effect("leave late answers that nobody gets, as many as were given up", () =>
    Effect.gen(function* () {
      const { client, heard } = yield* lossy
      yield* given(client, "1 a")
      yield* given(client, "1 b")
      const third = yield* starting(client.send("1 c"))
      yield* turns
      for (const line of ["1 first", "1 late", "1 later", "1 pushed", "! pushed"]) heard(line)
      assert.strictEqual(yield* Fiber.join(third), "1 first")
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["1 pushed", "! pushed"])
    }).pipe(Effect.scoped)
  )

  it.effect("remember 1,024 ids that were given up", () =>
    Effect.gen(function* () {
      const { client, heard } = yield* lossy
      for (let i = 0; i < 1_025; i++) {
        const sending = Effect.runFork(client.send(`${i} a`))
        sending.interruptUnsafe()
        // What is written within one turn is bounded, too.
        if (i % 100 === 0) yield* turns
      }
      yield* turns
      for (const line of ["0 forgotten", "1 late", "1024 late", "! pushed"]) heard(line)
      assert.deepStrictEqual([yield* client.take, yield* client.take], ["0 forgotten", "! pushed"])
    }).pipe(Effect.scoped)
  )
})

it.effect.each([0, -1, 0.5, NaN, Infinity])(
  "a limit of %d requests in flight is refused when something is sent",
  (max) =>
    Effect.gen(function* () {
      const layer = Layer.provideMerge(
        Limited.serve(({ body }) => Effect.succeed(Response.make(body))),
        MemoryServer.layer(Limited)
      )
      const { reason } = yield* Effect.flatMap(Limited.client, (client) => Effect.flip(client.send("a"))).pipe(
        Effect.scoped,
        Effect.provide(layer),
        Effect.provideService(Client.MaxInFlight, max)
      )
      assert.deepStrictEqual(reason, {
        _tag: "EncodeFailed",
        problem: `Client.MaxInFlight must be a positive integer, not ${max}`
      })
    })
)

class Limited extends Server.Service<Limited>()("Limited", { protocol: Protocol.lines() }) {}
