/** What a server says and counts beyond replies: last words, refusals, conversations, the end. */
import { assert, describe, it } from "@effect/vitest"
import * as Handler from "@socketserver/core/Handler"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Endpoint from "@socketserver/core/Endpoint"
import type * as Connection from "@socketserver/core/Connection"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { counts, Lines, logs, settled } from "./support/serving.ts"

class Talk extends Server.Service<Talk>()("Talk", { protocol: Protocol.connection(Protocol.lines()) }) {}
type Dialogue = (
  connection: Connection.Connection<string, string>
) => Effect.Effect<void, Connection.ConnectionError | Cause.Done>

const [, quiet] = logs()
const echo = (request: { readonly body: string }) => Effect.succeed(Response.make(request.body))
const utf8 = new TextEncoder()

const on = (options?: Server.ServeOptions<string, string>) =>
  Effect.provide(Layer.provideMerge(Lines.serve(echo, options), MemoryServer.layer(Lines)))

describe("input that cannot be decoded", () => {
  it.effect("is answered once what came before has been, and then the connection closes", () =>
    Effect.gen(function* () {
      const client = yield* Lines.rawClient
      yield* client.write(Uint8Array.of(...utf8.encode("one\ntwo\n"), 0xff, 10, ...utf8.encode("three\n")))
      const said = yield* Stream.mkString(Stream.decodeText(client.stream))
      assert.strictEqual(said, "one\ntwo\n-ERR Malformed after 16 bytes\n")
      assert.deepStrictEqual(yield* counts, { Completed: 2, Malformed: 1 })
    }).pipe(
      Effect.scoped,
      on({
        onUndecodable: (fault, { connection }) =>
          Response.make(`-ERR ${fault._tag} after ${connection.bytesRead} bytes`)
      })
    )
  )

  const json = (of: Protocol.Framed<string> | Protocol.Framed<Uint8Array>): Protocol.Protocol<never, unknown> =>
    Protocol.schema(Protocol.json(of), {
      request: Schema.Struct({ id: Schema.Int, method: Schema.Literal("add") }),
      response: Schema.Unknown
    }) as never
  const told: ReadonlyArray<{
    readonly what: string
    readonly protocol: Protocol.Protocol<never, unknown>
    readonly datagrams?: boolean
    readonly input: string
    readonly payload: string | undefined
    readonly isText?: boolean
  }> = [
    { what: "a line", protocol: json(Protocol.lines()), input: '{"id":7}\n', payload: '{"id":7}', isText: true },
    {
      what: "a line behind an empty one",
      protocol: Protocol.ndjson() as never,
      input: "\n1\n\nx\n",
      payload: "x",
      isText: true
    },
    {
      what: "a line that is no text",
      protocol: Protocol.text(Protocol.lines()) as never,
      input: "one\n\u00ff\n",
      payload: "\u00ff"
    },
    { what: "a netstring", protocol: json(Protocol.netstring()), input: '8:{"id":7},', payload: '{"id":7}' },
    {
      what: "none of a frame that is too large",
      protocol: json(Protocol.lines({ maxFrameBytes: 4 })),
      input: "123456\n",
      payload: undefined
    },
    { what: "none where no frame was found", protocol: json(Protocol.netstring()), input: "x", payload: undefined },
    {
      what: "a datagram",
      protocol: json(Protocol.netstring()),
      datagrams: true,
      input: '{"id":7}',
      payload: '{"id":7}'
    },
    {
      what: "a datagram that is no frame",
      protocol: Protocol.text(Protocol.lines()) as never,
      datagrams: true,
      input: "a\nb",
      payload: "a\nb"
    }
  ]
  it.effect.each(told)("is told with its payload: $what", ({ datagrams, input, isText, payload, protocol }) =>
    Effect.gen(function* () {
      class Rpc extends Server.Service<Rpc>()("Rpc", { protocol }) {}
      const got: Array<Server.Undecodable> = []
      const serving = Rpc.serve(() => Effect.succeed(Response.make("answered")), {
        onUndecodable: (_, about) => {
          got.push(about)
          return Response.make("none")
        }
      })
      const place = datagrams === true ? MemoryServer.layerDatagrams(Rpc) : MemoryServer.layer(Rpc)
      yield* Effect.gen(function* () {
        const client = yield* Rpc.rawClient
        yield* client.write(Uint8Array.from(input, (character) => character.charCodeAt(0)))
        yield* Effect.repeat(Effect.yieldNow, { times: 20 })
        yield* client.end
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(serving, place)))
      const [about, ...others] = got
      assert.deepStrictEqual(others, [])
      const said = about?.payload
      assert.strictEqual(typeof said === "string", isText === true)
      assert.strictEqual(said instanceof Uint8Array ? String.fromCharCode(...said) : said, payload)
      assert.strictEqual(about?.connection.kind, datagrams === true ? "datagram" : "stream")
    })
  )

  it.effect("is logged where outcomes are, with the peer and the place", () => {
    const [entries, layer] = logs()
    return Effect.gen(function* () {
      const client = yield* Lines.rawClient
      yield* client.write(Uint8Array.of(0xff, 10))
      yield* Effect.exit(client.take)
      yield* settled
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      const said = entries.filter(({ level }) => level === "Info").map(({ message }) => message)
      assert.strictEqual(said.length, 1)
      assert.match(
        said[0]!,
        /^Lines: a connection from memory:Lines-\d+#1 ended: malformed input: the line is not valid UTF-8/
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Layer.merge(Lines.serve(echo), Lines.logOutcomes), MemoryServer.layer(Lines))),
      Effect.provide(layer)
    )
  })
})

