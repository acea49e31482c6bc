import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Outcome from "@socketserver/core/Outcome"
import * as Peer from "@socketserver/core/Peer"
import * as Protocol from "@socketserver/core/Protocol"
import * as Request from "@socketserver/core/Request"
import * as Server from "@socketserver/core/Server"
import * as Gelf from "@socketserver/protocols/Gelf"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { deflateSync, gzipSync } from "node:zlib"
import { bytewise, cut, decode, join, many, pieces, sizes, text, utf8 } from "../../core/test/support/decoding.ts"
import { cpuSince } from "./support/cpu.ts"
import { serverOf } from "./support/sides.ts"

const protocol = Gelf.protocol()
const side = serverOf(protocol)

const base: Gelf.Message = {
  _tag: "Message",
  version: "1.1",
  host: "vm",
  shortMessage: "hello",
  fullMessage: undefined,
  timestamp: undefined,
  level: undefined,
  fields: {}
}

const read = (input: string | Uint8Array) => side.datagram.decode(typeof input === "string" ? utf8(input) : input)

describe("a message", () => {
  it.each<readonly [string, Partial<Gelf.Message>]>([
    // The example of the specification.
    [
      JSON.stringify({
        version: "1.1",
        host: "example.org",
        short_message: "A short message that helps you identify what is going on",
        full_message: "Backtrace here\n\nmore stuff",
        timestamp: 1385053862.3072,
        level: 1,
        _user_id: 9001,
        _some_info: "foo",
        _some_env_var: "bar"
      }),
      {
        host: "example.org",
        shortMessage: "A short message that helps you identify what is going on",
        fullMessage: "Backtrace here\n\nmore stuff",
        timestamp: 1385053862.3072,
        level: 1,
        fields: { _user_id: 9001, _some_info: "foo", _some_env_var: "bar" }
      }
    ],
    ['{"host":"vm","short_message":"hello"}', { version: undefined }],
    [' \n{"version":"1.1","host":"vm","short_message":"hello"}\n', {}],
    [
      '{"version":"1.1","host":"vm","short_message":"hello","timestamp":"12.5","level":"3","_null":null,"facility":"f","line":7}',
      { timestamp: 12.5, level: 3, fields: { facility: "f", line: 7 } }
    ],
    [
      '{"version":1.1,"host":"vm","short_message":"hello","level":8,"timestamp":"now","full_message":7,"_b":true,"_o":{"a":[1]}}',
      { version: undefined, fields: { _b: true, _o: '{"a":[1]}' } }
    ],
    // A name is a name.
    [
      '{"version":"1.1","host":"vm","short_message":"hello","__proto__":"p","_constructor":"c"}',
      {
        fields: Object.fromEntries([
          ["__proto__", "p"],
          ["_constructor", "c"]
        ])
      }
    ]
  ])("%s", (json, message) => {
    assert.deepStrictEqual(read(json), Result.succeed({ ...base, ...message }))
    assert.isUndefined(({} as { readonly p?: string }).p)
  })

  it.each([
    ["", "it is not JSON: it ends too early"],
    ["{", "it is not JSON, from character 1 on"],
    ["[]", "it is no JSON object"],
    ["null", "it is no JSON object"],
    ['"text"', "it is no JSON object"],
    ["{}", "its host is no text"],
    ['{"host":"","short_message":"a"}', "its host is no text"],
    ['{"host":"vm"}', "its short_message is no text"],
    ['{"host":"vm","short_message":7}', "its short_message is no text"]
  ])("%j is none", (json, reason) => {
    assert.deepStrictEqual(read(json), Result.fail({ _tag: "Malformed", offset: 0, reason }))
  })

  it("has the names that its sender has written, whatever others have sent", () => {
    // After the first one V8 reads the name of the second as a backslash (https://github.com/nodejs/node/issues/63785).
    for (const name of ["\\", '"', "\n", "\\", "/"]) {
      const result = read(JSON.stringify({ host: "vm", short_message: "hello", [name]: 2 }))
      assert.deepStrictEqual(Result.getOrThrow(result), { ...base, version: undefined, fields: { [name]: 2 } })
    }
  })

  it("is none where it is no UTF-8", () => {
    const malformed = { _tag: "Malformed", offset: 0, reason: "it is not valid UTF-8" } as const
    assert.deepStrictEqual(read(Uint8Array.of(0x7b, 0xff)), Result.fail(malformed))
  })
})

