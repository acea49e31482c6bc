import { assert, describe, it } from "@effect/vitest"
import { MemoryServer, Response, Server } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import { Effect, Layer, Stream } from "effect"

class Redis extends Server.Service<Redis>()("Redis", { protocol: Resp.protocol() }) {}

const RedisLive = Redis.serve(
  ({ body, connection }) =>
    Effect.gen(function* () {
      if (body.name === "PING") return Response.make(Resp.simple("PONG"))
      if (body.name === "PUSH") yield* Effect.ignore(connection.push(Resp.push([Resp.bulk("news")])))
      return Response.make(Resp.array(body.words.map((word) => Resp.bulk(word))))
    }),
  { onUndecodable: Resp.onUndecodable }
)

const inMemory = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  test.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(RedisLive, MemoryServer.layer(Redis))))

/** Sends text, half-closes, and reads until the server closes. */
const said = (text: string) =>
  Effect.gen(function* () {
    const connection = yield* Redis.rawClient
    yield* connection.write(new TextEncoder().encode(text))
    yield* connection.end
    return yield* connection.stream.pipe(Stream.decodeText, Stream.mkString)
  })

describe("A server of Redis' protocol", () => {
  it.effect("answers its typed client, many requests at once and in order", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const echo = (word: string) => Effect.map(client.send(Resp.command("ECHO", word)), Resp.plain)
      const words = Array.from({ length: 50 }, (_, i) => `word ${i}`)
      assert.deepStrictEqual(
        yield* Effect.forEach(words, echo, { concurrency: "unbounded" }),
        words.map((word) => ["ECHO", word])
      )
    }).pipe(inMemory)
  )

  it.effect("pushes between replies", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      yield* client.write(Resp.command("PUSH"))
      assert.deepStrictEqual([yield* client.take, yield* client.take].map(Resp.plain), [["news"], ["PUSH"]])
    }).pipe(inMemory)
  )

  it.effect("answers what came before a half-close, arrays and lines alike", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* said("PING\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n"),
        "+PONG\r\n*2\r\n$4\r\nECHO\r\n$1\r\na\r\n"
      )
      assert.strictEqual(yield* said("PING\r\n*2\r\n$4\r\nEC"), "+PONG\r\n")
    }).pipe(inMemory)
  )

  it.effect("says what is wrong with input that is none, after what came before it, and closes", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* said("PING\r\n*1\r\n$abc\r\nPING\r\n"),
        "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"
      )
      const large = `*9\r\n${`$1048576\r\n${"x".repeat(1_048_576)}\r\n`.repeat(2)}`
      assert.strictEqual(yield* said(large), "-ERR Protocol error: too big request\r\n")
      const { counts } = yield* (yield* Redis).shutdown
      assert.deepStrictEqual([counts.Malformed, counts.FrameTooLarge, counts.Completed], [1, 1, 1])
    }).pipe(inMemory)
  )

  it.effect("refuses to send a command that its server would not read", () =>
    Effect.gen(function* () {
      const client = yield* Redis.client
      const large = new Uint8Array(1_000_000)
      const error = yield* Effect.flip(client.send(Resp.command("SET", large, large, large)))
      assert.strictEqual(error.reason._tag, "EncodeFailed")
      assert.deepStrictEqual(Resp.plain(yield* client.send(Resp.command("PING"))), "PONG")
    }).pipe(inMemory)
  )
})
