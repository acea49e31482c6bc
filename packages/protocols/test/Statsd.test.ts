import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Statsd from "@socketserver/protocols/Statsd"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { bytewise, cut, decode, join, many, pieces, sizes, text, utf8 } from "../../core/test/support/decoding.ts"
import { cpuSince } from "./support/cpu.ts"
import { serverOf } from "./support/sides.ts"
import { undecoded } from "./support/thrown.ts"

const protocol = Statsd.protocol()
const side = serverOf(protocol)

const of = (packet: string | Uint8Array): Statsd.Packet =>
  Result.getOrThrow(side.datagram.decode(typeof packet === "string" ? utf8(packet) : packet))

const counter = { type: "counter", name: "a", tags: [], value: 1, rate: 1 } as const

describe("a metric", () => {
  it.each<readonly [string, Statsd.Metric | ReadonlyArray<Statsd.Metric>]>([
    ["a:1|c", counter],
    ["a:-1.5|c", { ...counter, value: -1.5 }],
    ["a:1|c|@0.1", { ...counter, rate: 0.1 }],
    ["a:1|c|@1e-3", { ...counter, rate: 0.001 }],
    ["a:.5|c", { ...counter, value: 0.5 }],
    ["a:5.|c", { ...counter, value: 5 }],
    ["a:1|c|#", counter],
    ["a:1|c|#env:prod,urgent,,x:y:z", { ...counter, tags: ["env:prod", "urgent", "x:y:z"] }],
    ["a:1|c|#t|@0.5", { ...counter, tags: ["t"], rate: 0.5 }],
    ["a:1|c|@0.5|#t|c:ci-1234|T1656581400|e:it-false", { ...counter, tags: ["t"], rate: 0.5 }],
    ["api.v1/x-y_z,t=1:1|c", { ...counter, name: "api.v1/x-y_z,t=1" }],
    ["é:1|c", { ...counter, name: "é" }],
    ["a:320|ms|@0.1", { type: "timer", name: "a", tags: [], value: 320, rate: 0.1 }],
    ["a:7|h", { type: "histogram", name: "a", tags: [], value: 7, rate: 1 }],
    ["a:7|d|#t", { type: "distribution", name: "a", tags: ["t"], value: 7, rate: 1 }],
    ["a:7|g", { type: "gauge", name: "a", tags: [], value: 7, isChange: false }],
    ["a:+7|g", { type: "gauge", name: "a", tags: [], value: 7, isChange: true }],
    ["a:-7|g|#t", { type: "gauge", name: "a", tags: ["t"], value: -7, isChange: true }],
    ["a:ada lovelace|s", { type: "set", name: "a", tags: [], value: "ada lovelace" }],
    ["a:2001:db8::1|s", { type: "set", name: "a", tags: [], value: "2001:db8::1" }],
    ["a:1:2:3|h", [1, 2, 3].map((value) => ({ type: "histogram", name: "a", tags: [], value, rate: 1 }) as const)],
    ["a:1|c\r", counter],
    ["a:1|c\n\nb:2|c\n", [counter, { ...counter, name: "b", value: 2 }]],
    ["", []],
    ["\r\n\n", []]
  ])("%j", (packet, metrics) => {
    assert.deepStrictEqual(of(packet), { metrics: [metrics].flat(), malformed: [] })
  })
})