/** How often JSON is parsed and made while something runs. */
const countingJson = <A>(run: () => A): readonly [result: A, parsed: number, made: number] => {
  const { parse, stringify } = JSON
  let parsed = 0
  let made = 0
  JSON.parse = (...of: Parameters<typeof parse>) => (parsed++, parse(...of) as unknown)
  JSON.stringify = ((...of: Parameters<typeof stringify>) => (made++, stringify(...of))) as typeof stringify
  const result = Result.try(run)
  JSON.parse = parse
  JSON.stringify = stringify
  return [Result.getOrThrow(result), parsed, made]
}

const withField = (json: string, name = "_x") => `{"host":"vm","short_message":"hello","${name}":${json}}`
const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
const listOf = (length: number) => `[${Array.from({ length }, () => 1).join(",")}]`

describe("what a message may cost", () => {
  const tooDeep = "it is nested more than 32 levels deep"
  const tooMany = "it has more than 4096 values"
  const reasonOf = (input: string, of = side) => {
    const result = of.datagram.decode(utf8(input))
    return Result.isFailure(result) && result.failure._tag === "Malformed" ? result.failure.reason : result._tag
  }
  // Its host, its text, the list, and what is in that.
  const most = 4_096 - 3

  it.each([
    ["as deep as may be", withField(nested(32)), "Success"],
    ["of objects", withField(`${'{"a":'.repeat(32)}1${"}".repeat(32)}`), "Success"],
    ["as many as may be", withField(listOf(most)), "Success"],
    ["whose texts only look like that", withField(`"\\\\${'[{,\\"'.repeat(9_000)}"`), "Success"],
    ["whose names only look like that", withField("1", '[{,\\"'.repeat(9_000)), "Success"],
    ["many one beside another", withField(`[${"[[]],".repeat(1_000)}1]`), "Success"]
  ])("is no more than it may: %s", (_, json, expected) => {
    assert.strictEqual(reasonOf(json), expected)
  })

  it.each([
    ["a level too deep", withField(nested(33)), tooDeep],
    ["an object too deep", withField(`${'{"a":'.repeat(33)}1${"}".repeat(33)}`), tooDeep],
    ["half a million levels", withField(nested(500_000)), tooDeep],
    ["levels without an end", "[".repeat(1_000_000), tooDeep],
    ["a value too many", withField(listOf(most + 1)), tooMany],
    ["many fields", `{${Array.from({ length: 100_000 }, (_, i) => `"${i}":1`).join(",")}}`, tooMany],
    ["many empty lists", withField(`[${"[],".repeat(300_000)}[]]`), tooMany],
    ["many of one name", `{${'"":1,'.repeat(200_000)}"":1}`, tooMany]
  ])("is refused before anything of it is parsed: %s", (_, json, expected) => {
    assert.deepStrictEqual(
      countingJson(() => reasonOf(json)),
      [expected, 0, 0]
    )
  })

  it("is what its options say", () => {
    const small = serverOf(Gelf.protocol({ maxDepth: 2, maxValues: 9 }))
    assert.strictEqual(reasonOf(withField(nested(2)), small), "Success")
    assert.strictEqual(reasonOf(withField(nested(3)), small), "it is nested more than 2 levels deep")
    assert.strictEqual(reasonOf(withField(listOf(6)), small), "Success")
    assert.strictEqual(reasonOf(withField(listOf(7)), small), "it has more than 9 values")
    assert.strictEqual(reasonOf(withField(nested(1_000)), serverOf(Gelf.protocol({ maxDepth: 1_000 }))), "Success")
  })

  it("is checked where the protocol is made", () => {
    assert.isUndefined(protocol.problem)
    assert.strictEqual(Gelf.protocol({ maxDepth: 0 }).problem, "maxDepth must be a positive integer, not 0")
    assert.strictEqual(Gelf.protocol({ maxValues: 1.5 }).problem, "maxValues must be a positive integer, not 1.5")
    assert.include(Gelf.protocol({ maxFrameBytes: 0, maxDepth: 0 }).problem, "maxFrameBytes")
  })

  it("holds for a stream, whose connection ends", () => {
    const { error, messages } = decode(side, [`${withField("1")}\0${withField(nested(33))}\0${withField("1")}\0`])
    assert.lengthOf(messages, 1)
    assert.strictEqual(error?._tag === "Malformed" && error.reason, tooDeep)
  })
})

