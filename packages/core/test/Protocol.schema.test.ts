import { assert, describe, it } from "@effect/vitest"
import { Outcome, Protocol } from "@socketserver/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { bytewise, cut, decode, join, line, many, pieces, serverOf, sizes } from "./support/decoding.ts"

const problem = (encoded: string | Uint8Array | Protocol.Unencodable) =>
  encoded instanceof Protocol.Unencodable ? encoded.problem : `sent as ${JSON.stringify(encoded)}`

describe("Protocol.ndjson", () => {
  const ndjson = Protocol.ndjson()
  const codec = serverOf(ndjson)
  const value = Arbitrary.map(
    many(Arbitrary.all([line, Arbitrary.schema(Schema.Union([Schema.Int, Schema.Boolean, Schema.Null]))])),
    // JSON has no -0.
    (entries): unknown => ({
      entries: Object.fromEntries(entries.map(([text, value]) => [text, value === 0 ? 0 : value])),
      texts: entries.map(([text]) => text)
    })
  )

  it.effect.prop("decodes what it encoded, in any chunks", { sent: many(value), sizes }, ({ sent, sizes }) =>
    Effect.sync(() => {
      for (const side of [codec, ndjson.client]) {
        const input = join(sent.map((value) => side.encode(value) as string))
        const { error, messages } = decode(side, cut(input, sizes))
        assert.deepStrictEqual({ error, messages }, { error: undefined, messages: sent })
      }
    })
  )

  it.effect.prop(
    "decodes any input the same in any chunks",
    { input: pieces(["1", '"é', '"', "[", "]", "\n", "\n", "\r\n", "null", Uint8Array.of(0xff)], 16), sizes },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const whole = decode(codec, [input])
        assert.deepStrictEqual(decode(codec, cut(input, sizes)), whole)
        assert.deepStrictEqual(decode(codec, bytewise(input)), whole)
      })
  )

  it("sends newlines inside of texts, escaped", () => {
    assert.strictEqual(ndjson.client.encode({ text: "a\nb" }), '{"text":"a\\nb"}\n')
  })

  it("names the line that is not JSON and why, and lets those before it stand", () => {
    const input = '{"é":1}\r\n[2]\n{"a":\n[3]\n'
    for (const chunks of [[input], bytewise(input)]) {
      const { error, messages } = decode(codec, chunks)
      assert.deepStrictEqual(messages, [{ é: 1 }, [2]])
      assert(error?._tag === "Malformed")
      assert.strictEqual(error.offset, 14)
      assert.match(error.reason, /^it is not JSON: it ends too early$/)
    }
  })

  it("passes over empty lines, which keep a connection alive, and knows where it is", () => {
    const input = "\n1\n\n\r\n2\n\n[\n3\n"
    const typed = serverOf(Protocol.schema(Protocol.ndjson(), { request: Schema.Finite, response: Schema.Finite }))
    for (const chunks of [[input], bytewise(input)]) {
      const { error, messages } = decode(codec, chunks)
      assert.deepStrictEqual([messages, error?._tag, error?.offset], [[1, 2], "Malformed", 9])
    }
    assert.deepStrictEqual(decode(codec, [input]).offsets, [1, 6])
    const { error } = decode(typed, ["\n1\n\ntrue\n"])
    assert.deepStrictEqual([error?._tag, error?.offset], ["Malformed", 4])
    assert.deepStrictEqual(decode(codec, ["\n".repeat(1_000)]), { messages: [], error: undefined, offsets: [] })
  })

  it("takes no datagram for a message that is empty", () => {
    const decoded = codec.datagram.decode(new Uint8Array())
    assert.isTrue(Result.isFailure(decoded))
  })

  it("has the options of lines", () => {
    const options = { terminator: "\r\n", unterminated: "malformed", maxFrameBytes: 4 } as const
    assert.strictEqual(Protocol.ndjson(options).client.encode(1), "1\r\n")
    const strict = serverOf(Protocol.ndjson(options))
    assert.deepStrictEqual(
      decode(strict, ["1\n2"]).error,
      Outcome.malformed(2, "the input ended inside a line (1 bytes without a newline)")
    )
    assert.deepStrictEqual(decode(strict, ["1234\n12345\n"]), {
      messages: [1234],
      error: Outcome.frameTooLarge(4, 5),
      offsets: [0]
    })
  })

  it("refuses to send what is not a JSON value", () => {
    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = cyclic
    assert.strictEqual(problem(ndjson.client.encode(undefined)), "undefined is not a JSON value")
    assert.strictEqual(problem(ndjson.client.encode(() => 1)), "function is not a JSON value")
    assert.match(problem(ndjson.client.encode(1n)), /BigInt/)
    assert.match(problem(ndjson.client.encode(cyclic)), /circular/)
  })
})