describe("what is malformed is counted, and the others are kept", () => {
  it.each([
    ["a", "it is not NAME:VALUE|TYPE"],
    ["a:1", "it is not NAME:VALUE|TYPE"],
    [":1|c", "it is not NAME:VALUE|TYPE"],
    ["a|b:1|c", "it is not NAME:VALUE|TYPE"],
    ["a|c", "it is not NAME:VALUE|TYPE"],
    ["a:1|", "its type is none of c, g, ms, h, d, s"],
    ["a:1|x", "its type is none of c, g, ms, h, d, s"],
    ["a:1|C", "its type is none of c, g, ms, h, d, s"],
    ["_e{5,4}:title|text", "its type is none of c, g, ms, h, d, s"],
    ["_sc|name|0", "it is not NAME:VALUE|TYPE"],
    ["a:|c", "its value is no number"],
    ["a:x|c", "its value is no number"],
    ["a:NaN|c", "its value is no number"],
    ["a:Infinity|c", "its value is no number"],
    ["a:1e999|c", "its value is no number"],
    ["a:0x10|c", "its value is no number"],
    ["a: 1|c", "its value is no number"],
    [`a:${"1".repeat(33)}|c`, "its value is no number"],
    ["a:1:x|c", "its value is no number"],
    ["a:1|c|@", "its rate is not from above 0 to 1"],
    ["a:1|c|@0", "its rate is not from above 0 to 1"],
    ["a:1|c|@1.1", "its rate is not from above 0 to 1"],
    ["a:1|c|@-1", "its rate is not from above 0 to 1"],
    ["a:1|c|", "it has a section that is neither a rate nor tags"],
    ["a:1|c|0.1", "it has a section that is neither a rate nor tags"],
    ["a:|s", "a value of a set has 1 to 255 characters, and no controls"],
    ["a:\u001b[31m|s", "a value of a set has 1 to 255 characters, and no controls"],
    ["a b:1|c", "a name has at most 255 characters, and no spaces or controls"],
    ["a\u001b:1|c", "a name has at most 255 characters, and no spaces or controls"],
    [`${"a".repeat(256)}:1|c`, "a name has at most 255 characters, and no spaces or controls"],
    ["a:1|c|#a b", "a tag has at most 255 characters, and no spaces or controls"],
    [`a:1|c|#${"t".repeat(256)}`, "a tag has at most 255 characters, and no spaces or controls"],
    [`a:1|c|#${"t,".repeat(65)}`, "a metric has at most 64 tags"]
  ])("%j", (line, problem) => {
    assert.deepStrictEqual(of(`a:1|c\n${line}\na:1|c`), { metrics: [counter, counter], malformed: [problem] })
  })

  it("also where a line is no text", () => {
    const packet = join(["a:1|c\r\n", Uint8Array.of(0xff), "\na:1|c"])
    assert.deepStrictEqual(of(packet), { metrics: [counter, counter], malformed: ["it is not valid UTF-8"] })
  })

  it("costs no more where each line is no text", () => {
    const packet = Uint8Array.from({ length: 60_000 }, (_, i) => (i % 2 === 0 ? 0xff : 10))
    // That the packet is none.
    assert.strictEqual(
      undecoded(() => assert.lengthOf(of(packet).malformed, 30_000)),
      1
    )
  })

  it("and what is beyond 4,096 metrics", () => {
    const line = "a:1|c\n"
    assert.lengthOf(of(line.repeat(4_096)).malformed, 0)
    const over = of(`${line.repeat(4_095)}b:1:2|c\n${line}${line}`)
    assert.lengthOf(over.metrics, 4_096)
    assert.deepStrictEqual(over.malformed, Array(2).fill("a packet has at most 4096 metrics"))
    assert.deepStrictEqual(of(`a:${"1:".repeat(30_000)}1|c`), {
      metrics: [],
      malformed: ["a packet has at most 4096 metrics"]
    })
  })
})

describe("over a stream", () => {
  it("a packet is a line, and what is malformed costs no connection", () => {
    for (const chunks of [["a:1|c\n\nx\r\na:1|c"], bytewise("a:1|c\n\nx\r\na:1|c")]) {
      const { error, messages } = decode(side, chunks)
      assert.isUndefined(error)
      assert.deepStrictEqual(messages, [
        { metrics: [counter], malformed: [] },
        { metrics: [], malformed: [] },
        { metrics: [], malformed: ["it is not NAME:VALUE|TYPE"] },
        { metrics: [counter], malformed: [] }
      ])
    }
  })

  it("a line has a largest size, and so has a datagram", () => {
    const small = serverOf(Statsd.protocol({ maxFrameBytes: 10 }))
    const tooLarge = (offset: number) => ({ _tag: "FrameTooLarge", limitBytes: 10, offset }) as const
    assert.deepStrictEqual(decode(small, [`a:1|c\n${"a".repeat(11)}`]).error, tooLarge(6))
    assert.deepStrictEqual(small.datagram.decode(utf8("a:1|c\na:1|c")), Result.fail(tooLarge(0)))
  })

  it.effect.prop(
    "reads any input the same in any chunks",
    {
      input: pieces(["a:1|c", "a:", "1", "|", "ms", "g", "|@0.5", "|#t", ",", "\n", "\r\n", ":", "é", "+"], 14),
      sizes
    },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const whole = decode(side, [input])
        assert.deepStrictEqual(decode(side, cut(input, sizes)), whole)
        assert.deepStrictEqual(decode(side, bytewise(input)), whole)
      })
  )
})

const word = (...alphabet: ReadonlyArray<string>) => Arbitrary.map(pieces(alphabet, 3), text)

const metrics: Arbitrary.Arbitrary<Statsd.Metric> = Arbitrary.map(
  Arbitrary.array(word("a", "b:c", "|", "@", "#", ",", " ", "é", "\n", "1"), { minLength: 5, maxLength: 5 }),
  ([name = "", tag = "", other = "", value = "", more = ""]): Statsd.Metric => {
    const tags = [tag, other].slice(0, more.length % 3)
    const types = ["counter", "timer", "histogram", "distribution"] as const
    const number = (value.length - 2) * 1.25 + 0
    if (more.length % 3 === 0) return { type: "set", name, tags, value }
    if (more.length % 3 === 1) return { type: "gauge", name, tags, value: number, isChange: number < 0 || other === "" }
    return {
      type: types[tag.length % 4] ?? "counter",
      name,
      tags,
      value: number,
      rate: name.length % 2 === 0 ? 1 : 0.1
    }
  }
)