const id = "0123456789abcdef"

const chunk = (index: number, count: number, bytes: string | Uint8Array, of = id): Gelf.Chunk => ({
  _tag: "Chunk",
  id: of,
  index,
  count,
  bytes: typeof bytes === "string" ? utf8(bytes) : bytes
})

describe("a datagram", () => {
  it("may be a chunk", () => {
    const header = [0x1e, 0x0f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]
    assert.deepStrictEqual(read(Uint8Array.of(...header, 1, 2, 97, 0)), Result.succeed(chunk(1, 2, "a\0")))
    assert.deepStrictEqual(read(Uint8Array.of(...header, 127, 128)), Result.succeed(chunk(127, 128, "")))
    for (const [bytes, reason] of [
      [header, "a chunk has a header of twelve bytes"],
      [[...header, 0], "a chunk has a header of twelve bytes"],
      [[...header, 0, 0, 97], "a message has 1 to 128 chunks"],
      [[...header, 0, 129, 97], "a message has 1 to 128 chunks"],
      [[...header, 2, 2, 97], "a chunk has a number below that of all chunks"]
    ] as const) {
      assert.deepStrictEqual(read(Uint8Array.from(bytes)), Result.fail({ _tag: "Malformed", offset: 0, reason }))
    }
  })

  it("may be compressed, in either way and at any level", () => {
    for (const bytes of [gzipSync("{}"), ...[0, 1, 6, 9].map((level) => deflateSync("{}", { level }))]) {
      assert.deepStrictEqual(read(bytes), Result.succeed({ _tag: "Compressed", bytes: Uint8Array.from(bytes) }))
    }
  })
})

describe("over a stream", () => {
  const json = (shortMessage: string) => JSON.stringify({ version: "1.1", host: "vm", short_message: shortMessage })

  it.each([
    [`${json("a")}\0${json("b\n")}\0`, ["a", "b\n"]],
    ["", []],
    [`${json("a")}\0{`, ["a", "the input ended inside a frame (after 1 bytes of it)"]],
    [`${json("a")}\0\0${json("b")}\0`, ["a", "it is not JSON: it ends too early"]],
    [`${json("a")}\0[]\0${json("b")}\0`, ["a", "it is no JSON object"]]
  ])("%j", (input, expected) => {
    for (const chunks of [[input], bytewise(input)]) {
      const { error, messages } = decode(side, chunks)
      const seen: ReadonlyArray<unknown> = messages.map((part) => part._tag === "Message" && part.shortMessage)
      assert.deepStrictEqual(
        [...seen, ...(error === undefined ? [] : [error._tag === "Malformed" && error.reason])],
        expected
      )
    }
  })

  it("has a largest size", () => {
    const small = serverOf(Gelf.protocol({ maxFrameBytes: 100 }))
    assert.strictEqual(decode(small, [`{${" ".repeat(100)}`]).error?._tag, "FrameTooLarge")
    assert.strictEqual(decode(side, [`{${" ".repeat(1_048_576)}`]).error?._tag, "FrameTooLarge")
  })

  it.effect.prop(
    "reads any input the same in any chunks",
    { input: pieces([json("a"), "{", "}", "\0", '"', "\u001e\u000f", "x\u0001", "é"], 8), sizes },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const whole = decode(side, [input])
        assert.deepStrictEqual(decode(side, cut(input, sizes)), whole)
        assert.deepStrictEqual(decode(side, bytewise(input)), whole)
      })
  )
})

const word = Arbitrary.map(pieces(["a", "é", "\0", "\n", '"', "_", "host", "__proto__"], 3), text)

const messages: Arbitrary.Arbitrary<Gelf.Message> = Arbitrary.map(
  Arbitrary.array(word, { minLength: 4, maxLength: 4 }),
  ([host = "", shortMessage = "", name = "", value = ""]) => ({
    ...base,
    version: name === "" ? undefined : "1.1",
    host,
    shortMessage,
    fullMessage: value === "" ? undefined : value,
    timestamp: host.length / 8,
    level: shortMessage.length % 8,
    fields: Object.fromEntries([
      [name, value],
      [`_${name}`, host.length]
    ])
  })
)

