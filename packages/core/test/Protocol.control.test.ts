import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Policy, Protocol, Request, Response, Server } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Asking, asking, gated, InOrder, playing, written } from "./support/asking.ts"
import { bytewise, cut, many, sizes, text, utf8 } from "./support/decoding.ts"
import { type Scripted, turns } from "./support/scripted.ts"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

const sending = (wire: Scripted, input: string, chunks: ReadonlyArray<Uint8Array> = [utf8(input)]) =>
  Effect.andThen(
    Effect.sync(() => {
      for (const chunk of chunks) wire.data(text(chunk))
    }),
    turns
  )

/** Control messages are read slowly: ten at once, and four hundred a second. */
class Paced extends Server.Service<Paced>()("Paced", { protocol: asking({ perSecond: 400 }) }) {}

const tallied = (server: Server.Server<string, string>) =>
  Effect.map(server.counts, (counts) => Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)))

describe("control messages", () => {
  it.effect.each([
    { how: "in one piece", pieces: (input: string) => [utf8(input)] },
    { how: "byte by byte", pieces: (input: string) => bytewise(input) }
  ])("are answered while the pipeline is full, $how", ({ pieces }) =>
    Effect.gen(function* () {
      const { begun, handler, most, open } = gated()
      const { peer, server } = yield* playing(Asking, handler, { maxPipelined: 2 })
      const wire = peer()
      const input = "ask 1\nask 2\nask 3\nping a\nask 4\nping b\n"
      yield* sending(wire, input, pieces(input))
      assert.deepStrictEqual(written(wire), ["pong a", "pong b"])
      assert.deepStrictEqual(begun, ["1", "2"])
      assert.isFalse(wire.paused)
      yield* open("2")
      yield* turns
      assert.deepStrictEqual([written(wire), begun], [["2 done"], ["1", "2", "3"]])
      for (const id of ["1", "3", "4"]) yield* open(id)
      yield* turns
      assert.deepStrictEqual([...written(wire)].sort(), ["1 done", "3 done", "4 done"])
      assert.deepStrictEqual([begun, most()], [["1", "2", "3", "4"], 2])
      // They are no requests.
      assert.deepStrictEqual(yield* tallied(server), { Completed: 4 })
    })
  )

  it.effect("are answered in their place where replies leave in order", () =>
    Effect.gen(function* () {
      const { handler, open } = gated()
      const { peer } = yield* playing(InOrder, handler, { maxPipelined: 2 })
      const wire = peer()
      yield* sending(wire, "ping 0\nask 1\nping 1\nask 2\nask 3\nping 3\nping 4\n")
      assert.deepStrictEqual(written(wire), ["pong 0"])
      yield* open("2")
      yield* open("3")
      yield* turns
      assert.deepStrictEqual(written(wire), [])
      yield* open("1")
      yield* turns
      assert.deepStrictEqual(written(wire), ["1 done", "pong 1", "2 done", "3 done", "pong 3", "pong 4"])
    })
  )

  it.effect("reach the handler of the request that they concern, and are answered where there is none", () =>
    Effect.gen(function* () {
      const { ended, handler, open, told } = gated()
      const { peer } = yield* playing(Asking, handler)
      const wire = peer()
      yield* sending(wire, "tell 1 early\nask 1 listen\nask 2 listen\ntell 1 a\ntell 2 b\ntell 1 c\ntell 3 d\n")
      assert.deepStrictEqual(told, ["tell 1 a", "tell 1 c", "tell 2 b"])
      assert.deepStrictEqual(written(wire), ["nobody 1", "nobody 3"])
      yield* open("1")
      yield* turns
      yield* sending(wire, "tell 1 late\ntell 2 e\n")
      assert.deepStrictEqual(written(wire), ["1 done", "nobody 1"])
      assert.deepStrictEqual(told.slice(3), ["tell 2 e"])
      assert.deepStrictEqual(ended, [])
      // No more can come once the peer has half-closed.
      wire.half()
      yield* turns
      assert.deepStrictEqual(ended, ["2"])
      yield* open("2")
      yield* turns
      assert.deepStrictEqual(written(wire), ["2 done", "end"])
    })
  )

  it.effect("reach their request also where they are decoded after the half-close", () =>
    Effect.gen(function* () {
      const { ended, handler, open, told } = gated()
      const { peer } = yield* playing(Paced as never, handler)
      const wire = peer()
      yield* sending(wire, `ask 1 listen\n${"ping x\n".repeat(10)}tell 1 x\n`)
      wire.half()
      yield* turns
      assert.deepStrictEqual([told, ended], [[], []])
      for (let i = 0; i < 20; i++) yield* Effect.andThen(TestClock.adjust(10), turns)
      assert.deepStrictEqual([told, ended], [["tell 1 x"], ["1"]])
      yield* open("1")
      yield* turns
    })
  )

  it.effect("wait for requests that wait: for a policy, or for a place in the pipeline", () =>
    Effect.gen(function* () {
      const { handler, open, told } = gated()
      const { peer } = yield* playing(Asking, handler, { maxPipelined: 2 }, Policy.sequential)
      const wire = peer()
      yield* sending(wire, "ask 1\nask 2 listen\nask 3 listen\ntell 3 x\ntell 2 y\n")
      assert.deepStrictEqual([told, written(wire)], [[], []])
      yield* open("1")
      yield* turns
      assert.deepStrictEqual(told, ["tell 2 y"])
      yield* open("2")
      yield* turns
      assert.deepStrictEqual(told, ["tell 2 y", "tell 3 x"])
    })
  )

  it.effect("are kept up to 16 for each request, the latest", () =>
    Effect.gen(function* () {
      const { handler, open, told } = gated()
      const { peer } = yield* playing(Asking, handler, {}, Policy.sequential)
      const wire = peer()
      yield* sending(wire, "ask 1\nask 2 listen\n")
      for (let i = 0; i < 100; i++) yield* sending(wire, `tell 2 ${i}\n`)
      yield* open("1")
      yield* turns
      assert.deepStrictEqual(
        told,
        Array.from({ length: 16 }, (_, i) => `tell 2 ${84 + i}`)
      )
    })
  )

  it.effect("that are too large end the input, and what came before is answered", () =>
    Effect.gen(function* () {
      class Small extends Server.Service<Small>()("Small", { protocol: asking({ maxBytes: 10 }) }) {}
      const { handler, open } = gated()
      const { peer, server } = yield* playing(Small as never, handler, { maxPipelined: 1 })
      const wire = peer()
      yield* sending(wire, "ask 1\nask 2\nping 12345\nping 123456\nping 1\nask 3\n")
      assert.deepStrictEqual(written(wire), ["pong 12345"])
      yield* open("1")
      yield* open("2")
      yield* turns
      assert.deepStrictEqual(written(wire), ["1 done", "2 done", "end"])
      assert.deepStrictEqual(yield* tallied(server), { Completed: 2, FrameTooLarge: 1 })
    })
  )

  it.effect("are read no faster than they may be, and nobody is cut off for it", () =>
    Effect.gen(function* () {
      class Paced extends Server.Service<Paced>()("Paced", { protocol: asking({ perSecond: 400 }) }) {}
      const { handler } = gated()
      const { peer } = yield* playing(Paced as never, handler)
      const [wire, other] = [peer(), peer()]
      yield* sending(wire, "ping x\n".repeat(100))
      assert.strictEqual(written(wire).length, 10)
      assert.isTrue(wire.paused)
      yield* sending(other, "ping y\n")
      assert.deepStrictEqual(written(other), ["pong y"])
      let seen = 0
      for (let millis = 0; millis < 200; millis += 10) {
        yield* TestClock.adjust(10)
        yield* turns
        seen += written(wire).length
      }
      assert.approximately(seen, 80, 10)
      yield* TestClock.adjust(1_000)
      yield* turns
      assert.strictEqual(seen + written(wire).length, 90)
      assert.isFalse(wire.paused)
    })
  )

  it.effect("leave requests that wait within `maxBuffered`; then nothing is read until there is room", () =>
    Effect.gen(function* () {
      const { begun, handler, open } = gated()
      const { peer } = yield* playing(Asking, handler, { maxPipelined: 1, maxBuffered: 4_096 })
      const wire = peer()
      const ids = Array.from({ length: 100 }, (_, i) => `${i}`)
      for (const id of ids) if (!wire.paused) yield* sending(wire, `ask ${id}\n`)
      assert.isTrue(wire.paused)
      const read = wire.bytesRead / 7
      assert.isBelow(read, 20)
      assert.isAbove(read, 5)
      yield* open("0")
      yield* turns
      assert.deepStrictEqual(written(wire), ["0 done"])
      // Where there is room again, it is read on.
      assert.isFalse(wire.paused)
      yield* sending(wire, "ping a\n")
      assert.deepStrictEqual(written(wire), ["pong a"])
      for (const id of ids) yield* open(id)
      yield* turns
      assert.deepStrictEqual(begun.length, written(wire).length + 1)
    })
  )

  it.effect("that nobody takes are within that bound too", () =>
    Effect.gen(function* () {
      const { handler, open } = gated()
      const { peer } = yield* playing(Asking, handler, { maxBuffered: 4_096 })
      const wire = peer()
      yield* sending(wire, Array.from({ length: 100 }, (_, i) => `ask ${i}\n`).join(""))
      let sent = 0
      for (; sent < 1_000 && !wire.paused; sent++) yield* sending(wire, `tell ${sent % 100} ${"x".repeat(100)}\n`)
      assert.isTrue(wire.paused)
      assert.isBelow(sent, 30)
      for (let i = 0; i < 100; i++) yield* open(`${i}`)
      yield* turns
      assert.isFalse(wire.paused)
    })
  )

  it.effect("count against nothing that a peer does not read: then nothing is read of it", () =>
    Effect.gen(function* () {
      const { handler } = gated()
      const { peer } = yield* playing(Asking, handler)
      const wire = peer()
      wire.accepts = false
      wire.onFull = () => (wire.bytesUnsent = 1)
      yield* sending(wire, "ping a\n")
      yield* sending(wire, "ping b\n")
      assert.isTrue(wire.paused)
      assert.deepStrictEqual(written(wire), ["pong a"])
      wire.accepts = true
      wire.bytesUnsent = 0
      wire.drain()
      yield* turns
      assert.deepStrictEqual([written(wire), wire.paused], [["pong b"], false])
    })
  )

  it.effect("are answered while a server stops, which begins nothing that comes meanwhile", () =>
    Effect.gen(function* () {
      const { begun, handler, open, told } = gated()
      const { peer, server } = yield* playing(Asking, handler, { maxPipelined: 1 })
      const wire = peer()
      yield* sending(wire, "ask 1 listen\nask 2 listen\nask 3")
      const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      yield* turns
      yield* sending(wire, "\nask 4\nping a\ntell 1 x\ntell 2 y\n")
      assert.deepStrictEqual([written(wire), told], [["pong a"], ["tell 1 x"]])
      yield* open("1")
      yield* turns
      assert.deepStrictEqual(told, ["tell 1 x", "tell 2 y"])
      yield* sending(wire, "ping b\n")
      yield* open("2")
      yield* turns
      assert.deepStrictEqual(written(wire), ["1 done", "pong b", "2 done", "end"])
      wire.finish()
      wire.half()
      const { completed, interrupted } = yield* Fiber.join(stopping)
      assert.deepStrictEqual([completed, interrupted, begun], [2, 0, ["1", "2"]])
    })
  )

  it.effect("end with their connection, whatever waits on it", () =>
    Effect.gen(function* () {
      const { begun, handler } = gated()
      const { peer, server } = yield* playing(Asking, handler, { maxPipelined: 1 })
      const wire = peer()
      yield* sending(wire, "ask 1 listen\nask 2 listen\ntell 2 x\ntell 1 y\nping a\n")
      wire.gone(new Error("reset"))
      yield* turns
      assert.deepStrictEqual([begun, yield* tallied(server)], [["1"], { Cancelled: 1 }])
      assert.strictEqual((yield* server.connections).length, 0)
      const again = peer()
      yield* sending(again, "ping b\n")
      assert.deepStrictEqual(written(again), ["pong b"])
    })
  )

  it.effect("whose functions throw are let go of, and the server goes on", () =>
    Effect.gen(function* () {
      const fail = (line: string) => {
        if (line.includes("throw")) throw new Error("it throws")
        return line
      }
      const protocol = Protocol.control(
        Protocol.correlated(Protocol.lines(), { request: fail, response: (line) => line }),
        {
          is: (line) => fail(line).startsWith("c"),
          to: (line) => (line === "c to" ? fail("throw") : undefined),
          answer: (line) => (line === "c answer" ? fail("throw") : line)
        }
      )
      class Faulty extends Server.Service<Faulty>()("Faulty", { protocol }) {}
      const { peer } = yield* playing(Faulty as never, ({ body }) => Effect.succeed(Response.make(`was asked ${body}`)))
      const wire = peer()
      yield* sending(wire, "c to\nc answer\nthrow\nc\n")
      assert.deepStrictEqual(written(wire), ["c to", "c", "was asked throw"])
    })
  )

  it.effect("are answered over datagrams, too, and reach no handler", () =>
    Effect.gen(function* () {
      const client = yield* Asking.client
      yield* client.write("ping a")
      assert.strictEqual(yield* client.take, "pong a")
      assert.strictEqual(yield* client.send("ask 1"), "1 done")
      yield* client.write("tell 1 x")
      assert.strictEqual(yield* client.take, "nobody 1")
      assert.deepStrictEqual(yield* tallied(yield* Asking), { Completed: 1 })
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Asking.serve(({ body }) => Effect.succeed(Response.make(`${body.split(" ")[1]} done`))),
          MemoryServer.layerDatagrams(Asking)
        )
      )
    )
  )

  it("say what is wrong with them", () => {
    const problemOf = (protocol: Protocol.Protocol<string, string>) => protocol.problem
    const is = () => true
    assert.match(
      String(problemOf(Protocol.control(Protocol.lines(), { is, to: () => 1 }))),
      /Protocol.correlated first/
    )
    assert.match(String(problemOf(Protocol.control(Protocol.lines(), { is, perSecond: 0 }))), /perSecond must be/)
    assert.match(String(problemOf(Protocol.control(Protocol.lines(), { is, perSecond: NaN }))), /perSecond must be/)
    assert.match(String(problemOf(Protocol.control(Protocol.lines(), { is, maxBytes: 0 }))), /maxBytes must be/)
    assert.match(
      String(Protocol.control(Protocol.connection(Protocol.lines()), { is }).problem),
      /there is nothing to control/
    )
    assert.strictEqual(problemOf(Protocol.control(Protocol.lines(), { is })), undefined)
  })

  it("are none of what a handler has to know", () => {
    type Message = { readonly _tag: "Ask" } | { readonly _tag: "Ping"; readonly at: number }
    const messages = Protocol.ndjson() as never as Protocol.Protocol<Message, string>
    const protocol = Protocol.control(messages, {
      is: (message) => message._tag === "Ping",
      answer: (ping) => `pong ${ping.at}`
    })
    const typed: Protocol.Protocol<{ readonly _tag: "Ask" }, string, Message, string> = protocol
    assert.strictEqual(typed.kind, "messages")
  })

  const command = Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))),
    (n) => (n < 40 ? `ask ${n}` : n < 70 ? `ping ${n}` : `tell ${n - 60} ${n}`)
  )

  it.effect.prop(
    "mean the same in any chunks, however small the pipeline is",
    [many(command), sizes],
    ([lines, sizes]) =>
      Effect.gen(function* () {
        const answers = (maxPipelined: number, pieces: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const { peer, server } = yield* playing(
                Asking,
                ({ body }) => Effect.as(Effect.yieldNow, Response.make(`${body.split(" ")[1]} done`)),
                { maxPipelined }
              )
              const wire = peer()
              const input = `${lines.join("\n")}\n`
              yield* sending(wire, input, pieces(utf8(input)))
              const all = [...written(wire)].filter((line) => !line.startsWith("nobody")).sort()
              return { all, counts: yield* tallied(server) }
            })
          )
        const whole = yield* answers(128, (bytes) => [bytes])
        assert.deepStrictEqual(yield* answers(1, (bytes) => cut(bytes, sizes)), whole)
        assert.deepStrictEqual(yield* answers(2, (bytes) => cut(bytes, sizes)), whole)
      })
  )
})

