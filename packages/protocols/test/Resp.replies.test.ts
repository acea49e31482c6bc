import { assert, describe, it } from "@effect/vitest"
import { Outcome, Protocol } from "@socketserver/core"
import { Resp } from "@socketserver/protocols"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import Parser from "redis-parser"
import { bytewise, cut, decode, join, noise, pieces, sizes, text, utf8 } from "../../core/test/support/decoding.ts"

const protocol = Resp.protocol()
const { client } = protocol
const encode = (reply: Resp.Reply, of = protocol) => (of.server.encode as (reply: Resp.Reply) => unknown)(reply)

const wire = (reply: Resp.Reply): string => {
  const encoded = encode(reply)
  if (encoded instanceof Protocol.Unencodable) return `refused: ${encoded.problem}`
  return typeof encoded === "string" ? encoded : text(encoded as Uint8Array)
}

type Received = Resp.Reply<Uint8Array>

const bulk = (value: string): Received => ({ _tag: "BulkString", value: utf8(value) })

/** Every form, with what it is on the wire. */
const forms: ReadonlyArray<readonly [string, Received]> = [
  ["+OK\r\n", { _tag: "SimpleString", value: "OK" }],
  ["-ERR no\r\n", { _tag: "Error", value: "ERR no" }],
  [":-7\r\n", { _tag: "Integer", value: -7 }],
  [":9223372036854775807\r\n", { _tag: "Integer", value: 9_223_372_036_854_775_807n }],
  ["$3\r\na\r\n\r\n".slice(0, 8) + "\n", { _tag: "BulkString", value: utf8("a\r\n") }],
  ["$0\r\n\r\n", bulk("")],
  ["$-1\r\n", { _tag: "Null", form: "bulk" }],
  ["*-1\r\n", { _tag: "Null", form: "array" }],
  ["_\r\n", { _tag: "Null", form: "null" }],
  ["*0\r\n", { _tag: "Array", value: [] }],
  [
    "*2\r\n:1\r\n*1\r\n+a\r\n",
    { _tag: "Array", value: [Resp.integer(1), { _tag: "Array", value: [Resp.simple("a")] }] }
  ],
  [
    "%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n#t\r\n",
    {
      _tag: "Map",
      value: [
        [Resp.simple("a"), Resp.integer(1)],
        [Resp.simple("b"), { _tag: "Set", value: [{ _tag: "Boolean", value: true }] }]
      ]
    }
  ],
  ["~0\r\n", { _tag: "Set", value: [] }],
  [">2\r\n+message\r\n$1\r\na\r\n", { _tag: "Push", value: [Resp.simple("message"), bulk("a")] }],
  [
    "|1\r\n+ttl\r\n:5\r\n*1\r\n|1\r\n+x\r\n:1\r\n+y\r\n",
    {
      _tag: "Attributed",
      attributes: [[Resp.simple("ttl"), Resp.integer(5)]],
      value: {
        _tag: "Array",
        value: [{ _tag: "Attributed", attributes: [[Resp.simple("x"), Resp.integer(1)]], value: Resp.simple("y") }]
      }
    }
  ],
  ["|0\r\n+a\r\n", { _tag: "Attributed", attributes: [], value: Resp.simple("a") }],
  ["#f\r\n", { _tag: "Boolean", value: false }],
  [",1.5\r\n", { _tag: "Double", value: 1.5 }],
  [",inf\r\n", { _tag: "Double", value: Infinity }],
  [",-inf\r\n", { _tag: "Double", value: -Infinity }],
  [",nan\r\n", { _tag: "Double", value: NaN }],
  ["(12345678901234567890\r\n", { _tag: "BigNumber", value: 12_345_678_901_234_567_890n }],
  ["=8\r\ntxt:some\r\n", { _tag: "VerbatimString", format: "txt", value: utf8("some") }],
  ["!6\r\nERR no\r\n", { _tag: "BulkError", value: "ERR no" }]
]

