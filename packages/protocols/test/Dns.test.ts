import { assert, describe, it } from "@effect/vitest"
import * as MemoryServer from "@socketserver/core/MemoryServer"
import * as Response from "@socketserver/core/Response"
import * as Server from "@socketserver/core/Server"
import * as Dns from "@socketserver/protocols/Dns"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as dnsPacket from "dns-packet"
import { Random } from "../../core/src/internal/random.ts"
import { query, record, response } from "./support/dns.ts"
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  piecesLaw,
  requestLaw,
  responseLaw,
  truncationLaw
} from "./support/dnsLaws.ts"

const each = (times: number, check: (from: Random) => void) => {
  for (let seed = 0; seed < times; seed++) {
    try {
      check(new Random(seed, "dns"))
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

/** A message by its parts. */
const message = (header: ReadonlyArray<number>, ...parts: ReadonlyArray<ReadonlyArray<number> | Uint8Array>) =>
  Uint8Array.from([...header, ...parts.flatMap((part) => [...part])])
const header = (questions: number, answers = 0, authorities = 0, additionals = 0, flags = 0) => [
  0x12,
  0x34,
  flags >> 8,
  flags & 255,
  ...[questions, answers, authorities, additionals].flatMap((count) => [count >> 8, count & 255])
]
const isResponse = 0x8000
const ascii = (text: string) => [...new TextEncoder().encode(text)]
const label = (text: string) => [text.length, ...ascii(text)]
const host = [...label("host"), ...label("example"), 0]
const aIn = [0, 1, 0, 1]
const problem = (decoded: Result.Result<unknown, { readonly _tag: string; readonly reason?: string }>) =>
  Result.isFailure(decoded) ? decoded.failure.reason : "none"

describe("a query", () => {
  it("is read with its question as it stands, and with what EDNS says", () => {
    const cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]
    const bytes = message(
      header(1, 0, 0, 1, 0x0130),
      [...label("HOST"), ...label("Example"), 0],
      aIn,
      [0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, cookie.length],
      cookie
    )
    assert.deepStrictEqual(Result.getOrThrow(decodeRequest(bytes)), {
      id: 0x1234,
      opcode: 0,
      recursionDesired: true,
      authenticData: true,
      checkingDisabled: true,
      question: { name: "HOST.Example", type: "A", class: "IN", bytes: bytes.subarray(12, 30) },
      edns: {
        version: 0,
        udpBytes: 4_096,
        dnssecOk: true,
        options: [{ code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }]
      }
    })
  })

  it("has names of any bytes, and their text says all of them", () => {
    const odd = Uint8Array.of(3, 0x61, 0x2e, 0x62, 4, 0, 0xff, 0x20, 0x5c, 0)
    const { question } = Result.getOrThrow(decodeRequest(message(header(1), odd, [255, 1, 0, 17])))
    assert.strictEqual(question?.name, "a\\.b.\\000\\255\\032\\\\")
    assert.deepStrictEqual([question?.type, question?.class], ["TYPE65281", "CLASS17"])
    assert.deepStrictEqual(
      [...Dns.query(question!.name, "TYPE65281", { class: "CLASS17" }).question.bytes],
      [...odd, 255, 1, 0, 17]
    )
    assert.deepStrictEqual(Dns.nameKey("A\\.B.\\000\\255 \\\\"), Result.succeed("a\\.b.\\000\\255\\032\\\\"))
  })

  it("is read the same when it was written", () =>
    each(500, (from) => {
      const asked = query(from)
      assert.deepStrictEqual(Result.getOrThrow(decodeRequest(encodeRequest(asked))), asked)
    }))

  it("is what dns-packet has written, and is read by it", () => {
    for (const name of ["host.example", "example", ".", `${"a".repeat(63)}.${"b".repeat(63)}`]) {
      const options = [{ code: 10, type: "COOKIE", data: Buffer.from("01234567") }]
      const bytes = dnsPacket.encode({
        type: "query",
        id: 7,
        flags: dnsPacket.RECURSION_DESIRED,
        questions: [{ name, type: "MX" }],
        additionals: [{ name: ".", type: "OPT", udpPayloadSize: 1_400, flags: dnsPacket.DNSSEC_OK, options } as never]
      })
      const asked = Dns.query(name, "MX", {
        id: 7,
        recursionDesired: true,
        edns: {
          udpBytes: 1_400,
          dnssecOk: true,
          options: [{ code: 10, data: Uint8Array.from(Buffer.from("01234567")) }]
        }
      })
      assert.deepStrictEqual(Result.getOrThrow(decodeRequest(Uint8Array.from(bytes))), asked)
      assert.deepStrictEqual(Buffer.from(encodeRequest(asked)), bytes)
    }
  })

  it.each<[string, Uint8Array, string]>([
    ["less than a header", message(header(1)).subarray(0, 11), "it is shorter than a header"],
    ["a response", message(header(1, 0, 0, 0, isResponse), host, aIn), "it is a response"],
    ["no question", message(header(0)), "it has 0 questions"],
    ["two questions", message(header(2), host, aIn, host, aIn), "it has 2 questions"],
    [
      "5,000 questions",
      message(header(5_000), ...Array.from({ length: 5_000 }, () => [0, ...aIn])),
      "it has 5000 questions"
    ],
    ["a name that points at itself", message(header(1), [0xc0, 12], aIn), "the name of the question points elsewhere"],
    [
      "a label that points at itself",
      message(header(1), [1, 97, 0xc0, 12], aIn),
      "the name of the question points elsewhere"
    ],
    ["a label of another kind", message(header(1), [0x41, 0], aIn), "a label of a kind that there is not"],
    [
      "a name of 256 bytes",
      message(header(1), ...Array.from({ length: 127 }, () => [1, 97]), [1], aIn),
      "a name has more than 255 bytes"
    ],
    [
      "8,000 labels",
      message(header(1), ...Array.from({ length: 8_000 }, () => [1, 97]), [0], aIn),
      "a name has more than 255 bytes"
    ],
    ["a name without an end", message(header(1), [1, 97]), "a name is cut off"],
    ["a label that is cut off", message(header(1), [9, 97]), "a name is cut off"],
    ["a question that is cut off", message(header(1), host, [0, 1, 0]), "it is cut off"],
    ["a byte after its end", message(header(1), host, aIn, [0]), "1 bytes follow its end"],
    ["a record that is not there", message(header(1, 0, 0, 1), host, aIn), "it is cut off"],
    [
      "a record whose data is cut off",
      message(header(1, 0, 0, 1), host, aIn, [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3]),
      "it is cut off"
    ],
    [
      "a record whose name points forward",
      message(header(1, 0, 0, 1), host, aIn, [0xc0, 40, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]),
      "a name points forward"
    ],
    [
      "two OPT records",
      message(header(1, 0, 0, 2), host, aIn, ...Array.from({ length: 2 }, () => [0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0])),
      "it has an OPT record where there may be none"
    ],
    [
      "an OPT record with a name",
      message(header(1, 0, 0, 1), host, aIn, [1, 97, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]),
      "it has an OPT record where there may be none"
    ],
    [
      "an OPT record that is an answer",
      message(header(1, 1), host, aIn, [0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]),
      "it has an OPT record where there may be none"
    ],
    [
      "an option that is cut off",
      message(header(1, 0, 0, 1), host, aIn, [0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 4, 0, 10, 0, 1]),
      "an option of its OPT record is cut off"
    ],
    ["65 records", message(header(1, 0, 0, 65), host, aIn), "it has more than 64 records"],
    ["more records than bytes", message(header(1, 65_535, 65_535, 65_535), host, aIn), "it has more than 64 records"]
  ])("is not %s", (_, bytes, expected) => {
    assert.strictEqual(problem(decodeRequest(bytes)), expected)
    requestLaw(bytes)
  })

  it("may have records that mean nothing here, up to 64", () => {
    const tsig = [...label("key"), 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 2, 1, 2]
    const many = Array.from({ length: 64 }, () => tsig)
    assert.strictEqual(problem(decodeRequest(message(header(1, 0, 32, 32), host, aIn, ...many))), "none")
  })

  it("is never read past its end, wherever it is cut off", () =>
    each(60, (from) => {
      const whole = encodeRequest(query(from))
      for (let size = 0; size < whole.length; size++) {
        assert.isTrue(Result.isFailure(decodeRequest(whole.subarray(0, size))))
        requestLaw(whole.subarray(0, size))
      }
    }))

  it("cannot be sent with a name that is none", () => {
    for (const name of [
      "",
      "a..b",
      ".a",
      "a".repeat(64),
      "é.example",
      "a\\",
      "\\256",
      "\\12",
      `${"a.".repeat(127)}a`
    ]) {
      assert.throws(() => encodeRequest(Dns.query(name, "A")), /name of the question/)
    }
    assert.throws(() => encodeRequest(Dns.query("a", "NOTHING")), /is no type/)
    assert.throws(() => encodeRequest(Dns.query("a", "TYPE65536")), /is no type/)
    assert.throws(() => encodeRequest(Dns.query("a", "A", { class: "OUT" })), /is no class/)
    assert.throws(() => encodeRequest(Dns.query("a", "A", { id: 65_536 })), /id is no number/)
  })
})

describe("a response", () => {
  const empty: Dns.Response = {
    ...Dns.query("host.example", "A", { id: 7 }),
    rcode: "NOERROR",
    authoritative: true,
    truncated: false,
    recursionAvailable: false,
    answers: [],
    authorities: [],
    additionals: []
  }
  const answered = (...answers: ReadonlyArray<Dns.Record>): Dns.Response => ({ ...empty, answers })

  it("is read the same when it was written, and by dns-packet", () =>
    each(400, (from) => {
      const sent = response(from)
      const bytes = encodeResponse(sent)
      assert.deepStrictEqual(Result.getOrThrow(decodeResponse(bytes)), sent)
      responseLaw(bytes, from)
    }))

  it("is read as dns-packet has written it", () => {
    const answers = [
      { name: "host.example", type: "A", class: "IN", ttl: 60, data: "192.0.2.1" },
      { name: "example", type: "MX", class: "IN", ttl: 60, data: { preference: 10, exchange: "mail.example" } },
      { name: "example", type: "TXT", class: "IN", ttl: 60, data: ["one", "two"] },
      {
        name: "_sip._tcp.example",
        type: "SRV",
        class: "IN",
        ttl: 60,
        data: { priority: 1, weight: 2, port: 3, target: "a.example" }
      }
    ] as const
    const bytes = dnsPacket.encode({
      type: "response",
      id: 7,
      flags: 0x400,
      questions: [{ name: "host.example", type: "A" }],
      answers: structuredClone(answers) as never
    })
    const read = Result.getOrThrow(decodeResponse(Uint8Array.from(bytes)))
    assert.deepStrictEqual(read.answers, answers as never)
    assert.isBelow(encodeResponse(read).length, bytes.length, "names are compressed")
  })

  it("points at names that stand before, and never writes one twice", () => {
    const bytes = encodeResponse(
      answered(
        { name: "host.example", type: "CNAME", ttl: 1, data: "other.example" },
        { name: "other.example", type: "A", ttl: 1, data: "192.0.2.1" }
      )
    )
    assert.strictEqual(Buffer.from(bytes).toString("latin1").split("example").length - 1, 1)
    assert.strictEqual(Buffer.from(bytes).toString("latin1").split("other").length - 1, 1)
  })

  it("has all its bytes in the end, whatever is cut off", () =>
    each(40, (from) => {
      const whole = encodeResponse(response(from))
      for (let size = 0; size < whole.length; size++)
        assert.isTrue(Result.isFailure(decodeResponse(whole.subarray(0, size))))
    }))

  it.each<[string, Uint8Array, string]>([
    [
      "an A record of two bytes before another",
      message(
        header(0, 2, 0, 0, isResponse),
        [0, ...aIn, 0, 0, 0, 1, 0, 2, 1, 2],
        [0, ...aIn, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4]
      ),
      "the data of a record is no A"
    ],
    [
      "an A record of two bytes at the end",
      message(header(0, 1, 0, 0, isResponse), [0, ...aIn, 0, 0, 0, 1, 0, 2, 1, 2]),
      "the data of a record is no A"
    ],
    [
      "an A record of five bytes",
      message(header(0, 1, 0, 0, isResponse), [0, ...aIn, 0, 0, 0, 1, 0, 5, 1, 2, 3, 4, 5]),
      "the data of a record is no A"
    ],
    [
      "data beyond its end",
      message(header(0, 1, 0, 0, isResponse), [0, ...aIn, 0, 0, 0, 1, 0, 4, 1, 2, 3]),
      "the data of a record is cut off"
    ],
    [
      "a text that is longer than its record",
      message(header(0, 1, 0, 0, isResponse), [0, 0, 16, 0, 1, 0, 0, 0, 1, 0, 2, 5, 97], ascii("hello")),
      "it is cut off"
    ],
    [
      "a TXT record without a text",
      message(header(0, 1, 0, 0, isResponse), [0, 0, 16, 0, 1, 0, 0, 0, 1, 0, 0]),
      "it is cut off"
    ],
    [
      "bytes after the data of an MX",
      message(header(0, 1, 0, 0, isResponse), [0, 0, 15, 0, 1, 0, 0, 0, 1, 0, 4, 0, 1, 0, 0]),
      "the data of a record is longer than a MX"
    ],
    [
      "a name that points at itself",
      message(header(0, 1, 0, 0, isResponse), [0xc0, 12, ...aIn, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4]),
      "a name points forward"
    ],
    [
      "two names that point at each other",
      message(
        header(0, 2, 0, 0, isResponse),
        [0xc0, 24, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]
      ),
      "a name points forward"
    ],
    [
      "labels in a circle",
      message(header(0, 1, 0, 0, isResponse), [1, 97, 0xc0, 12, ...aIn, 0, 0, 0, 1, 0, 0]),
      "a name points forward"
    ],
    ["two questions", message(header(2, 0, 0, 0, isResponse), host, aIn, host, aIn), "it has 2 questions"],
    ["a query", message(header(1), host, aIn), "it is no response"],
    ["bytes after its end", message(header(0, 0, 0, 0, isResponse), [0, 0]), "2 bytes follow its end"]
  ])("is not %s", (_, bytes, expected) => assert.strictEqual(problem(decodeResponse(bytes)), expected))

  it("follows a chain of 8,000 pointers no further than its labels, at once", () => {
    // Each record's name is a label, and the name before.
    const records: Array<number> = [1, 97, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0]
    let before = 12
    for (let i = 0; i < 1_000; i++) {
      const at = 12 + records.length
      records.push(1, 97, 0xc0 | (before >> 8), before & 255, 0, 10, 0, 1, 0, 0, 0, 1, 0, 0)
      before = at
    }
    assert.strictEqual(
      problem(decodeResponse(message(header(0, 1_001, 0, 0, isResponse), records))),
      "the data of a record is no A"
    )
    records.splice(3, 2, 0, 10)
    assert.strictEqual(
      problem(decodeResponse(message(header(0, 1_001, 0, 0, isResponse), records))),
      "a name has more than 255 bytes"
    )
  })

  /** A response whose first record has bytes that the names of the others point at, and how many of them were looked at to read it. */
  const reading = (data: ReadonlyArray<number>, targets: (at: number) => ReadonlyArray<number>) => {
    const opaque = [0xff, 0, 0, 1, 0, 0, 0, 1]
    const records = targets(23).flatMap((target) => [0xc0 | (target >> 8), target & 255, ...opaque, 0, 0])
    const first = [0, ...opaque, data.length >> 8, data.length & 255, ...data]
    const bytes = message(header(0, 1 + records.length / 12, 0, 0, isResponse), first, records)
    let looks = 0
    const counted = new Proxy(bytes, {
      get: (of, key) => {
        if (typeof key === "string" && /^\d+$/.test(key)) looks++
        const value: unknown = Reflect.get(of, key)
        return typeof value === "function" ? (value.bind(of) as unknown) : value
      }
    })
    const names = Result.map(decodeResponse(counted), ({ answers }) => answers.slice(1).map(({ name }) => name))
    return { names, looks, size: bytes.length }
  }
  /** Where the pointer before stands, or the root. */
  const prior = (i: number) => (i === 0 ? 0 : 2 * i - 1)
  const upTo = (length: number, of: (i: number) => number) => Array.from({ length }, (_, i) => of(i))

  it("is read by looking at each byte a few times, whatever names point at", () => {
    // 126 labels of a byte, as many as a name may have: at their start, and each at another place.
    const labels = upTo(252, (i) => (i % 2 === 0 ? 1 : 97))
    const many = [...labels, 0].concat(...upTo(60, () => 0).map(() => [...labels, 0]))
    // Pointers, each at the one before.
    const chain = [0].concat(
      ...upTo(8_000, (i) => i).map((i) => [0xc0 | ((23 + prior(i)) >> 8), (23 + prior(i)) & 255])
    )
    const whole = Array.from({ length: 126 }, () => "a").join(".")
    for (const [data, targets, longest] of [
      [[...labels, 0], (at: number) => upTo(4_000, () => at), whole],
      [[...labels, 0], (at: number) => upTo(4_000, (i) => at + 2 * (i % 126)), whole],
      [many, (at: number) => upTo(4_000, (i) => at + 253 * (i % 60) + 2 * (i % 126)), whole],
      [chain, (at: number) => upTo(4_000, () => at + 15_999), "."],
      [chain, (at: number) => upTo(4_000, (i) => at + 1 + 2 * (7_999 - i)), "."]
    ] as const) {
      const { looks, names, size } = reading(data, targets)
      assert.strictEqual(Result.getOrThrow(names)[0], longest)
      assert.isAtMost(looks, 4 * size)
    }
  })

  it.each([
    // Where labels begin decides what the pointer at their end may point at.
    ["a pointer at a name before", [1, 97, 0, 1, 98, 0xc0, 23], [26]],
    ["a pointer at a label of its own", [1, 97, 1, 98, 0xc0, 25], [27, 25]],
    ["a pointer at its own label, and that alone", [1, 97, 0xc0, 23], [25, 23]]
  ])("is read the same, whichever of its names was read before: %s", (_, data, targets) => {
    const alone = targets.map((target) => reading(data, () => [target]).names)
    const failed = alone.find(Result.isFailure)
    for (const order of [targets, [...targets].reverse()]) {
      const { names } = reading(data, () => order)
      if (failed !== undefined) assert.isTrue(Result.isFailure(names))
      else assert.deepStrictEqual(Result.getOrThrow(names), ["b.a"])
    }
  })

  it("is cut at whole records, with what EDNS says, and says so", () =>
    each(150, (from) => {
      const sent = response(from)
      const { length } = encodeResponse(sent)
      for (const most of [0, 12, 100, 512, length - 1, length, from.int(12, length)]) truncationLaw(sent, most)
    }))

  it("does without additional records that do not fit, and is not truncated for it", () => {
    const text = (name: string): Dns.Record => ({ name, type: "TXT", ttl: 1, data: "x".repeat(200) })
    const sent = {
      ...answered(text("host.example")),
      additionals: [text("a.example"), text("b.example")],
      maxBytes: 512
    }
    const read = Result.getOrThrow(decodeResponse(encodeResponse(sent)))
    assert.deepStrictEqual([read.answers.length, read.additionals.length, read.truncated], [1, 1, false])
  })

  it("is truncated over TCP, too, where it is more than a message may be", () => {
    const texts = Array.from({ length: 300 }, (): Dns.Record => ({
      name: "host.example",
      type: "TXT",
      ttl: 1,
      data: "x".repeat(255)
    }))
    const read = Result.getOrThrow(decodeResponse(encodeResponse(answered(...texts))))
    assert.isTrue(read.truncated)
    assert.strictEqual(read.answers.length, Math.floor((65_535 - 12 - 18) / 268))
  })

  it.each<[string, Dns.Record]>([
    ["an address that is none", { name: "a", type: "A", ttl: 1, data: "192.0.2" }],
    ["an address of the other kind", { name: "a", type: "A", ttl: 1, data: "::1" }],
    ["an address with a zone", { name: "a", type: "AAAA", ttl: 1, data: "fe80::1%eth0" }],
    ["a text of 256 bytes", { name: "a", type: "TXT", ttl: 1, data: ["é".repeat(128)] }],
    ["a text that is none", { name: "a", type: "TXT", ttl: 1, data: ["\ud800"] }],
    ["no text at all", { name: "a", type: "TXT", ttl: 1, data: [] }],
    ["a name with an empty label", { name: "a..b", type: "A", ttl: 1, data: "192.0.2.1" }],
    ["data that are no name", { name: "a", type: "CNAME", ttl: 1, data: "b..c" }],
    ["data of another type", { name: "a", type: "MX", ttl: 1, data: "b" } as never],
    ["data that are bytes", { name: "a", type: "A", ttl: 1, data: Uint8Array.of(1, 2, 3, 4) } as never],
    ["text for what is bytes", { name: "a", type: "HTTPS", ttl: 1, data: "b" } as never],
    ["a number that is too large", { name: "a", type: "MX", ttl: 1, data: { preference: 65_536, exchange: "b" } }],
    [
      "half a number",
      { name: "a", type: "DS", ttl: 1, data: { keyTag: 0.5, algorithm: 1, digestType: 1, digest: Uint8Array.of(1) } }
    ],
    [
      "a number of dns-packet's that is too large",
      {
        name: "a",
        type: "TLSA",
        ttl: 1,
        data: { usage: 256, selector: 0, matchingType: 0, certificate: Uint8Array.of(1) }
      }
    ],
    ["a time that is negative", { name: "a", type: "A", ttl: -1, data: "192.0.2.1" }],
    ["a time of more than 31 bits", { name: "a", type: "A", ttl: 2 ** 31, data: "192.0.2.1" }],
    ["a type that is none", { name: "a", type: "NOTHING", ttl: 1, data: Uint8Array.of(1) } as never],
    ["a class that is none", { name: "a", type: "A", class: "OUT", ttl: 1, data: "192.0.2.1" }],
    ["more bytes than a record has", { name: "a", type: "NULL", ttl: 1, data: new Uint8Array(65_536) }]
  ])("is not written with %s", (_, record) => {
    assert.isString(Dns.problemOf(record))
    assert.throws(() => encodeResponse(answered(record)))
  })

  it("leaves records as they are that it has written", () =>
    each(200, (from) => {
      const one = record(from)
      const before = JSON.stringify(one)
      assert.isUndefined(Dns.problemOf(one))
      assert.strictEqual(JSON.stringify(one), before)
    }))

  it("has a code beyond 15 only with EDNS", () => {
    assert.throws(() => encodeResponse({ ...empty, rcode: "BADVERS" }), /without EDNS/)
    assert.throws(() => encodeResponse({ ...empty, rcode: "WHATEVER" }), /cannot be written/)
    const edns = { version: 0, udpBytes: 512, dnssecOk: false, options: [] }
    const read = Result.getOrThrow(decodeResponse(encodeResponse({ ...empty, rcode: "BADCOOKIE", edns })))
    assert.strictEqual(read.rcode, "BADCOOKIE")
  })
})

describe("DNS over TCP", () => {
  it("is read the same however it comes", () =>
    each(100, (from) => {
      const some = Array.from({ length: from.int(1, 5) }, () => encodeRequest(query(from)))
      piecesLaw(from.chance(0.3) ? [...some, some[0]!.subarray(0, from.int(0, 20)), some[0]!] : some, from)
    }))
})

class Names extends Server.Service<Names>()("Names", { protocol: Dns.protocol() }) {}

const texts = Array.from({ length: 16 }, (_, i): Dns.Record => ({
  name: "big.example",
  type: "TXT",
  ttl: 60,
  data: [`${i}`.padStart(250, ".")]
}))

const asked: Array<string> = []
const NamesLive = Names.serve(
  Dns.handler(({ question: { name, type } }) =>
    Effect.suspend((): Effect.Effect<Dns.Answer> => {
      asked.push(name)
      if (name === "dies.example") return Effect.die("a defect")
      if (name === "slow.example") return Effect.delay(Effect.succeed({ rcode: "SERVFAIL" }), "1 second")
      if (type === "TXT") return Effect.succeed({ authoritative: true, answers: texts })
      return Effect.succeed({ rcode: "REFUSED" })
    })
  ),
  { onUndecodable: Dns.onUndecodable }
)

const over = { udp: MemoryServer.layerDatagrams(Names), tcp: MemoryServer.layer(Names) }
const inMemory =
  (transport: keyof typeof over) =>
  <A, E, R>(test: Effect.Effect<A, E, R>) =>
    test.pipe(Effect.scoped, Effect.provide(Layer.provideMerge(NamesLive, over[transport])))

describe("a server of DNS", () => {
  it.effect.each([
    { what: "without EDNS", edns: undefined, most: 512, count: 1 },
    { what: "that can take less than 512 bytes, as it says", edns: { udpBytes: 100 }, most: 512, count: 1 },
    { what: "that can take 1,000 bytes", edns: { udpBytes: 1_000 }, most: 1_000, count: 3 },
    { what: "that can take 4,096 bytes", edns: { udpBytes: 4_096 }, most: 1_232, count: 4 }
  ])("answers over UDP who asks $what with no more than $most bytes", ({ count, edns, most }) =>
    Effect.gen(function* () {
      const client = yield* Names.client
      const before = client.bytesRead
      const answer = yield* client.send(Dns.query("big.example", "TXT", { id: 1, edns }))
      assert.isAtMost(client.bytesRead - before, most)
      assert.deepStrictEqual([answer.truncated, answer.answers.length], [true, count])
      assert.deepStrictEqual(answer.edns, edns && { version: 0, udpBytes: 1_232, dnssecOk: false, options: [] })
    }).pipe(inMemory("udp"))
  )

  it.effect("answers over TCP with all of it, and each as soon as it is ready", () =>
    Effect.gen(function* () {
      const client = yield* Names.client
      const slow = yield* Effect.forkChild(client.send(Dns.query("slow.example", "A", { id: 1 })), {
        startImmediately: true
      })
      const { answers, truncated } = yield* client.send(Dns.query("big.example", "TXT", { id: 2 }))
      assert.deepStrictEqual([truncated, answers.length], [false, 16])
      assert.isUndefined(slow.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow)).rcode, "SERVFAIL")
    }).pipe(inMemory("tcp"))
  )

  for (const transport of ["udp", "tcp"] as const) {
    it.effect(`repeats over ${transport} the bytes of the question, the number and what was wanted`, () =>
      Effect.gen(function* () {
        const client = yield* Names.client
        const name = "hOsT.a\\.b\\255.example"
        const { bytes } = Dns.query(name, "TYPE700", { class: "CLASS9" }).question
        const answer = yield* client.send(
          Dns.query(name, "TYPE700", { id: 65_535, class: "CLASS9", recursionDesired: true })
        )
        assert.deepStrictEqual([...(answer.question?.bytes ?? [])], [...bytes])
        assert.deepStrictEqual(
          [answer.id, answer.rcode, answer.recursionDesired, answer.recursionAvailable, answer.authoritative],
          [65_535, "REFUSED", true, false, false]
        )
      }).pipe(inMemory(transport))
    )

    it.effect(`says over ${transport} what is not implemented, without asking`, () =>
      Effect.gen(function* () {
        const client = yield* Names.client
        asked.length = 0
        const query = Dns.query("host.example", "A", { id: 1, edns: { version: 1 } })
        const versions = yield* client.send(query)
        assert.deepStrictEqual([versions.rcode, versions.edns?.version], ["BADVERS", 0])
        for (const opcode of [1, 2, 4, 5, 15]) {
          const { id, rcode, ...answer } = yield* client.send({ ...query, id: opcode, opcode })
          assert.deepStrictEqual([id, answer.opcode, rcode, answer.question], [opcode, opcode, "NOTIMP", undefined])
        }
        assert.deepStrictEqual(asked, [])
      }).pipe(inMemory(transport))
    )
  }

  it.effect(
    "says FORMERR to who sends no query as a datagram, and nothing to who answers or says less than a header",
    () =>
      Effect.gen(function* () {
        const raw = yield* Names.rawClient
        for (const silent of [
          new Uint8Array(0),
          message(header(1)).subarray(0, 11),
          message(header(1, 0, 0, 0, isResponse), host, aIn)
        ]) {
          yield* raw.write(silent)
        }
        yield* raw.write(message(header(1, 0, 0, 0, 0x0110), [0xc0, 12], aIn))
        assert.deepStrictEqual([...(yield* raw.take)], [0x12, 0x34, 0x81, 0x11, 0, 0, 0, 0, 0, 0, 0, 0])
        yield* raw.write(encodeRequest(Dns.query("host.example", "A", { id: 9 })))
        assert.strictEqual(Result.getOrThrow(decodeResponse(yield* raw.take)).id, 9)
        const { Completed, Malformed } = (yield* Effect.flatMap(Names, (server) => server.shutdown)).counts
        assert.deepStrictEqual({ Completed, Malformed }, { Completed: 1, Malformed: 4 })
      }).pipe(inMemory("udp"))
  )

  it.effect("says FORMERR over TCP after what came before, and hangs up", () =>
    Effect.gen(function* () {
      const raw = yield* Names.rawClient
      const framed = (bytes: Uint8Array) => Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes)
      yield* raw.write(framed(encodeRequest(Dns.query("a.example", "A", { id: 1 }))))
      yield* raw.write(framed(message(header(5_000), host, aIn)))
      const said: Array<number> = []
      let exit: Exit.Exit<Uint8Array, unknown>
      do {
        exit = yield* Effect.exit(raw.take)
        if (Exit.isSuccess(exit)) said.push(...exit.value)
      } while (Exit.isSuccess(exit))
      assert.isTrue(Cause.hasFails(exit.cause))
      assert.deepStrictEqual(said.slice(-14), [0, 12, 0x12, 0x34, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0])
      assert.strictEqual(said[3], 1)
    }).pipe(inMemory("tcp"))
  )

  it.effect("says nothing where its handler dies, and goes on", () =>
    Effect.gen(function* () {
      const client = yield* Names.client
      yield* client.write(Dns.query("dies.example", "A", { id: 1 }))
      assert.strictEqual((yield* client.send(Dns.query("a.example", "A", { id: 2 }))).id, 2)
      assert.strictEqual((yield* Effect.flatMap(Names, (server) => server.counts)).Failed, 1)
    }).pipe(inMemory("udp"))
  )

  it("takes another size for datagrams, of 512 bytes at least", () => {
    const sizeOf = (maxUdpBytes: number) => {
      const handler = Dns.handler(() => Effect.succeed({ answers: texts }), { maxUdpBytes })
      const connection = { kind: "datagram" } as never
      const body = Dns.query("big.example", "TXT", { edns: { udpBytes: 65_535 } })
      const reply = Effect.runSync(handler({ id: 1, body, connection, peer: undefined as never, receivedAt: 0 }))
      return reply._tag === "Reply" ? [reply.value.maxBytes, reply.value.edns?.udpBytes] : []
    }
    assert.deepStrictEqual(sizeOf(4_096), [4_096, 4_096])
    assert.deepStrictEqual(sizeOf(0), [512, 512])
    assert.strictEqual(Dns.onUndecodable({} as never, { payload: "text", connection: {} as never }), Response.empty)
  })
})