describe("a handler that waits for what its peer says about its request", () => {
  const awaiting = ({ body }: { readonly body: string }) =>
    Effect.as(
      body.includes("wait") ? Request.awaitPeer(Stream.runHead(Request.controls())) : Effect.void,
      Response.make(`${body.split(" ")[1]} done`)
    )

  it.effect("leaves its place to others, of its own connection too", () =>
    Effect.gen(function* () {
      const { peer } = yield* playing(Asking, awaiting, {}, Policy.fiber({ max: 1 }))
      const [wire, other] = [peer(), peer()]
      yield* sending(wire, "ask 1 wait\nask 2 wait\n")
      yield* sending(other, "ask 1\n")
      yield* sending(wire, "ask 3\n")
      assert.deepStrictEqual([written(wire), written(other)], [["3 done"], ["1 done"]])
      yield* sending(wire, "tell 2 x\ntell 1 x\n")
      assert.deepStrictEqual(written(wire), ["2 done", "1 done"])
    })
  )

  it.effect("hears it also from the rest of a chunk in which others wait for their place", () =>
    Effect.gen(function* () {
      const { peer } = yield* playing(Asking, awaiting, { maxPipelined: 1, maxBuffered: 2_048 })
      const wire = peer()
      // Seen in a simulated network: seed 3001015 of freed.
      const rest = Array.from({ length: 100 }, (_, i) => `tell none ${i}\n`).join("")
      yield* sending(wire, `ask 1 wait\nask 2\n${rest}${rest}tell 1 x\n`)
      assert.deepStrictEqual(written(wire).slice(-2), ["1 done", "2 done"])
    })
  )

  it.effect("gives its place to the next when it is told together with that", () =>
    Effect.gen(function* () {
      const { peer } = yield* playing(Asking, awaiting, { maxPipelined: 1 })
      const wire = peer()
      // Seen in a simulated network: seed 3008878 of freed.
      yield* sending(wire, "ask 1 wait\n")
      const rest = Array.from({ length: 40 }, (_, i) => `tell none ${i}\n`).join("")
      yield* sending(wire, `${rest}ask 2\ntell 1 x\n`)
      assert.deepStrictEqual(written(wire).slice(-2), ["1 done", "2 done"])
    })
  )

  it.effect("ends by what was received before a stop, and what came behind that is answered", () =>
    Effect.gen(function* () {
      const { peer, server } = yield* playing(Paced as never, awaiting as never)
      const wire = peer()
      yield* sending(wire, `ask 1 wait\n${"ping x\n".repeat(10)}tell 1 x\nask 2\n`)
      written(wire)
      const stopping = yield* Effect.forkChild(server.shutdown, { startImmediately: true })
      yield* turns
      for (let i = 0; i < 20; i++) yield* Effect.andThen(TestClock.adjust(10), turns)
      assert.deepStrictEqual(written(wire), ["1 done", "2 done", "end"])
      wire.finish()
      wire.half()
      yield* turns
      yield* Fiber.join(stopping)
    })
  )

  it.effect("keeps a place that is for one at a time no longer than six place timeouts, if others wait for it", () =>
    Effect.gen(function* () {
      const { peer } = yield* playing(Asking, awaiting, { placeTimeout: "1 second" }, Policy.sequential)
      const [wire, other] = [peer(), peer()]
      yield* sending(wire, "ask 1 wait\n")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(written(wire), [])
      yield* sending(other, "ask 1\n")
      for (let i = 0; i < 5; i++) yield* Effect.andThen(TestClock.adjust("1 second"), turns)
      assert.deepStrictEqual([written(wire), written(other)], [[], []])
      for (let i = 0; i < 3; i++) yield* Effect.andThen(TestClock.adjust("1 second"), turns)
      assert.deepStrictEqual([written(wire), written(other)], [["reset"], ["1 done"]])
    })
  )
})