describe("a conversation", () => {
  const holding = <A, E, R>(dialogue: Dialogue, test: Effect.Effect<A, E, R>) =>
    test.pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(Handler.dialogue<string, string>(dialogue)),
          MemoryServer.layer(Talk, { drainTimeout: 0 })
        )
      ),
      Effect.provide(quiet)
    )
  const ended = Effect.gen(function* () {
    const server = yield* Talk
    while ((yield* server.connections).length > 0) yield* Effect.yieldNow
    return Object.fromEntries(Object.entries(yield* server.counts).filter(([, count]) => count > 0))
  })

  it.effect("is completed when its peer leaves regularly", () =>
    holding(
      (connection) => Effect.forever(Effect.asVoid(connection.take)),
      Effect.gen(function* () {
        const client = yield* Talk.client
        yield* client.write("hello")
        yield* client.end
        assert.deepStrictEqual(yield* ended, { Completed: 1 })
      })
    )
  )

  it.effect("is malformed where its input is, whatever its handler makes of it", () =>
    holding(
      (connection) => Stream.runDrain(connection.stream),
      Effect.gen(function* () {
        const client = yield* Talk.rawClient
        yield* client.write(Uint8Array.of(0xff, 10))
        assert.deepStrictEqual(yield* ended, { Malformed: 1 })
      })
    )
  )

  it.effect("fails where it writes what cannot be encoded", () =>
    holding(
      (connection) => connection.write("two\nlines"),
      Effect.gen(function* () {
        yield* Talk.client
        yield* Effect.yieldNow
        assert.deepStrictEqual(yield* ended, { Failed: 1 })
      })
    )
  )

  it.effect("loses nothing to a stream that it leaves early", () => {
    const heard: Array<string> = []
    return holding(
      (connection) =>
        Effect.gen(function* () {
          const until = Stream.takeWhile(connection.stream, (line) => line !== ".")
          heard.push(...(yield* Stream.runCollect(until)))
          heard.push(yield* connection.take)
          yield* connection.write("bye")
        }),
      Effect.gen(function* () {
        const client = yield* Talk.rawClient
        yield* client.write(utf8.encode("a\nb\n.\nQUIT\n"))
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(client.stream)), "bye\n")
        assert.deepStrictEqual(heard, ["a", "b", "QUIT"])
      })
    )
  })
})

describe("a stop", () => {
  it.effect("is told to handlers that would go on for ever", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const told = yield* Effect.forkScoped(server.stopping)
      yield* Effect.yieldNow
      assert.isUndefined(told.pollUnsafe())
      yield* server.shutdown
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(told)))
      yield* server.stopping
    }).pipe(Effect.scoped, on())
  )

  it.effect("keeps nothing of those who waited for it and left", () =>
    Effect.gen(function* () {
      const server = yield* Lines
      const key: unique symbol = Symbol.for("@socketserver/core/Server/engine") as never
      const waiting = (
        server as unknown as { readonly [key]: { readonly stop: { readonly waiting: { size: number } } } }
      )[key].stop.waiting
      const before = waiting.size
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkScoped(server.stopping, { startImmediately: true })
      )
      assert.strictEqual(waiting.size, before + 3)
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(waiting.size, before)
    }).pipe(Effect.scoped, on())
  )

  it.effect("lets a handler finish that has half-closed before", () => {
    const latch = Latch.makeUnsafe()
    const half = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const server = yield* Talk
      const client = yield* Talk.client
      yield* Deferred.await(half)
      yield* Effect.exit(client.take)
      const stopping = yield* Effect.forkScoped(server.shutdown, { startImmediately: true })
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* latch.open
      assert.strictEqual((yield* Fiber.join(stopping)).counts.Completed, 1)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Talk.serve(
            Handler.dialogue<string, string>((connection) =>
              connection.end.pipe(Effect.andThen(Deferred.succeed(half, undefined)), Effect.andThen(latch.await))
            )
          ),
          MemoryServer.layer(Talk)
        )
      )
    )
  })

  it.effect("is bounded in real time where time is virtual", () => {
    const begun = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const client = yield* Lines.client
      yield* client.write("sleep")
      yield* Deferred.await(begun)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.provideMerge(
          Lines.serve(() => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)),
          MemoryServer.layer(Lines)
        )
      ),
      Effect.provide(quiet)
    )
  })
})

describe("a connection that could not be accepted", () => {
  it.effect("is counted, and the server goes on", () =>
    Effect.gen(function* () {
      const sink = yield* Deferred.make<Transport.Sink>()
      const transport = Transport.layer(Lines, {}, (given) =>
        Effect.as(Deferred.succeed(sink, given), {
          address: Endpoint.memory("nowhere"),
          close: () => {},
          connect: Effect.never
        })
      )
      yield* Effect.gen(function* () {
        const loop = yield* Effect.forkScoped(Lines.run(echo))
        ;(yield* Deferred.await(sink)).lose(new Error("EMFILE"))
        assert.deepStrictEqual(yield* counts, { Refused: 1 })
        yield* Effect.yieldNow
        assert.isUndefined(loop.pollUnsafe())
      }).pipe(Effect.scoped, Effect.provide(transport))
    }).pipe(Effect.provide(quiet))
  )
})