describe("what a client writes", () => {
  it.effect.prop("arrives as it was, or is refused", { sent: many(metrics) }, ({ sent }) =>
    Effect.sync(() => {
      const wire: Array<string | Uint8Array> = []
      const expected: Array<Statsd.Packet> = []
      for (const metric of sent) {
        const packet = { metrics: [metric], malformed: [] }
        const encoded = protocol.client.encode(packet)
        if (encoded instanceof Protocol.Unencodable) continue
        wire.push(encoded)
        expected.push(packet)
      }
      assert.deepStrictEqual(decode(side, wire).messages, expected)
      const all = { metrics: expected.flatMap(({ metrics }) => metrics), malformed: [] }
      assert.deepStrictEqual(of(protocol.client.datagram.encode(all) as Uint8Array), all)
    })
  )

  const written = (packet: Statsd.Packet) => {
    const encoded = protocol.client.datagram.encode(packet)
    return encoded instanceof Protocol.Unencodable ? encoded.problem : text(encoded as Uint8Array)
  }

  it("is a metric on each line", () => {
    const packet: Statsd.Packet = {
      metrics: [
        { ...counter, rate: 0.1, tags: ["env:prod", "t"] },
        { type: "gauge", name: "g", tags: [], value: 7, isChange: true },
        { type: "set", name: "s", tags: [], value: "ada" }
      ],
      malformed: []
    }
    assert.strictEqual(written(packet), "a:1|c|@0.1|#env:prod,t\ng:+7|g\ns:ada|s")
    const encoded = protocol.client.encode(packet)
    assert.strictEqual(
      encoded instanceof Protocol.Unencodable && encoded.problem,
      "a line cannot contain a newline or end with a carriage return"
    )
  })

  it.each<readonly [Statsd.Packet, string]>([
    [{ metrics: [{ ...counter, name: "a:b" }], malformed: [] }, "its value is no number"],
    [{ metrics: [{ ...counter, name: "" }], malformed: [] }, "it is not NAME:VALUE|TYPE"],
    [{ metrics: [{ ...counter, tags: ["a,b"] }], malformed: [] }, "a metric of it would not arrive as it is"],
    [
      { metrics: [{ type: "gauge", name: "g", tags: [], value: -1, isChange: false }], malformed: [] },
      "a metric of it would not arrive as it is"
    ],
    [{ metrics: [{ type: "set", name: "s", tags: [], value: "a|c\nb:1" }], malformed: [] }, "its value is no number"],
    [
      { metrics: [{ ...counter, name: "\ud800" }], malformed: [] },
      "it has a lone surrogate, which UTF-8 cannot express"
    ],
    [{ metrics: [{ ...counter, value: Number.NaN }], malformed: [] }, "its value is no number"],
    [{ metrics: [], malformed: ["a fault"] }, "a packet is sent without what is malformed"]
  ])("%j is refused", (packet, problem) => {
    assert.strictEqual(written(packet), problem)
  })
})

it("weighs at least what its metrics take, and at most that of as many as there may be", () => {
  const weigh = (packet: string) => side.weight(packet.length, utf8(packet))
  for (const packet of ["", "a:1|c", "a:1|c\n".repeat(100), `a:${"1:".repeat(30_000)}1|c`]) {
    assert.isAtLeast(side.weight(packet.length), weigh(packet) - 160)
  }
  assert.strictEqual(weigh("a:1|c\na:1:2|c"), 13 * 4 + 5 * 160)
  assert.strictEqual(weigh(":".repeat(60_000)), 60_000 * 4 + 4_096 * 160)
})

it("costs what any other packet of its size costs", () => {
  const evil = ["\n", ":", "|", "a:", "a:1|c|", "a:1|c|#t,", "a:1:", "@", "#", "a", "é"].map((part) =>
    utf8(part.repeat(Math.floor(60_000 / utf8(part).length)))
  )
  evil.push(
    utf8(`a:1|c|#${",".repeat(60_000)}`),
    utf8(`a:1|c${"|x".repeat(30_000)}`),
    new Uint8Array(60_000).fill(0xff)
  )
  const start = process.cpuUsage()
  for (let times = 0; times < 10; times++) for (const packet of evil) of(packet)
  assert.isBelow(cpuSince(start), 3_000)
})