describe("what a client writes", () => {
  it.effect.prop("arrives as it was, or is refused", { sent: many(messages) }, ({ sent }) =>
    Effect.sync(() => {
      const wire: Array<string | Uint8Array> = []
      const expected: Array<Gelf.Part> = []
      for (const message of sent) {
        const encoded = protocol.client.encode(message)
        if (encoded instanceof Protocol.Unencodable) continue
        wire.push(encoded)
        expected.push(message)
        assert.deepStrictEqual(read(protocol.client.datagram.encode(message) as Uint8Array), Result.succeed(message))
      }
      const { error, messages } = decode(side, cut(join(wire), [7, 1]))
      assert.deepStrictEqual({ error, messages }, { error: undefined, messages: expected })
    })
  )

  const written = (part: Gelf.Part) => {
    const encoded = protocol.client.datagram.encode(part)
    return encoded instanceof Protocol.Unencodable ? encoded.problem : text(encoded as Uint8Array)
  }
  const another = "it would not arrive as it is: a field has the name of another, or what is no text and no number"

  it.each<readonly [Gelf.Part, string]>([
    [base, '{"version":"1.1","host":"vm","short_message":"hello"}'],
    [{ ...base, fields: { host: "another" } }, another],
    [{ ...base, fields: { _a: Number.NaN } }, another],
    [{ ...base, level: 9 }, another],
    [{ ...base, host: "" }, "it would not arrive: its host is no text"],
    [{ _tag: "Compressed", bytes: utf8("{}") }, "it is neither gzip nor zlib"],
    [chunk(0, 1, "", "0"), "the id of a message is eight bytes in hexadecimal"],
    [chunk(1, 1, ""), "a message has 1 to 128 chunks, which have the numbers from 0"],
    [chunk(0, 256, ""), "a message has 1 to 128 chunks, which have the numbers from 0"],
    [chunk(256, 2, ""), "a message has 1 to 128 chunks, which have the numbers from 0"]
  ])("%j is %s", (part, expected) => {
    assert.strictEqual(written(part), expected)
  })

  it("has no more fields than a server takes", () => {
    const fields = (length: number) => Object.fromEntries(Array.from({ length }, (_, i) => [`_${i}`, i]))
    assert.strictEqual(written({ ...base, fields: fields(4_094) }), "it would not arrive: it has more than 4096 values")
    assert.include(written({ ...base, fields: fields(4_093) }), '"_4092":4092}')
  })

  it("chunks arrive as they were", () => {
    const chunks = Gelf.chunksOf(utf8("x".repeat(1_409)), { id })
    assert.deepStrictEqual(
      chunks.map(({ bytes, count, index }) => [index, count, bytes.length]),
      [
        [0, 2, 1_408],
        [1, 2, 1]
      ]
    )
    for (const part of chunks) {
      assert.deepStrictEqual(read(protocol.client.datagram.encode(part) as Uint8Array), Result.succeed(part))
    }
    assert.lengthOf(Gelf.chunksOf(utf8(""), { id }), 1)
    assert.lengthOf(Gelf.chunksOf(new Uint8Array(128), { id, sizeBytes: 1 }), 128)
    assert.lengthOf(Gelf.chunksOf(new Uint8Array(129), { id, sizeBytes: 1 }), 0)
  })
})

const jsonOf = (shortMessage: string, more: object = {}) =>
  utf8(JSON.stringify({ version: "1.1", host: "vm", short_message: shortMessage, ...more }))

/** An assembler, what it has made, and how it takes parts. */
const assembling = (options?: Gelf.AssemblerOptions) =>
  Effect.map(Gelf.assembler(options), (assembler) => {
    const seen: Array<string> = []
    const handler = assembler.handler(({ shortMessage }) => Effect.sync(() => void seen.push(shortMessage)))
    const take = (part: Gelf.Part, name = "192.0.2.1:1000") =>
      Effect.map(handler(Request.make(part, { peer: Peer.make({ transport: "udp", name }) })), ({ outcome }) => outcome)
    return { seen, take, counts: assembler.counts }
  })

const none = { open: 0, bytes: 0, expired: 0, evicted: 0, contradictory: 0, tooLarge: 0 }

