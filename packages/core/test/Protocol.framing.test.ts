/** Netstrings, what a step is given back, and formats of one side. */
import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { bytewise, cut, decode, pieces, serverOf, sizes, text, utf8 } from "./support/decoding.ts"

describe("a netstring", () => {
  const side = serverOf(Protocol.netstring({ maxFrameBytes: 64 }))
  const read = (input: string, chunked: (input: string) => ReadonlyArray<string | Uint8Array> = (input) => [input]) => {
    const { error, messages } = decode(side, chunked(input))
    return [...messages.map(text), error === undefined ? "end" : error._tag === "Malformed" ? error.reason : error._tag]
  }

  it.each([
    ["0:,", ["", "end"]],
    ["5:hello,0:,1:,,", ["hello", "", ",", "end"]],
    ["05:hello,", ["the length starts with 0"]],
    ["00:,", ["the length starts with 0"]],
    [":,", ["it has no length"]],
    ["1:a,-1:a,", ["a", "the length is not a number of at most ten digits"]],
    ["1 :a,", ["the length is not a number of at most ten digits"]],
    ["99999999999", ["the length is not a number of at most ten digits"]],
    ["9999999999:", ["FrameTooLarge"]],
    ["1:ab", ["no comma at the end"]],
    ["1:a;", ["no comma at the end"]],
    ["3:ab,", ["the input ended inside a frame (after 5 bytes of it)"]],
    ["3", ["the input ended inside a frame (after 1 bytes of it)"]],
    ["60:", ["the input ended inside a frame (after 3 bytes of it)"]],
    ["61:", ["FrameTooLarge"]]
  ])("%j is read as %j, however it comes", (input, expected) => {
    assert.deepStrictEqual(read(input), expected)
    assert.deepStrictEqual(read(input, bytewise), expected)
  })

  it.effect.prop(
    "reads any input the same in any chunks",
    { input: pieces(["0:,", "3:abc,", "2:é,", "0", "9", "12", ":", ",", "x", "61:"], 10), sizes },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const whole = decode(side, [input])
        assert.deepStrictEqual(decode(side, cut(input, sizes)), whole)
        assert.deepStrictEqual(decode(side, bytewise(input)), whole)
      })
  )

  it("counts the digits of a datagram's length that is not there", () => {
    const sized = (bytes: number) => Result.isSuccess(side.datagram.decode(new Uint8Array(bytes)))
    assert.deepStrictEqual([sized(60), sized(61)], [true, false])
  })
})

describe("what a step leaves for the next one", () => {
  /** Messages end with a dot; each step says what it was given. */
  const counting = (make: typeof Protocol.make | typeof Protocol.framing) => {
    const given: Array<readonly [seen: number, state: unknown]> = []
    const format = {
      name: "counting",
      decode: (input: Uint8Array, seen: number, state: { readonly steps: number } | undefined) => {
        given.push([seen, state])
        const at = input.indexOf(46, seen)
        if (input[seen] === 33) throw new Error("a bug")
        return at === -1
          ? Protocol.more(undefined, { steps: (state?.steps ?? 0) + 1 })
          : Protocol.frame(input.subarray(0, at), at + 1)
      },
      encode: (message: Uint8Array) => message
    }
    const protocol =
      make === Protocol.make ? Protocol.make<Uint8Array>(format as never) : Protocol.framing(format as never)
    return { given, side: serverOf(protocol as Protocol.Protocol<Uint8Array, Uint8Array>) }
  }

  for (const make of [Protocol.make, Protocol.framing] as const) {
    describe(make === Protocol.make ? "of make" : "of framing", () => {
      it("comes back within a frame, and never in the next one", () => {
        const { given, side } = counting(make)
        decode(side, ["a", "b", "c.", "d", ".e.", "f", "g.h"], { open: true })
        assert.deepStrictEqual(given, [
          [0, undefined],
          [1, { steps: 1 }],
          [2, { steps: 2 }],
          [0, undefined],
          [1, { steps: 1 }],
          [0, undefined],
          [0, undefined],
          [1, { steps: 1 }],
          [0, undefined]
        ])
      })

      it("is not there for another connection", () => {
        const { given, side } = counting(make)
        const [one, other] = [side.decoder(), side.decoder()]
        one.push(utf8("a"), [])
        other.push(utf8("b"), [])
        one.push(utf8("c"), [])
        assert.deepStrictEqual(given, [
          [0, undefined],
          [0, undefined],
          [1, { steps: 1 }]
        ])
      })

      it("is not there for a datagram, which is looked at once", () => {
        const { given, side } = counting(make)
        decode(side, ["a"], { open: true })
        for (const datagram of ["x.", "y"]) side.datagram.decode(utf8(datagram))
        assert.deepStrictEqual(given, [
          [0, undefined],
          [0, undefined],
          [0, undefined]
        ])
      })

      it("is forgotten with a step that left none", () => {
        const given: Array<unknown> = []
        const protocol = (make as typeof Protocol.framing)({
          name: "forgetful",
          decode: (input: Uint8Array, _: number, state: unknown) => {
            given.push(state)
            return Protocol.more(undefined, input.length === 1 ? "left" : undefined)
          },
          encode: (message: Uint8Array) => message
        })
        decode(serverOf(protocol), bytewise("abc"), { open: true })
        assert.deepStrictEqual(given, [undefined, "left", undefined])
      })

      it("does not outlive a step that throws, whose frame is named", () => {
        const { side } = counting(make)
        assert.deepStrictEqual(decode(side, ["a.b", "!"]).error, Outcome.malformed(2, "the decoder threw: a bug"))
      })
    })
  }

  it("is not asked about a datagram that is larger than a frame may be", () => {
    let asked = 0
    const framing = Protocol.framing({
      name: "asking",
      maxFrameBytes: 4,
      decode: (input) => {
        asked++
        return Protocol.frame(input, input.length)
      },
      encode: (payload) => payload
    })
    const made = Protocol.make<string>({
      name: "asking",
      maxFrameBytes: 4,
      decode: (input) => {
        asked++
        return Protocol.frame(text(input), input.length)
      },
      encode: (message) => message
    })
    for (const protocol of [framing, made]) {
      const { datagram } = protocol.client
      assert.deepStrictEqual(datagram.decode(new Uint8Array(5)) as unknown, Result.fail(Outcome.frameTooLarge(4, 0)))
    }
    assert.strictEqual(asked, 0)
  })
})