describe("A reply", () => {
  it.each(forms)("%j is read, and written the same", (input, reply) => {
    for (const chunks of [[input], bytewise(input)]) {
      assert.deepStrictEqual(decode(client, chunks), { messages: [reply], error: undefined, offsets: [0] })
    }
    assert.strictEqual(wire(reply), input)
  })

  it("is one after the other", () => {
    const input = forms.map(([input]) => input).join("")
    const { error, messages, offsets } = decode(client, [input])
    assert.isUndefined(error)
    assert.deepStrictEqual(
      messages,
      forms.map(([, reply]) => reply)
    )
    assert.deepStrictEqual(offsets.slice(0, 3), [0, 5, 14])
    assert.deepStrictEqual(decode(client, bytewise(input), { max: 1 }), { messages, error, offsets })
  })

  it.each([
    ["?", "a type that is none"],
    [":1x", "an integer that is none"],
    [":9223372036854775808", "an integer beyond 64 bits"],
    ["#true", "a boolean that is none"],
    ["_x", "a null that is none"],
    [",1,5", "a double that is none"],
    ["(1.5", "a big number that is none"],
    [`(${"1".repeat(2_000)}`, "a number of more than 1024 digits"],
    ["*-2", "a number of elements that is none, or too large"],
    ["~-1", "a number of elements that is none, or too large"],
    ["*?", "a number of elements that is none, or too large"],
    ["$-2", "a length that is none, or too large"],
    ["$1048577", "a length that is none, or too large"],
    ["$1\r\nab", "no line end after a bulk string"],
    ["=3\r\ntxt", "a verbatim string without its format"],
    ["=8\r\ntxt-some", "a verbatim string without its format"],
    ["=8\r\nté:some", "a verbatim string without its format"],
    ["+a\rb", "a carriage return within a line"],
    ["%1048576", "more than 1048576 elements"],
    ["*2\r\n*1048576", "more than 1048576 elements"]
  ])("%j is none", (input, problem) => {
    const error = Outcome.malformed(0, `the reply has ${problem}`)
    for (const chunks of [[`${input}\r\n`], bytewise(`${input}\r\n`)]) {
      assert.deepStrictEqual(decode(client, chunks, { open: true }).error, error)
    }
  })

  it("ends its lines with both bytes", () => {
    const error = Outcome.malformed(0, "the reply has a line that ends without a carriage return")
    assert.deepStrictEqual(decode(client, ["+a\n"], { open: true }).error, error)
    assert.deepStrictEqual(decode(client, [`+${"a".repeat(65_537)}`], { open: true }).error?._tag, "Malformed")
  })

  it("lies as deep as it may, and no deeper; a bomb is no recursion", () => {
    const deep = (levels: number) => `${"*1\r\n".repeat(levels)}:1\r\n`
    assert.lengthOf(decode(client, [deep(32)]).messages, 1)
    const error = Outcome.malformed(0, "the reply has more than 32 levels")
    assert.deepStrictEqual(decode(client, [deep(33)]).error, error)
    assert.deepStrictEqual(decode(client, [deep(200_000)]).error, error)
    const patient = Resp.protocol({ maxDepth: 300_000 })
    assert.lengthOf(decode(patient.client, [deep(200_000)]).messages, 1)
    assert.deepStrictEqual(decode(client, ["|1\r\n+a\r\n".repeat(100_000)]).error, error)
  })

  it("counts its own elements alone", () => {
    const small = Resp.protocol({ maxElements: 3 })
    assert.lengthOf(decode(small.client, ["*2\r\n:1\r\n:2\r\n*3\r\n:1\r\n:2\r\n:3\r\n"]).messages, 2)
  })

  it("is as large as it may be, and no larger", () => {
    const small = Resp.protocol({ maxReplyBytes: 20 })
    assert.lengthOf(decode(small.client, ["$13\r\n0123456789012\r\n"]).messages, 1)
    for (const chunked of [(input: string) => [input], bytewise]) {
      assert.deepStrictEqual(
        decode(small.client, chunked("$14\r\n01234567890123\r\n")).error,
        Outcome.frameTooLarge(20, 0)
      )
      assert.deepStrictEqual(
        decode(small.client, chunked("*9\r\n+a\r\n+b\r\n+c\r\n+d\r\n+e\r\n")).error,
        Outcome.frameTooLarge(20, 0)
      )
    }
    const refused = new Protocol.Unencodable("it has more than 20 bytes (maxReplyBytes)")
    for (const value of ["x".repeat(21), new Uint8Array(21)]) {
      assert.deepStrictEqual(encode(Resp.bulk(value), small), refused)
      assert.deepStrictEqual(encode(Resp.array([Resp.bulk(value)]), small), refused)
    }
    // What would take more memory than there is is not written first.
    const much = new Uint8Array(1_048_576)
    const many = Resp.array(Array.from({ length: 100_000 }, () => Resp.bulk(much)))
    assert.deepStrictEqual(encode(many), new Protocol.Unencodable("it has more than 8388608 bytes (maxReplyBytes)"))
  })

  it("is written as text while all of it is text, and as bytes else", () => {
    assert.strictEqual(encode(Resp.array([Resp.bulk("a"), Resp.integer(1)])), "*2\r\n$1\r\na\r\n:1\r\n")
    assert.deepStrictEqual(encode(Resp.bulk(Uint8Array.of(255))), Uint8Array.of(36, 49, 13, 10, 255, 13, 10))
    const mixed = encode(Resp.array([Resp.bulk("é"), Resp.bulk(Uint8Array.of(255)), Resp.ok]))
    assert.deepStrictEqual(mixed, join(["*3\r\n$2\r\né\r\n$1\r\n", Uint8Array.of(255), "\r\n+OK\r\n"]))
    assert.strictEqual(encode(Resp.bulk("é".repeat(40))), `$80\r\n${"é".repeat(40)}\r\n`)
  })

  it("that cannot be written is refused", () => {
    const refusals: ReadonlyArray<readonly [Resp.Reply, string]> = [
      [Resp.simple("a\r\nb"), "a simple string cannot contain a line end"],
      [Resp.simple("\ud800"), "it has a lone surrogate, which UTF-8 cannot express"],
      [Resp.bulk("\ud800"), "it has a lone surrogate, which UTF-8 cannot express"],
      [Resp.array([Resp.bulk("\ud800")]), "it has a lone surrogate, which UTF-8 cannot express"],
      [Resp.integer(1.5), "1.5 is no integer, or no exact one"],
      [Resp.integer(2 ** 53), "9007199254740992 is no integer, or no exact one"],
      [Resp.verbatim("text", "a"), "the format of a verbatim string has three letters"],
      [{} as never, "it is no reply"]
    ]
    for (const [reply, problem] of refusals) assert.strictEqual(wire(reply), `refused: ${problem}`)
    let deep: Resp.Reply = Resp.ok
    for (let i = 0; i < 33; i++) deep = Resp.array([deep])
    assert.strictEqual(wire(deep), "refused: it has more than 32 levels (maxDepth)")
  })

  it("says an error whatever it quotes", () => {
    assert.strictEqual(wire(Resp.error("ERR unknown 'a\r\nb'")), "-ERR unknown 'a  b'\r\n")
  })

  it("is several where one is not enough", () => {
    assert.strictEqual(wire(Resp.several([Resp.ok, Resp.integer(1)])), "+OK\r\n:1\r\n")
    assert.strictEqual(wire(Resp.several([])), "")
  })

  it("is what RESP2 has, where that is spoken", () => {
    const all = Resp.array(forms.map(([, reply]) => reply))
    const down = Resp.downgrade(Resp.several([all, { _tag: "Double", value: -0 }]))
    const input = wire(down)
    assert.notMatch(input, /(?:^|\n)[_#,(=!%~>|]/)
    assert.deepStrictEqual(decode(client, [input]).error, undefined)
    assert.deepStrictEqual(Resp.plain(Resp.downgrade(Resp.array(forms.slice(11).map(([, reply]) => reply)))), [
      ["a", 1, "b", [1]],
      [],
      ["message", "a"],
      ["y"],
      "a",
      0,
      "1.5",
      "inf",
      "-inf",
      "nan",
      "12345678901234567890",
      "some",
      Resp.error("ERR no")
    ])
  })

  it("stays the same object where RESP2 has it", () => {
    const reply = Resp.array([Resp.bulk("a"), Resp.array([Resp.ok])])
    assert.strictEqual(Resp.downgrade(reply), reply)
    assert.strictEqual(wire(Resp.downgrade(Resp.array([Resp.ok, Resp.nil, Resp.ok]))), "*3\r\n+OK\r\n$-1\r\n+OK\r\n")
  })

  const oneOf = <A>(...all: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
    Arbitrary.flatMap(
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: all.length - 1 }))),
      (i) => all[i]!
    )
  const line = pieces(["a", "é", " ", "😀"], 6)
  const textual = Arbitrary.map(line, text)
  const integers = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -1_000, maximum: 1_000 })))
  const leaf: Arbitrary.Arbitrary<Received> = oneOf(
    Arbitrary.map(textual, (value): Received => ({ _tag: "SimpleString", value })),
    Arbitrary.map(textual, (value): Received => ({ _tag: "Error", value })),
    Arbitrary.map(integers, (value): Received => ({ _tag: "Integer", value })),
    Arbitrary.map(integers, (value): Received => ({ _tag: "BigNumber", value: BigInt(value) ** 9n })),
    Arbitrary.map(integers, (value): Received => ({ _tag: "Double", value: value / 8 + 0.5 })),
    Arbitrary.map(integers, (value): Received => ({ _tag: "Boolean", value: value > 0 })),
    Arbitrary.map(integers, (value): Received => ({
      _tag: "Null",
      form: (["null", "bulk", "array"] as const)[Math.abs(value) % 3]!
    })),
    Arbitrary.map(noise, (value): Received => ({ _tag: "BulkString", value })),
    Arbitrary.map(noise, (value): Received => ({ _tag: "VerbatimString", format: "txt", value }))
  )
  const of = (part: Arbitrary.Arbitrary<Received>): Arbitrary.Arbitrary<Received> => {
    const parts = Arbitrary.array(part, { maxLength: 4 })
    const pairs = Arbitrary.map(parts, (some) => some.map((one) => [one, one] as const))
    return oneOf(
      part,
      Arbitrary.map(parts, (value): Received => ({ _tag: "Array", value })),
      Arbitrary.map(parts, (value): Received => ({ _tag: "Set", value })),
      Arbitrary.map(parts, (value): Received => ({ _tag: "Push", value })),
      Arbitrary.map(pairs, (value): Received => ({ _tag: "Map", value })),
      Arbitrary.map(pairs, (attributes): Received => ({ _tag: "Attributed", attributes, value: Resp.integer(1) }))
    )
  }
  const replies = Arbitrary.array(of(of(leaf)), { maxLength: 6 })

  it.effect.prop("comes back as it was written, in any chunks", { replies, sizes }, ({ replies, sizes }) =>
    Effect.sync(() => {
      const input = join(replies.map((reply) => encode(reply) as string | Uint8Array))
      for (const chunks of [[input], cut(input, sizes), bytewise(input)]) {
        const { error, messages } = decode(client, chunks)
        assert.isUndefined(error)
        assert.deepStrictEqual(messages, replies)
      }
    })
  )

  it.effect.prop(
    "is the same in any chunks, also where it is wrong",
    {
      input: pieces(
        [
          "*1\r\n",
          "*2\r\n",
          "%1\r\n",
          "|1\r\n",
          "$1\r\n",
          "a",
          "\r\n",
          "\r",
          "\n",
          "+",
          ":1\r\n",
          "-",
          "_\r\n",
          "1",
          "=4\r\n",
          "txt:"
        ],
        20
      ),
      sizes
    },
    ({ input, sizes }) =>
      Effect.sync(() => {
        for (const of of [
          client,
          Resp.protocol({ maxReplyBytes: 24, maxDepth: 2, maxElements: 5, maxInlineBytes: 8 }).client
        ]) {
          const whole = decode(of, [input])
          assert.deepStrictEqual(decode(of, cut(input, sizes)), whole)
          assert.deepStrictEqual(decode(of, bytewise(input)), whole)
          assert.deepStrictEqual(decode(of, cut(input, sizes), { max: 1, ahead: 1 }), whole)
        }
      })
  )

  it.effect.prop("is what redis-parser reads", { replies, sizes }, ({ replies, sizes }) =>
    Effect.sync(() => {
      const input = join(replies.map((reply) => encode(Resp.downgrade(reply)) as string | Uint8Array))
      const theirs: Array<unknown> = []
      const parser = new Parser({
        returnReply: (reply) => void theirs.push(reply),
        returnError: ({ message }) => void theirs.push(Resp.error(message)),
        returnFatalError: (error) => {
          throw error
        }
      })
      for (const chunk of cut(input, sizes)) parser.execute(Buffer.from(chunk))
      const ours = decode(client, [input]).messages.map(Resp.plain)
      const plain = (value: unknown): unknown =>
        value instanceof Error ? Resp.error(value.message) : Array.isArray(value) ? value.map(plain) : value
      assert.deepStrictEqual(theirs.map(plain), ours)
    })
  )

  it("has a fault that Redis' clients understand", () => {
    const told = (fault: Protocol.DecodeError) => {
      const response = Resp.onUndecodable(fault)
      return response._tag === "Reply" ? response.value : undefined
    }
    assert.deepStrictEqual(
      told(Outcome.malformed(0, "Protocol error: invalid bulk length")),
      Resp.error("ERR Protocol error: invalid bulk length")
    )
    assert.deepStrictEqual(told(Outcome.frameTooLarge(9, 0)), Resp.error("ERR Protocol error: too big request"))
    assert.isUndefined(told(Outcome.malformed(0, "the input ended inside a frame (after 8 bytes of it)")))
  })
})