describe("an assembler", () => {
  it.effect.prop(
    "makes a message of its chunks, in any order, and doubled",
    {
      order: Arbitrary.array(
        Arbitrary.map(pieces(["a"], 40), ({ length }) => length),
        { maxLength: 60 }
      )
    },
    ({ order }) =>
      Effect.gen(function* () {
        const { counts, seen, take } = yield* assembling()
        const chunks = Gelf.chunksOf(jsonOf("whole", { _filler: "x".repeat(300) }), { id, sizeBytes: 20 })
        for (const i of order) {
          const doubled = chunks[i % chunks.length] as Gelf.Chunk
          if (doubled.index !== 0) assert.isUndefined(yield* take(doubled))
        }
        assert.deepStrictEqual(seen, [])
        for (const part of [...chunks].reverse()) assert.isUndefined(yield* take(part))
        assert.deepStrictEqual(seen, ["whole"])
        assert.deepStrictEqual(yield* counts, none)
      })
  )

  it.effect("inflates what is compressed, in chunks or not", () =>
    Effect.gen(function* () {
      const { seen, take } = yield* assembling()
      const gzip = gzipSync(jsonOf("gzip", { _filler: "x".repeat(5_000) }))
      yield* take({ _tag: "Compressed", bytes: gzip })
      yield* take({ _tag: "Compressed", bytes: deflateSync(jsonOf("zlib")) })
      for (const part of Gelf.chunksOf(gzip, { id, sizeBytes: 30 })) yield* take(part)
      assert.deepStrictEqual(seen, ["gzip", "zlib", "gzip"])
    })
  )

  it.effect("keeps chunks of its own, whatever becomes of the datagram", () =>
    Effect.gen(function* () {
      const { seen, take } = yield* assembling()
      for (const part of Gelf.chunksOf(jsonOf("kept"), { id, sizeBytes: 20 })) {
        const bytes = part.bytes.slice()
        yield* take({ ...part, bytes })
        bytes.fill(0)
      }
      assert.deepStrictEqual(seen, ["kept"])
    })
  )

  it.effect("tells senders apart, by their ports too", () =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling()
      const [first, second] = Gelf.chunksOf(jsonOf("mine"), { id, sizeBytes: 40 }) as [Gelf.Chunk, Gelf.Chunk]
      yield* take(first, "192.0.2.1:1000")
      yield* take(second, "192.0.2.1:1001")
      yield* take(second, "192.0.2.2:1000")
      assert.deepStrictEqual([seen, (yield* counts).open], [[], 3])
      yield* take(second, "192.0.2.1:1000")
      assert.deepStrictEqual([seen, (yield* counts).open], [["mine"], 2])
    })
  )

  it.effect("waits for five seconds, from the first chunk on", () =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling()
      const chunks = Gelf.chunksOf(jsonOf("in time"), { id, sizeBytes: 20 })
      const [first, ...others] = chunks as [Gelf.Chunk, ...Array<Gelf.Chunk>]
      yield* take(first)
      yield* TestClock.adjust("4999 millis")
      for (const part of others) yield* take(part)
      assert.deepStrictEqual(seen, ["in time"])
      yield* take(first)
      yield* TestClock.adjust("5 seconds")
      for (const part of others) yield* take(part)
      assert.deepStrictEqual(seen, ["in time"])
      const { expired, open } = yield* counts
      assert.deepStrictEqual({ expired, open }, { expired: 1, open: 1 })
    })
  )

  it.effect("lets go of what is over when it is, whether or not anything else comes", () =>
    Effect.gen(function* () {
      const { counts, take } = yield* assembling()
      yield* take(chunk(0, 2, "a", "0000000000000001"))
      yield* TestClock.adjust("3 seconds")
      yield* take(chunk(0, 2, "b", "0000000000000002"))
      // One that becomes whole leaves nothing to be given up.
      for (const part of Gelf.chunksOf(jsonOf("whole"), { id, sizeBytes: 40 })) yield* take(part)
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(yield* counts, { ...none, open: 2, bytes: 2 * 1_153 })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* counts, { ...none, open: 1, bytes: 1_153, expired: 1 })
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* counts, { ...none, expired: 2 })
      // And so again, after there was nothing.
      yield* TestClock.adjust("1 minute")
      yield* take(chunk(0, 2, "c", "0000000000000003"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* counts, { ...none, expired: 3 })
    })
  )

  it.effect("gives up a message whose chunks contradict each other, and no other", () =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling()
      const malformed = Outcome.malformed(0, "it contradicts another chunk")
      yield* take(chunk(0, 2, "a"))
      assert.deepStrictEqual(yield* take(chunk(0, 2, "b")), malformed)
      yield* take(chunk(0, 2, "a"))
      assert.deepStrictEqual(yield* take(chunk(1, 3, "b")), malformed)
      yield* take(chunk(0, 1, jsonOf("alone"), "f".repeat(16)))
      assert.deepStrictEqual(seen, ["alone"])
      assert.deepStrictEqual(yield* counts, { ...none, contradictory: 2 })
    })
  )

  it.effect("says what is wrong with what was put together", () =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling({ maxMessageBytes: 10_000 })
      const truncated = gzipSync(jsonOf("cut off")).subarray(0, 20)
      const trailing = Buffer.concat([deflateSync(jsonOf("trailing")), Buffer.from("trailing")])
      const nested = protocol.client.datagram.encode(chunk(0, 1, jsonOf("nested"))) as Uint8Array
      const bomb = deflateSync(Buffer.alloc(1_000_000))
      const twice = deflateSync(deflateSync(jsonOf("twice")))
      for (const [bytes, expected] of [
        [utf8("{"), Outcome.malformed(0, "it is not JSON, from character 1 on")],
        [truncated, Outcome.malformed(0, "it cannot be inflated")],
        [Uint8Array.of(0x1f, 0x8b), Outcome.malformed(0, "it cannot be inflated")],
        [bomb, Outcome.frameTooLarge(10_000, 0)],
        [gzipSync(bomb), Outcome.malformed(0, "it is not valid UTF-8")],
        [nested, Outcome.malformed(0, "it is not valid UTF-8")],
        [twice, Outcome.malformed(0, "it is not valid UTF-8")]
      ] as const) {
        const alone = yield* take(chunk(0, 1, bytes))
        assert.deepStrictEqual(alone, expected)
      }
      assert.isUndefined(yield* take({ _tag: "Compressed", bytes: trailing }))
      assert.deepStrictEqual(seen, ["trailing"])
      assert.deepStrictEqual(yield* counts, none)
    })
  )

  it.effect("gives up a message that grows too large before it is whole", () =>
    Effect.gen(function* () {
      const { counts, take } = yield* assembling({ maxMessageBytes: 100 })
      assert.isUndefined(yield* take(chunk(0, 3, new Uint8Array(60))))
      assert.deepStrictEqual(yield* take(chunk(1, 3, new Uint8Array(60))), Outcome.frameTooLarge(100, 0))
      assert.deepStrictEqual(yield* counts, { ...none, tooLarge: 1 })
    })
  )

  /** What inflates to much of what costs much. */
  const bombs: ReadonlyArray<readonly [string, string]> = [
    ["deep", withField(nested(500_000))],
    ["wide", withField(`[${"[],".repeat(300_000)}[]]`)],
    ["many of one name", `{"host":"vm","short_message":"hello"${',"":1'.repeat(150_000)}}`],
    ["one text", withField(`"${"m".repeat(1_000_000)}"`)]
  ]

  it.effect.each(bombs)("refuses what inflates to a thousand times its size, before it is text: %s", ([, json]) =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling()
      const malformed = Outcome.malformed(0, "it inflates to more than 100 times its size")
      for (const bytes of [gzipSync(json, { level: 9 }), deflateSync(json, { level: 9 })]) {
        assert.isBelow(bytes.length, 3_000)
        const parts = [{ _tag: "Compressed", bytes } as const, ...Gelf.chunksOf(bytes, { id })]
        const [outcomes, parsed, made] = countingJson(() => Effect.runSync(Effect.forEach(parts, (part) => take(part))))
        assert.deepStrictEqual([outcomes[0], outcomes.at(-1), parsed, made], [malformed, malformed, 0, 0])
      }
      assert.deepStrictEqual(seen, [])
      assert.deepStrictEqual(yield* counts, none)
    })
  )

  it.effect.each(bombs.slice(0, 3))("parses nothing of it either where it may inflate so: %s", ([, json]) =>
    Effect.gen(function* () {
      const { take } = yield* assembling({ maxRatio: 2_000 })
      const [outcome, parsed, made] = countingJson(() =>
        Effect.runSync(take({ _tag: "Compressed", bytes: gzipSync(json) }))
      )
      assert.match(outcome?._tag === "Malformed" ? outcome.reason : "", /^it is nested more|^it has more than/)
      assert.deepStrictEqual([parsed, made], [0, 0])
    })
  )

  it.effect("inflates what honest senders send", () =>
    Effect.gen(function* () {
      const { seen, take } = yield* assembling()
      // A thousand frames of a stack that has overflowed are one line: far over the ratio, and small.
      const overflow = jsonOf("overflow", { full_message: "\tat com.example.Tree.walk(Tree.java:42)\n".repeat(1_024) })
      assert.isBelow(gzipSync(overflow).length * 100, overflow.length)
      yield* take({ _tag: "Compressed", bytes: gzipSync(overflow) })
      // A dump of the threads of a large program.
      const thread = (i: number) =>
        `"worker-${i}" #${i} prio=5 tid=0x${(i * 7_919).toString(16)} nid=${i * 31}\n${frames}`
      const frames = Array.from({ length: 20 }, (_, i) => `\tat com.example.Pool.run${i}(Pool.java:${i * 37})\n`).join(
        ""
      )
      const dump = jsonOf("dump", { full_message: Array.from({ length: 700 }, (_, i) => thread(i)).join("") })
      assert.isAbove(dump.length, 500_000)
      yield* take({ _tag: "Compressed", bytes: gzipSync(dump) })
      assert.deepStrictEqual(seen, ["overflow", "dump"])
    })
  )

  it.effect("bounds inflation by its ratio from 64 KiB on, and by the size of a message", () =>
    Effect.gen(function* () {
      const takes = (options: Gelf.AssemblerOptions, length: number) =>
        Effect.gen(function* () {
          const { take } = yield* assembling(options)
          const text = jsonOf("", { _x: "" })
          const bytes = gzipSync(jsonOf("", { _x: "m".repeat(length - text.length) }))
          const outcome = yield* take({ _tag: "Compressed", bytes })
          return outcome?._tag === "Malformed" ? outcome.reason : outcome
        })
      const beyond = (ratio: number) => `it inflates to more than ${ratio} times its size`
      assert.isUndefined(yield* takes({}, 65_536))
      assert.strictEqual(yield* takes({}, 65_537), beyond(100))
      assert.isUndefined(yield* takes({ maxRatio: 1_000 }, 65_537))
      assert.isUndefined(yield* takes({ maxRatio: 1 }, 65_536))
      assert.strictEqual(yield* takes({ maxRatio: 1 }, 65_537), beyond(1))
      assert.deepStrictEqual(yield* takes({ maxMessageBytes: 1_000 }, 1_001), Outcome.frameTooLarge(1_000, 0))
      assert.deepStrictEqual(
        yield* takes({ maxRatio: 2_000, maxMessageBytes: 100_000 }, 100_001),
        Outcome.frameTooLarge(100_000, 0)
      )
    })
  )

  it.effect("has the bounds of its options for what was put together", () =>
    Effect.gen(function* () {
      const { take } = yield* assembling({ maxDepth: 2, maxValues: 9 })
      const reasonOf = (json: string) =>
        Effect.map(take(chunk(0, 1, json)), (outcome) => (outcome?._tag === "Malformed" ? outcome.reason : outcome))
      assert.isUndefined(yield* reasonOf(withField(nested(2))))
      assert.strictEqual(yield* reasonOf(withField(nested(3))), "it is nested more than 2 levels deep")
      assert.strictEqual(yield* reasonOf(withField(listOf(7))), "it has more than 9 values")
    })
  )

  const nth = (i: number) => i.toString(16).padStart(16, "0")

  it.effect("stays within its bounds whoever sends what, and serves the others", () =>
    Effect.gen(function* () {
      const { counts, seen, take } = yield* assembling({ maxOpen: 100, maxBytes: 3_000_000 })
      // A peer that never completes anything, of many ports.
      for (let i = 0; i < 1_000; i++) yield* take(chunk(0, 2, "x", nth(i)), `192.0.2.1:${i}`)
      assert.deepStrictEqual(yield* counts, { ...none, open: 50, bytes: 50 * 1_153, evicted: 950 })
      const [first, second] = Gelf.chunksOf(jsonOf("another"), { id, sizeBytes: 40 }) as [Gelf.Chunk, Gelf.Chunk]
      yield* take(first, "192.0.2.2:1")
      for (let i = 0; i < 1_000; i++) yield* take(chunk(0, 2, "x", nth(i)), `192.0.2.1:${i}`)
      yield* take(second, "192.0.2.2:1")
      assert.deepStrictEqual(seen, ["another"])
      // Many forged ones: all that can be held is their number, in messages and in bytes.
      for (let i = 0; i < 10_000; i++) yield* take(chunk(0, 2, "x", nth(i)), `10.0.${i >> 8}.${i & 255}:1`)
      assert.strictEqual((yield* counts).open, 100)
      for (let i = 0; i < 200; i++) yield* take(chunk(0, 2, new Uint8Array(60_000), nth(i)), `10.1.0.${i}:1`)
      const { bytes, open } = yield* counts
      assert.isAtMost(bytes, 3_000_000)
      assert.strictEqual(open, Math.floor(3_000_000 / 61_152))
    })
  )

  it.effect.each([
    [{ maxOpen: 0 }, "Invalid option maxOpen: it must be a positive integer, not 0"],
    [{ maxMessageBytes: 1.5 }, "Invalid option maxMessageBytes: it must be a positive integer, not 1.5"],
    [{ maxRatio: 0 }, "Invalid option maxRatio: it must be a positive integer, not 0"],
    [{ maxDepth: -1 }, "Invalid option maxDepth: it must be a positive integer, not -1"],
    [{ maxValues: Number.NaN }, "Invalid option maxValues: it must be a positive integer, not NaN"],
    [{ timeout: "0s" }, "Invalid option timeout:"]
  ] as const)("does not start with %j", ([options, message]) =>
    Effect.scoped(Effect.map(Effect.flip(Gelf.assembler(options)), (error) => assert.include(error.message, message)))
  )
})