describe("a connection whose requests all wait for what its peer says", () => {
  const awaiting = ({ body }: { readonly body: string }) =>
    Effect.as(
      body.includes("wait") ? Request.awaitPeer(Stream.runHead(Request.controls())) : Effect.never,
      Response.make(`${body.split(" ")[1]} done`)
    )

  it.effect("makes room in a server that is full, as a silent one does, and no other", () =>
    Effect.gen(function* () {
      const { peer, server } = yield* playing(Asking, awaiting, { maxConnections: 3 })
      const [waits, works, both] = [peer(), peer(), peer()]
      yield* sending(waits, "ask 1 wait\nask 2 wait\n")
      yield* sending(works, "ask 1\n")
      yield* sending(both, "ask 1 wait\nask 2\n")
      yield* TestClock.adjust("999 millis")
      assert.isFalse(peer().started)
      yield* TestClock.adjust("1 millis")
      const next = peer()
      yield* turns
      assert.isTrue(next.started)
      assert.deepStrictEqual([written(waits), written(works), written(both)], [["destroy"], [], []])
      // Two requests of the connection that is refused now, and who came too early.
      assert.deepStrictEqual(yield* tallied(server), { Refused: 2, Cancelled: 2 })
    })
  )

  it.effect("is no such one any more once it was told", () =>
    Effect.gen(function* () {
      const { peer } = yield* playing(
        Asking,
        () => Effect.andThen(Request.awaitPeer(Stream.runHead(Request.controls())), Effect.never),
        { maxConnections: 1 }
      )
      const wire = peer()
      yield* sending(wire, "ask 1\n")
      yield* sending(wire, "tell 1 go on\n")
      yield* TestClock.adjust("1 minute")
      assert.isFalse(peer().started)
      assert.deepStrictEqual(written(wire), [])
    })
  )
})

describe("what a peer sends about a request", () => {
  it.effect("is nothing outside of a handler, and where the protocol has no control messages", () =>
    Effect.gen(function* () {
      class Plain extends Server.Service<Plain>()("Plain", { protocol: Protocol.lines() }) {}
      assert.deepStrictEqual(yield* Stream.runCollect(Request.controls()), [])
      const answer = yield* Effect.flatMap(Plain.client, (client) => client.send("x")).pipe(
        Effect.provide(
          Layer.provideMerge(
            Plain.serve(() =>
              Effect.map(Stream.runCollect(Request.controls()), (all) => Response.make(`${all.length}`))
            ),
            MemoryServer.layer(Plain)
          )
        )
      )
      assert.strictEqual(answer, "0")
    }).pipe(Effect.scoped)
  )
})