describe("Protocol.schema", () => {
  const Add = Schema.Struct({ add: Schema.Array(Schema.Finite) })
  const protocol = Protocol.schema(Protocol.ndjson(), {
    request: Add,
    response: Schema.Struct({ at: Schema.DateFromString })
  })
  const codec = serverOf(protocol)

  it.effect.prop(
    "decodes what it encoded, on both sides and in any chunks",
    { sent: Schema.Array(Add), sizes },
    ({ sent, sizes }) =>
      Effect.sync(() => {
        const requests = join(sent.map((request) => protocol.client.encode(request) as string))
        const decoded = decode(codec, cut(requests, sizes))
        // JSON has no negative zero.
        const positive = sent.map(({ add }) => ({ add: add.map((n) => n + 0) }))
        assert.deepStrictEqual([decoded.error, decoded.messages], [undefined, positive])
        const answers = positive.map((_, i) => ({ at: new Date(i) }))
        const responses = join(answers.map((answer) => codec.encode(answer) as string))
        assert.deepStrictEqual(decode(protocol.client, cut(responses, sizes)).messages, answers)
      })
  )

  it("transforms both ways", () => {
    assert.strictEqual(codec.encode({ at: new Date(0) }), '{"at":"1970-01-01T00:00:00.000Z"}\n')
    assert.deepStrictEqual(decode(protocol.client, ['{"at":"1970-01-01T00:00:00.000Z"}\n']).messages, [
      { at: new Date(0) }
    ])
  })

  it("names the path that does not fit and the line it is in, and lets those before it stand", () => {
    const input = '{"add":[1]}\n{"add":[1,"two"]}\n{"add":[]}\n'
    for (const chunks of [[input], bytewise(input)]) {
      const { error, messages } = decode(codec, chunks)
      assert.deepStrictEqual(messages, [{ add: [1] }])
      assert(error?._tag === "Malformed")
      assert.strictEqual(error.offset, 12)
      assert.include(error.reason, '["add"][1]')
    }
  })

  it("says in one line what does not fit, as logs need it", () => {
    const { error } = decode(codec, ['{"add":[1,"two"]}\n'])
    assert.notInclude((error as Outcome.Malformed).reason, "\n")
  })

  it("passes the framing's own errors on, after what does not fit before them", () => {
    const limited = serverOf(Protocol.schema(Protocol.ndjson({ maxFrameBytes: 12 }), { request: Add, response: Add }))
    const long = '{"add":[1,2,3,4]}\n'
    assert.deepStrictEqual(decode(limited, [`{"add":[1]}\n${long}`]).error, Outcome.frameTooLarge(12, 12))
    assert.deepStrictEqual(decode(limited, [`{"add":"x"}\n${long}`]).error?.offset, 0)
  })

  it("refuses to send what does not fit, with the path", () => {
    assert.include(problem(protocol.client.encode({ add: [1, NaN] })), '["add"][1]')
    assert.include(problem(codec.encode({ at: "today" } as never)), '["at"]')
  })

  it("types any framing", () => {
    const numbers = Protocol.schema(Protocol.lines(), {
      request: Schema.FiniteFromString,
      response: Schema.FiniteFromString
    })
    assert.deepStrictEqual(decode(serverOf(numbers), ["1\n2.5\n"]).messages, [1, 2.5])
    assert.strictEqual(numbers.client.encode(2.5), "2.5\n")
    assert.deepStrictEqual(decode(serverOf(numbers), ["1\nx\n"]).error?.offset, 2)
  })
})