class Log extends Server.Service<Log>()("Log", { protocol: Gelf.protocol() }) {}

describe("a server of GELF", () => {
  it.effect("puts datagrams together, counts what is none, and goes on", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const LogLive = Layer.unwrap(
        Effect.map(Gelf.assembler(), ({ handler }) =>
          Log.serve(
            handler(({ shortMessage }) =>
              shortMessage === "bug" ? Effect.die(new Error("a bug")) : Effect.sync(() => void seen.push(shortMessage))
            ),
            { shares: "chunks" }
          )
        )
      )
      const ended = yield* Effect.gen(function* () {
        const outcomes = yield* Queue.unbounded<string>()
        const server = yield* Log
        const listening = Stream.runForEach(server.outcomes, ({ outcome }) => Queue.offer(outcomes, outcome._tag))
        yield* Effect.forkScoped(listening, { startImmediately: true })
        const client = yield* Log.client
        const raw = yield* Log.rawClient
        for (const part of Gelf.chunksOf(gzipSync(jsonOf("chunks")), { id, sizeBytes: 30 })) yield* client.write(part)
        yield* raw.write(utf8("no GELF"))
        yield* raw.write(gzipSync(Buffer.alloc(20_000_000)))
        yield* raw.write(jsonOf("bug"))
        yield* raw.write(deflateSync(jsonOf("last")))
        const count = Gelf.chunksOf(gzipSync(jsonOf("chunks")), { id, sizeBytes: 30 }).length
        const all = yield* Queue.takeN(outcomes, count + 4)
        assert.lengthOf(
          all.filter((outcome) => outcome === "Completed"),
          count + 1
        )
        return all.filter((outcome) => outcome !== "Completed")
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(LogLive, [MemoryServer.layerDatagrams(Log), Logger.layer([])]))
      )
      assert.deepStrictEqual(ended, ["Malformed", "FrameTooLarge", "Failed"])
      assert.deepStrictEqual(seen, ["chunks", "last"])
    })
  )
})

it("inflates a bomb no further than a message may be", () => {
  const bomb = gzipSync(Buffer.alloc(60_000_000))
  const start = process.cpuUsage()
  Effect.runSync(
    Effect.gen(function* () {
      const { take } = yield* assembling()
      for (let times = 0; times < 20; times++) {
        assert.strictEqual((yield* take({ _tag: "Compressed", bytes: bomb }))?._tag, "FrameTooLarge")
      }
    }).pipe(Effect.scoped)
  )
  // Inflated wholly, it would take twenty times that.
  assert.isBelow(cpuSince(start), 3_000)
})
