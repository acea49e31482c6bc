/** What would not arrive as it was is refused when it is written, whatever carries it. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import { serverOf } from "./support/decoding.ts"

/** How a message may leave: over a connection, as a datagram, and to a worker. */
const ways = (protocol: Protocol.Protocol<any, any>) =>
  [serverOf(protocol), protocol.client].flatMap((side: Codec.Side<unknown, any>) => [
    side.encode,
    side.datagram.encode,
    side.payload.encode
  ])

const problems = (protocol: Protocol.Protocol<any, any>, message: unknown) =>
  ways(protocol).map((encode) => {
    const encoded = encode(message)
    return encoded instanceof Protocol.Unencodable ? encoded.problem : encoded
  })

const refused = (protocol: Protocol.Protocol<any, any>, message: unknown, problem: string | RegExp) => {
  for (const said of problems(protocol, message)) {
    assert.typeOf(said, "string")
    if (typeof problem === "string") assert.strictEqual(said, problem)
    else assert.match(said as string, problem)
  }
}

describe("text", () => {
  const framings = [Protocol.lines(), Protocol.delimited(";"), Protocol.lengthPrefixed(), Protocol.netstring()]

  it("that has a lone surrogate is refused over any framing", () => {
    for (const framing of framings) {
      for (const text of ["\ud800", "a\udc00b", "\udc00\ud800"]) {
        refused(Protocol.text(framing), text, "the text has a lone surrogate, which UTF-8 cannot express")
      }
    }
  })
})

describe("JSON", () => {
  const json = Protocol.json(Protocol.lengthPrefixed())
  class Point {
    readonly x = 1
    toJSON() {
      return "a point"
    }
  }
  const cycle: Record<string, unknown> = {}
  cycle["self"] = cycle

  it.each([
    ["NaN", NaN, /^NaN is not a JSON value/],
    ["infinity", -Infinity, /^-Infinity is not/],
    ["a date", new Date(0), /^a Date is not a JSON value/],
    ["a map", new Map([[1, 2]]), /^a Map is not/],
    ["a set", new Set([1]), /^a Set is not/],
    ["a big integer", 1n, /BigInt/],
    ["nothing", undefined, /^undefined is not/],
    ["a function", () => 1, /^function is not/],
    ["a symbol", Symbol("s"), /^symbol is not/],
    ["bytes", Uint8Array.of(1), /^a Uint8Array is not/],
    ["numbers in memory", new Float64Array(1), /^a Float64Array is not/],
    ["what says itself how it is written", new Point(), /^a Point is not/],
    ["memory", new ArrayBuffer(1), /^a ArrayBuffer is not/],
    ["a pattern", /a/, /^a RegExp is not/],
    ["an error", new Error("lost"), /^a Error is not/],
    ["a promise", Promise.resolve(1), /^a Promise is not/],
    ["a weak map", new WeakMap(), /^a WeakMap is not/],
    ["a number as an object", Object(1), /^a Number is not/],
    ["a text as an object", Object("text"), /^a String is not/]
  ])("refuses %s, also deep inside, and says where", (_, value, problem) => {
    refused(json, value, problem)
    refused(json, [1, value], /\(at \[1\]\)|BigInt/)
    if (value !== undefined) refused(json, { a: { b: [{ c: value }] } }, /\(at a\.b\[0\]\.c\)|BigInt/)
  })

  it("refuses a cycle, and says what it is", () => {
    refused(json, cycle, /circular/)
    refused(json, [cycle], /circular/)
  })

  it("refuses what is too deep, and does not throw", () => {
    let deep: unknown = 1
    for (let i = 0; i < 200_000; i++) deep = [deep]
    refused(json, deep, /stack/)
  })

  it("takes what arrives as it was", () => {
    const shared = { a: 1 }
    const same = [shared, shared, Object.create(null), "\ud800", "\n", { "": null, __proto__: null }, [[]], -1.5e300]
    for (const encoded of problems(json, same)) assert.notMatch(String(encoded), /not a JSON/)
    for (const encoded of problems(json, { left: undefined, out: 1 })) assert.notMatch(String(encoded), /not a JSON/)
  })
})

describe("a line", () => {
  it.each(["a\nb", "\n", "a\r", "\r"])("cannot be %j, as text or bytes, nor when it was encoded elsewhere", (line) => {
    const bytes = new TextEncoder().encode(line)
    const text: Codec.Side<unknown, string> = Protocol.lines().client
    const binary: Codec.Side<unknown, Uint8Array> = Protocol.bytes(Protocol.lines()).client
    const all = [
      text.encode(line),
      text.frame(line),
      text.frame(bytes),
      text.datagram.encode(line),
      text.datagram.frame(line)
    ]
    const others = [
      binary.encode(bytes),
      binary.frame(bytes),
      binary.datagram.encode(bytes),
      binary.datagram.frame(bytes)
    ]
    for (const encoded of [...all, ...others]) {
      assert.instanceOf(encoded, Protocol.Unencodable)
      assert.include(
        (encoded as Protocol.Unencodable).problem,
        "a line cannot contain a newline or end with a carriage return"
      )
    }
  })

  it("of JSON cannot be refused for what is in its texts", () => {
    assert.strictEqual(Protocol.ndjson().client.encode("a\nb\r"), '"a\\nb\\r"\n')
  })
})

describe("a framing", () => {
  const bytes = (size: number) => new Uint8Array(size).fill(1)
  const said = (protocol: Protocol.Protocol<any, any>, message: unknown) => {
    const side: Codec.Side<unknown, any> = protocol.client
    return [side.encode(message), side.frame(message as Uint8Array)].map((encoded) =>
      encoded instanceof Protocol.Unencodable ? encoded.problem : encoded
    )
  }
  it.each([
    ["a delimiter", Protocol.delimited("\u0001"), bytes(2), "a message cannot contain the delimiter (byte 0)"],
    [
      "more than one byte of length can say",
      Protocol.lengthPrefixed({ lengthBytes: 1 }),
      bytes(256),
      "256 does not fit a length field of 1 bytes"
    ],
    [
      "more than two bytes of length can say",
      Protocol.lengthPrefixed({ lengthBytes: 2 }),
      bytes(65_536),
      "65536 does not fit a length field of 2 bytes"
    ],
    [
      "a length that its adjustment makes too large",
      Protocol.lengthPrefixed({ lengthBytes: 1, lengthAdjustment: -1 }),
      bytes(255),
      "256 does not fit a length field of 1 bytes"
    ],
    [
      "a length that its adjustment makes negative",
      Protocol.lengthPrefixed({ lengthAdjustment: 2 }),
      bytes(1),
      "-1 does not fit a length field of 4 bytes"
    ],
    [
      "less than its header",
      Protocol.lengthPrefixed({ lengthOffset: 3 }),
      bytes(2),
      "a message starts with 3 bytes of header, this has 2"
    ],
    ["another size", Protocol.fixed(3), bytes(2), "a message has 3 bytes, not 2"]
  ])("refuses %s, also of what was encoded elsewhere", (_, protocol, message, problem) => {
    assert.deepStrictEqual(said(protocol, message), [problem, problem])
  })

  it("takes the most that its length can say", () => {
    for (const [lengthBytes, most] of [
      [1, 255],
      [2, 65_535]
    ] as const) {
      assert.deepStrictEqual(
        said(Protocol.lengthPrefixed({ lengthBytes }), bytes(most)).map((out) => out.length),
        [most + lengthBytes, most + lengthBytes]
      )
    }
  })
})