describe("a protocol that only a server can speak", () => {
  const protocol = Protocol.make({
    name: "ask",
    request: { decode: (input) => Protocol.frame(text(input.subarray(0, 1)), 1) },
    response: { encode: (n: number) => `${n};` }
  })
  class Ask extends Server.Service<Ask>()("Ask", { protocol }) {}
  const AskLive = Ask.serve(({ body }) => Effect.succeed(Response.make(body.charCodeAt(0))))
  const problem = "ask has no client's side: give its request an encode and its response a decode"

  it.effect("is served, and its client refuses what it is to send, with the mend", () =>
    Effect.gen(function* () {
      const raw = yield* Ask.rawClient
      yield* raw.write(utf8("ab"))
      yield* raw.end
      let said = ""
      for (let next = yield* Effect.option(raw.take); next._tag === "Some"; next = yield* Effect.option(raw.take))
        said += text(next.value)
      assert.strictEqual(said, "97;98;")
      const client = yield* Ask.client
      for (const use of [client.send("a" as never), client.write("a" as never)]) {
        const { reason } = yield* Effect.flip(use)
        assert.deepStrictEqual(reason, { _tag: "EncodeFailed", problem })
      }
      const datagram = (protocol.client as Codec.Side<never, never> as Codec.Side<unknown, never>).datagram
      assert.deepStrictEqual(datagram.encode("a" as never), new Protocol.Unencodable(problem))
      assert.deepStrictEqual(datagram.decode(utf8("a")) as unknown, Result.fail(Outcome.malformed(0, problem)))
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(AskLive, MemoryServer.layer(Ask))))
  )

  it.each([
    [
      "decode of its response",
      { request: { decode: () => Protocol.more(), encode: (): string => "" }, response: { encode: (): string => "" } }
    ],
    [
      "encode of its request",
      {
        request: { decode: () => Protocol.more() },
        response: { decode: () => Protocol.more(), encode: (): string => "" }
      }
    ]
  ])("lacks the %s", (_, sides) => {
    const half = Protocol.make({ name: "half", ...sides } as never) as Protocol.Protocol<unknown, unknown>
    assert.instanceOf(half.client.encode(1), Protocol.Unencodable)
  })
})

describe("a correlated protocol", () => {
  const Message = Schema.Struct({ id: Schema.Int })
  const plain = Protocol.json(Protocol.netstring())
  const correlated = Protocol.correlated(plain, { id: (message) => (message as { readonly id: unknown }).id })
  const mend = "give its messages their types first, and correlate those"

  it.effect.each([
    { how: "schema", protocol: Protocol.schema(correlated as never, { request: Message, response: Message }) },
    {
      how: "transform",
      protocol: Protocol.transform(correlated, {
        request: { decode: Result.succeed, encode: Result.succeed },
        response: { decode: Result.succeed, encode: Result.succeed }
      })
    }
  ])("that gets its types by $how afterwards does not start, and says how it would", ({ protocol }) => {
    class Late extends Server.Service<Late>()("Late", { protocol: protocol as Protocol.Protocol<unknown, unknown> }) {}
    return Effect.gen(function* () {
      const { message, reason } = yield* Effect.flip(Layer.build(MemoryServer.layer(Late)))
      assert.strictEqual(reason._tag, "InvalidOption")
      assert.include(message, mend)
    }).pipe(Effect.scoped)
  })

  it.effect("keeps the problem that it had", () => {
    class Wrong extends Server.Service<Wrong>()("Wrong", {
      protocol: Protocol.correlated(Protocol.json(Protocol.delimited("")), { id: () => 1 })
    }) {}
    return Effect.gen(function* () {
      assert.include((yield* Effect.flip(Layer.build(MemoryServer.layer(Wrong)))).message, "the delimiter is empty")
    }).pipe(Effect.scoped)
  })
})
