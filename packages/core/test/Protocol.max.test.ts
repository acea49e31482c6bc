/** Messages are decoded as they are asked for: what is left stays bytes, and comes out the same. */
import { assert, describe, it } from "@effect/vitest"
import type * as Codec from "@socketserver/core/Codec"
import * as Protocol from "@socketserver/core/Protocol"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Transport from "@socketserver/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { cut, decode, pieces, serverOf, sizes } from "./support/decoding.ts"
import { listener, Scripted, turns } from "./support/scripted.ts"

const small = { maxFrameBytes: 12 }

const number = Protocol.schema(Protocol.ndjson(small), { request: Schema.Finite, response: Schema.Finite })

const sides: ReadonlyArray<readonly [name: string, side: Codec.Side<unknown, never>, alphabet: ReadonlyArray<string>]> =
  [
    ["chunks", serverOf(Protocol.bytes()), ["a", "b"]],
    ["lines", serverOf(Protocol.lines(small)), ["a", "é", "\n", "\r\n", "\r", "\n\n\n", "longer", "x\r\r\n"]],
    ["lines that end", serverOf(Protocol.lines({ ...small, unterminated: "malformed" })), ["a", "\n", "\n\n", "lon"]],
    ["lines of bytes", serverOf(Protocol.bytes(Protocol.lines(small))), ["a", "\n", "\r\n", "\r", "\n\n", "longer"]],
    ["delimited", serverOf(Protocol.delimited("--", small)), ["a", "-", "--", "----", "longer"]],
    [
      "prefixed",
      serverOf(Protocol.lengthPrefixed({ ...small, lengthBytes: 1 })),
      ["\0", "\u0001a", "\u0002", "\u000f"]
    ],
    ["fixed", serverOf(Protocol.fixed(2)), ["a", "bc", "def"]],
    ["netstrings", serverOf(Protocol.netstring(small)), ["0:,", "3:abc,", "1:a", ",", "x"]],
    ["ndjson", serverOf(Protocol.ndjson(small)), ["1\n", "{}\n", "[", "]\n", "\n", '"a"\n']],
    ["schema", serverOf(number), ["1\n", "{}\n", "2", "\n"]],
    ["json in netstrings", serverOf(Protocol.json(Protocol.netstring(small))), ["1:1,", "2:{},", "1:x,", "4:"]]
  ]

describe("decoding at most so many messages at a time", () => {
  for (const [name, side, alphabet] of sides) {
    it.effect.prop(
      `changes nothing about ${name}`,
      { input: pieces(alphabet, 24), sizes, large: sizes },
      ({ input, large, sizes }) =>
        Effect.sync(() => {
          const chunkings =
            name === "chunks"
              ? [cut(input, sizes)]
              : [
                  [input],
                  cut(input, sizes),
                  cut(
                    input,
                    large.map((n) => n * 4)
                  )
                ]
          for (const chunks of chunkings) {
            const whole = decode(side, chunks)
            for (const max of [1, 2, 3]) {
              for (const ahead of [0, 2]) assert.deepStrictEqual(decode(side, chunks, { max, ahead }), whole)
            }
          }
        })
    )
  }

  it("is the same for lines where there are many, of any length", () => {
    const line = (i: number) => ["", "a", "é".repeat(i % 90), "x".repeat((i * 7) % 300)][i % 4]
    const input = Array.from({ length: 600 }, (_, i) => line(i)).join("\r\n")
    for (const side of [serverOf(Protocol.lines()), serverOf(Protocol.bytes(Protocol.lines()))]) {
      const whole = decode<unknown>(side as Codec.Side<unknown, never>, [input])
      assert.strictEqual(whole.messages.length, 600)
      for (const max of [1, 64, 128, 599, 600, 601]) {
        const { error, messages } = decode<unknown>(side as Codec.Side<unknown, never>, [input], { max })
        assert.strictEqual(error, undefined)
        assert.deepStrictEqual(messages, whole.messages)
      }
    }
  })
})

describe("a connection", () => {
  /** A protocol of single bytes that counts what is decoded. */
  const counting = () => {
    const decoded = { count: 0 }
    const protocol = Protocol.make<string>({
      name: "counting",
      decode: (input) => {
        decoded.count++
        return Protocol.frame(String.fromCharCode(input[0] as number), 1)
      },
      encode: (text) => text
    })
    return { decoded, protocol }
  }

  it.effect("has no more decoded than may be in flight, and is not read while anything is left", () =>
    Effect.gen(function* () {
      const { decoded, protocol } = counting()
      class Bytes extends Server.Service<Bytes>()("Bytes", { protocol }) {}
      const latch = Latch.makeUnsafe()
      const { accept, listen } = listener()
      const live = Bytes.serve(({ body }) => Effect.as(latch.await, Response.make(body)))
      const context = yield* Layer.build(
        Layer.provideMerge(live, Transport.layer(Bytes, { maxPipelined: 8, drainTimeout: 0 }, listen))
      )
      const wire = new Scripted()
      accept(wire)
      wire.data("x".repeat(1_000))
      yield* turns
      assert.strictEqual(decoded.count, 8)
      assert.isTrue(wire.paused)
      // A transport that had it already brings it all the same.
      wire.data("y".repeat(1_000))
      assert.strictEqual(decoded.count, 8)
      wire.half()
      yield* latch.open
      for (let i = 0; i < 20; i++) yield* turns
      assert.strictEqual(decoded.count, 2_000)
      assert.strictEqual((yield* (yield* Effect.succeed(Context.get(context, Bytes))).counts).Completed, 2_000)
      assert.strictEqual(wire.asked().at(-1), "end")
    })
  )

  it.effect(
    "that is one request has a batch decoded for a handler that does not read, and all of it for one that does",
    () =>
      Effect.gen(function* () {
        const { decoded, protocol } = counting()
        class Whole extends Server.Service<Whole>()("Whole", { protocol: Protocol.connection(protocol) }) {}
        const latch = Latch.makeUnsafe()
        const read: Array<string> = []
        const { accept, listen } = listener()
        const live = Whole.serve(({ body }) =>
          Effect.gen(function* () {
            yield* latch.await
            for (let i = 0; i < 2_000; i++) read.push(yield* Effect.orDie(body.take as Effect.Effect<string>))
            return Response.empty
          })
        )
        yield* Layer.build(Layer.provideMerge(live, Transport.layer(Whole, { drainTimeout: 0 }, listen)))
        const wire = new Scripted()
        accept(wire)
        yield* turns
        wire.data("x".repeat(1_000))
        wire.data("y".repeat(1_000))
        yield* turns
        assert.strictEqual(decoded.count, 128)
        assert.isTrue(wire.paused)
        // What has come is there also after the end.
        wire.half()
        yield* latch.open
        for (let i = 0; i < 100; i++) yield* turns
        assert.strictEqual(read.join(""), "x".repeat(1_000) + "y".repeat(1_000))
      })
  )
})
