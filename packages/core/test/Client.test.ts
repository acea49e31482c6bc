import { assert, describe, it } from "@effect/vitest"
import * as Client from "@socketserver/core/Client"
import type * as Connection from "@socketserver/core/Connection"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

class Lines extends Server.Service<Lines>()("Lines", { protocol: Protocol.lines() }) {}

const on = (handler: Handler.Handler<string, string>) => {
  const layer = Layer.provideMerge(Lines.serve(handler), MemoryServer.layer(Lines))
  return <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.provide(Effect.scoped(body), layer)
}

const echo: Handler.Handler<string, string> = (request) => Effect.succeed(Response.make(request.body))

describe("a client", () => {
  it.effect("gives each of several senders its own answer", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const lines = Array.from({ length: 50 }, (_, i) => `line ${i}`)
      const answers = yield* Effect.forEach(lines, (line) => client.send(line), { concurrency: "unbounded" })
      assert.deepStrictEqual(answers, lines)
    }).pipe(on((request) => Effect.andThen(Effect.yieldNow, echo(request))))
  )

  it.effect("can have its functions passed on", () =>
    Effect.gen(function* () {
      const { exchange, send, write } = yield* Lines.client
      assert.deepStrictEqual(yield* Effect.forEach(["a", "b"], send), ["a", "b"])
      yield* Effect.forEach(["c", "d"], write)
      const rest = yield* Stream.runCollect(exchange(Stream.make("e")))
      assert.deepStrictEqual(rest, ["c", "d", "e"])
    }).pipe(on(echo))
  )

  it.effect("exchanges streams, and half-closes after the last request", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const lines = Array.from({ length: 1_000 }, (_, i) => `${i}`)
      assert.deepStrictEqual(yield* Stream.runCollect(client.exchange(Stream.fromIterable(lines))), lines)
      assert.strictEqual((yield* Effect.flip(client.write("more"))).reason._tag, "Closed")
    }).pipe(on(echo))
  )

  it.effect("fails an exchange with the error of its requests", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const requests = Stream.concat(Stream.make("a"), Stream.fail("no more"))
      assert.strictEqual(yield* Effect.flip(Stream.runCollect(client.exchange(requests))), "no more")
    }).pipe(on(echo))
  )

  it.effect("closes the connection when a send is interrupted, so that no later one gets its answer", () => {
    const begun = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const client = yield* Lines.client
      const sending = yield* Effect.forkScoped(client.send("slow"))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(sending)
      assert.strictEqual((yield* Effect.flip(client.send("next"))).reason._tag, "Closed")
    }).pipe(on(() => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
  })

  it.effect("fails a send that is not answered because the server closed", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const { message, reason } = yield* Effect.flip(client.send("quit"))
      assert.strictEqual(reason._tag, "Closed")
      assert.match(message, /^Connection with memory:Lines-\d+: it is closed$/)
    }).pipe(on(() => Effect.succeed(Response.andClose(Response.empty))))
  )

  it.effect("is still good after a message that cannot be encoded", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      const { message, reason } = yield* Effect.flip(client.send("two\nlines"))
      assert.strictEqual(reason._tag, "EncodeFailed")
      assert.include(message, "cannot contain a newline")
      assert.strictEqual(yield* client.send("one line"), "one line")
    }).pipe(on(echo))
  )

  const oneFrame: ReadonlyArray<readonly [string, Protocol.Protocol<string, string>, length: number]> = [
    ["lines", Protocol.lines({ maxFrameBytes: 100 }), 0],
    ["lengthPrefixed", Protocol.text(Protocol.lengthPrefixed({ maxFrameBytes: 100 })), 4],
    ["delimited", Protocol.text(Protocol.delimited("END", { maxFrameBytes: 100 })), 3],
    ["netstring", Protocol.text(Protocol.netstring({ maxFrameBytes: 100 })), 4]
  ]
  const places = { connections: MemoryServer.layer, datagrams: MemoryServer.layerDatagrams }
  for (const [name, protocol, overhead] of oneFrame) {
    for (const [over, place] of Object.entries(places)) {
      it.effect(`sends no request that its server does not read (${name} over ${over})`, () =>
        Effect.gen(function* () {
          class Small extends Server.Service<Small>()("Small", { protocol }) {}
          const services = yield* Layer.build(
            Layer.provideMerge(
              Small.serve(({ body }) => Effect.succeed(Response.make(`${body.length}`))),
              place(Small)
            )
          )
          const server = yield* Effect.provide(Small, services)
          const client = yield* Effect.provide(Small.client, services)
          const most = 100 - overhead
          assert.strictEqual(yield* client.send("x".repeat(most)), `${most}`)
          for (const text of ["x".repeat(most + 1), "ü".repeat(most), "x".repeat(100_000)]) {
            const { reason } = yield* Effect.flip(client.send(text))
            assert.strictEqual(reason._tag, "EncodeFailed")
            assert.match(
              (reason as Connection.EncodeFailed).problem,
              /^it has \d+ bytes, and the server reads at most 100 \(maxFrameBytes\)$/
            )
          }
          assert.strictEqual(yield* client.send("good"), "4")
          assert.strictEqual((yield* server.counts).FrameTooLarge, 0)
        }).pipe(Effect.scoped)
      )
    }
  }

  it.effect("sends no bytes that its server does not read, however large they are", () =>
    Effect.gen(function* () {
      class Bytes extends Server.Service<Bytes>()("Bytes", { protocol: Protocol.lengthPrefixed() }) {}
      const services = yield* Layer.build(
        Layer.provideMerge(
          Bytes.serve(({ body }) => Effect.succeed(Response.make(body.subarray(0, 1)))),
          MemoryServer.layer(Bytes)
        )
      )
      const client = yield* Effect.provide(Bytes.client, services)
      assert.strictEqual((yield* client.send(new Uint8Array(65_532))).length, 1)
      for (const size of [65_533, 65_536, 65_537, 200_000]) {
        assert.strictEqual(
          (yield* Effect.flip(client.send(new Uint8Array(size)))).reason._tag,
          "EncodeFailed",
          `${size}`
        )
      }
      assert.strictEqual((yield* client.send(new Uint8Array(10))).length, 1)
      const server = yield* Effect.provide(Bytes, services)
      assert.strictEqual((yield* server.counts).FrameTooLarge, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("sends at once what is several frames to its server, however much", () =>
    Effect.gen(function* () {
      const line = Protocol.lines({ maxFrameBytes: 100 })
      class Chunked extends Server.Service<Chunked>()("Chunked", {
        protocol: { ...line, client: Protocol.text(Protocol.bytes()).client as never } as Protocol.Protocol<
          string,
          string
        >
      }) {}
      yield* Effect.flatMap(Chunked.client, (client) =>
        Effect.gen(function* () {
          yield* client.write("x\n".repeat(1_000))
          assert.include(yield* client.take, "x\n")
        })
      ).pipe(
        Effect.provide(
          Layer.provideMerge(
            Chunked.serve(({ body }) => Effect.succeed(Response.make(body))),
            MemoryServer.layer(Chunked)
          )
        )
      )
    }).pipe(Effect.scoped)
  )

  it.effect("hears what is pushed, with or without a request", () =>
    Effect.gen(function* () {
      const client = yield* Lines.client
      assert.strictEqual(yield* client.send("subscribe"), "news 1")
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(client.stream, 2)), ["news 2", "subscribed"])
    }).pipe(
      on(({ connection }) =>
        Effect.as(
          Effect.ignore(Effect.andThen(connection.push("news 1"), connection.push("news 2"))),
          Response.make("subscribed")
        )
      )
    )
  )

  it.effect("cannot be used when its scope is left", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(Lines.client, scope)
      yield* client.send("hello")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(client.write("late"))).reason._tag, "Closed")
      assert.strictEqual((yield* Effect.flip(client.take))._tag, "Done")
    }).pipe(on(echo))
  )
})

describe("a client over datagrams", () => {
  it.effect("learns of what has broken before it was made", () =>
    Effect.gen(function* () {
      const peer = Peer.make({ transport: "test", name: "server" })
      const wire = Transport.datagramWire({
        peer,
        listener: Endpoint.memory("server"),
        maxMessageBytes: 100,
        send: (_, sent) => sent(),
        close: () => {}
      })
      wire.broken(new Error("nobody is there"))
      // In a later turn, as it is where a host name is looked up.
      yield* Effect.yieldNow
      const client = yield* Client.make(wire, Protocol.lines())
      assert.strictEqual(
        (yield* Effect.flip(client.send("hello"))).message,
        "Connection with server: it was reset: nobody is there"
      )
    }).pipe(Effect.scoped)
  )
})
