import { assert, describe, it } from "@effect/vitest"
import { Client, MemoryServer, Protocol, Response, Server } from "@socketserver/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

class Bytes extends Server.Service<Bytes>()("Bytes", { protocol: Protocol.bytes() }) {}

const utf8 = { encode: (text: string) => new TextEncoder().encode(text), decode: new TextDecoder() }

/** Answers with what it is asked, but for what is no JSON to whoever asks for that. */
const BytesLive = Bytes.serve(({ body }) =>
  Effect.succeed(Response.make(utf8.decode.decode(body) === '"bad"' ? utf8.encode("no JSON") : body))
)

const client = Effect.flatMap(MemoryServer.wire("bytes"), (wire) => Client.make(wire, Protocol.ndjson()))

const on = Effect.provide(Layer.provideMerge(BytesLive, MemoryServer.layerDatagrams(Bytes, { name: "bytes" })))

describe("a client over datagrams", () => {
  it.effect("fails for the answer that it cannot decode, and not for the next", () =>
    Effect.gen(function* () {
      const { send, stream, write } = yield* client
      assert.strictEqual((yield* Effect.flip(send("bad"))).reason._tag, "Malformed")
      assert.strictEqual(yield* send("good"), "good")

      // In their turn, whoever takes them.
      for (const line of ["one", "bad", "two", "three"]) yield* write(line)
      const seen: Array<unknown> = []
      const reading = Stream.runForEach(stream, (line) => Effect.sync(() => void seen.push(line)))
      assert.strictEqual((yield* Effect.flip(reading)).reason._tag, "Malformed")
      assert.deepStrictEqual(seen, ["one"])
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(stream, 2)), ["two", "three"])
    }).pipe(Effect.scoped, on)
  )

  it.effect("gives all that has come to who pulls, up to what cannot be decoded", () =>
    Effect.gen(function* () {
      const { pull, write } = yield* client
      for (const line of ["one", "bad", "two"]) yield* write(line)
      const pulled: Array<unknown> = []
      while (pulled.length < 2) {
        const next = yield* Effect.result(pull)
        if (next._tag === "Success") pulled.push(...next.success)
        else if (next.failure._tag === "ConnectionError") assert.strictEqual(next.failure.reason._tag, "Malformed")
      }
      assert.deepStrictEqual(pulled, ["one", "two"])
    }).pipe(Effect.scoped, on)
  )
})