describe("Protocol.transform", () => {
  const number: Protocol.Conversion<string, number> = {
    decode: (text) => (/^\d+$/.test(text) ? Result.succeed(Number(text)) : Result.fail(`"${text}" is not a number`)),
    encode: (n) => (n < 0 ? Result.fail(`${n} is negative`) : Result.succeed(String(n)))
  }
  const hex: Protocol.Conversion<string, number> = {
    decode: (text) => Result.succeed(Number.parseInt(text, 16)),
    encode: (n) => Result.succeed(n.toString(16))
  }
  const same = <A>(): Protocol.Conversion<A, A> => ({ decode: Result.succeed, encode: Result.succeed })
  const protocol = Protocol.transform(Protocol.lines(), { request: number, response: hex })

  it("converts requests and responses, each in both directions", () => {
    assert.strictEqual(protocol.client.encode(255), "255\n")
    assert.deepStrictEqual(decode(serverOf(protocol), ["255\n"]).messages, [255])
    assert.strictEqual(serverOf(protocol).encode(255), "ff\n")
    assert.deepStrictEqual(decode(protocol.client, ["ff\n"]).messages, [255])
  })

  it("says what cannot be converted, where it starts, and lets what is before it stand", () => {
    for (const chunks of [["1\n22\nx\n3\n"], bytewise("1\n22\nx\n3\n")]) {
      const { error, messages } = decode(serverOf(protocol), chunks)
      assert.deepStrictEqual([messages, error], [[1, 22], Outcome.malformed(5, '"x" is not a number')])
    }
    assert.deepStrictEqual(decode(serverOf(protocol), ["1\n", "x"]).error, Outcome.malformed(2, '"x" is not a number'))
  })

  it("says what cannot be sent, its own problem or that of the framing", () => {
    assert.strictEqual(problem(protocol.client.encode(-1)), "-1 is negative")
    const doubled = Protocol.transform(Protocol.fixed(1), {
      request: { ...same<Uint8Array>(), encode: (bytes) => Result.succeed(join([bytes, bytes])) },
      response: same<Uint8Array>()
    })
    assert.strictEqual(problem(doubled.client.encode(Uint8Array.of(1))), "a message has 1 bytes, not 2")
  })

  it("knows where a message starts through several layers", () => {
    const even = Protocol.transform(protocol, {
      request: { ...same<number>(), decode: (n) => (n % 2 === 0 ? Result.succeed(n) : Result.fail(`${n} is odd`)) },
      response: same<number>()
    })
    assert.deepStrictEqual(decode(serverOf(even), ["2\n44\n", "6\n7\n"]).error, Outcome.malformed(7, "7 is odd"))
  })
})

describe("What a protocol says of itself", () => {
  it("is its name, its kind and whether replies keep the order of requests", () => {
    const facts = (protocol: Protocol.Protocol<never, never>) => [
      protocol.name,
      protocol.kind,
      protocol.correlation === undefined
    ]
    assert.deepStrictEqual(facts(Protocol.bytes() as never), ["bytes", "messages", true])
    assert.deepStrictEqual(facts(Protocol.ndjson() as never), ["ndjson", "messages", true])
    assert.deepStrictEqual(facts(Protocol.correlated(Protocol.ndjson(), { id: (message) => message }) as never), [
      "ndjson",
      "messages",
      false
    ])
    assert.deepStrictEqual(facts(Protocol.connection() as never), ["connection(bytes)", "connection", true])
    assert.deepStrictEqual(facts(Protocol.connection(Protocol.lines()) as never), [
      "connection(lines)",
      "connection",
      true
    ])
  })

  it("stays when it is given types, and correlation changes nothing else", () => {
    const types = { request: Schema.Unknown, response: Schema.Unknown }
    const typed = Protocol.correlated(Protocol.schema(Protocol.ndjson(), types), { id: (message) => message })
    assert.deepStrictEqual([typed.name, typed.correlation === undefined], ["ndjson", false])
    assert.deepStrictEqual(decode(serverOf(typed), ["1\n"]).messages, [1])
  })

  it("makes a new decoder for each connection", () => {
    const codec = serverOf(Protocol.lines())
    const [a, b] = [codec.decoder(), codec.decoder()]
    const out: Array<string> = []
    a.push(join(["a"]), out)
    b.push(join(["b\n"]), out)
    assert.deepStrictEqual(out, ["b"])
  })
})
