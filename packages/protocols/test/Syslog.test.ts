import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import * as Syslog from "@socketserver/protocols/Syslog"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  bytewise,
  copied,
  cut,
  decode,
  join,
  many,
  pieces,
  sizes,
  text,
  utf8
} from "../../core/test/support/decoding.ts"
import { cpuSince } from "./support/cpu.ts"
import { serverOf } from "./support/sides.ts"
import { undecoded } from "./support/thrown.ts"

const protocol = Syslog.protocol()
const side = serverOf(protocol)

const base: Syslog.Message = {
  rfc: "3164",
  facility: "user",
  severity: "notice",
  timestamp: undefined,
  host: undefined,
  app: undefined,
  procid: undefined,
  msgid: undefined,
  data: [],
  text: ""
}

const of = (input: string | Uint8Array) => side.datagram.decode(typeof input === "string" ? utf8(input) : input)
const message = (input: string | Uint8Array): Syslog.Message => Result.getOrThrow(of(input))

/** What differs from a message of RFC 3164 that says nothing. */
const parts = (input: string | Uint8Array) =>
  Object.fromEntries(
    Object.entries(message(input)).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(base[key as keyof Syslog.Message])
    )
  )

const rfc = "5424" as const

describe("a message of RFC 5424", () => {
  it.each([
    // The examples of the RFC, 6.5.
    [
      "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8",
      {
        rfc,
        facility: "auth",
        severity: "crit",
        timestamp: "2003-10-11T22:14:15.003Z",
        host: "mymachine.example.com",
        app: "su",
        msgid: "ID47",
        text: "'su root' failed for lonvick on /dev/pts/8"
      }
    ],
    [
      "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
      {
        rfc,
        facility: "local4",
        timestamp: "2003-08-24T05:14:15.000003-07:00",
        host: "192.0.2.1",
        app: "myproc",
        procid: "8710",
        text: "%% It's time to make the do-nuts."
      }
    ],
    [
      '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]',
      {
        rfc,
        facility: "local4",
        timestamp: "2003-10-11T22:14:15.003Z",
        host: "mymachine.example.com",
        app: "evntslog",
        msgid: "ID47",
        data: [
          {
            id: "exampleSDID@32473",
            params: [
              ["iut", "3"],
              ["eventSource", "Application"],
              ["eventID", "1011"]
            ]
          },
          { id: "examplePriority@32473", params: [["class", "high"]] }
        ]
      }
    ],
    ["<13>1 - - - - - -", { rfc }],
    ["<13>1 - - - - - - ", { rfc }],
    ["<13>1 - - - - - -  two spaces", { rfc, text: " two spaces" }],
    ["<0>1 - - kernel - - -", { rfc, facility: "kern", severity: "emerg", app: "kernel" }],
    ["<191>1 - - - - - -", { rfc, facility: "local7", severity: "debug" }],
    // As Go's clock has it.
    ["<13>1 2026-11-24T20:55:57.449371123Z - - - - -", { rfc, timestamp: "2026-11-24T20:55:57.449371123Z" }],
    [
      '<13>1 - - a - - [x y="\\"\\]\\\\ \\n" y=""][z] text',
      {
        rfc,
        app: "a",
        data: [
          {
            id: "x",
            params: [
              ["y", '"]\\ \\n'],
              ["y", ""]
            ]
          },
          { id: "z", params: [] }
        ],
        text: "text"
      }
    ],
    // A bracket that its sender has not escaped.
    ['<13>1 - - a - - [x y="]"] t', { rfc, app: "a", data: [{ id: "x", params: [["y", "]"]] }], text: "t" }],
    ["<13>1 - - a - - - one\n  two\nthree\n", { rfc, app: "a", text: "one\n  two\nthree" }],
    ["<13>1 - - a - - - nul\0", { rfc, app: "a", text: "nul" }],
    ["<13>1 - - a - - - both\0\r\n", { rfc, app: "a", text: "both" }],
    ["<13>1 - - a - - - in\0side", { rfc, app: "a", text: "in\0side" }]
  ])("%j", (input, expected) => {
    assert.deepStrictEqual(parts(input), expected)
  })

  it("costs no more where it is not UTF-8", () => {
    const lines = Uint8Array.from({ length: 60_000 }, (_, i) => (i % 2 === 0 ? 0xff : 10))
    const thrown = undecoded(() => {
      const { error, messages } = decode(side, [join(["<13>a\n", lines])])
      assert.deepStrictEqual([error, messages.length, messages.at(-1)?.text], [undefined, 30_001, "\u00ff"])
    })
    assert.strictEqual(thrown, 0)
  })

  it("is read as Latin-1 where it is not UTF-8, with the mark before it or without", () => {
    const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0))
    assert.deepStrictEqual(parts(latin1("<13>1 - - a - - - caf\xe9 \x80\x9b")), {
      rfc,
      app: "a",
      text: "café \x80\x9b"
    })
    assert.deepStrictEqual(parts(latin1("<13>1 - - a - - - \xef\xbb\xbfcaf\xe9")), { rfc, app: "a", text: "café" })
    assert.deepStrictEqual(parts("<13>1 - - a - - - café €"), { rfc, app: "a", text: "café €" })
    assert.strictEqual(message(latin1(`<13>${"\xe9".repeat(60_000)}`)).text, "é".repeat(60_000))
  })
})

describe("a message that is none of RFC 5424 is text", () => {
  it.each([
    "2 - - - - - - another version",
    "1 apple a day",
    "1 - - app - -",
    "1 2026-11-24 - a - - - a date alone",
    "1 - - a - - [] no name",
    '1 - - a - - [x y="cut on the',
    '1 - - a - - [x y="z"',
    '1 - - a - - [x y="z"]text',
    "1 - - a - - [x y=z]",
    '1 - - a - - [x  y="z"]',
    '1 - - a - - [x y ="z"]',
    '1 - - a - - [="z"]',
    "1  - a - - - an empty token",
    `1 - ${"h".repeat(256)} a - - -`,
    `1 - - a - - ${"[a]".repeat(513)}`,
    `1 - - a - - [a${' b=""'.repeat(512)}]`
  ])("%s", (rest) => {
    assert.deepStrictEqual(parts(`<13>${rest}`), { text: rest })
  })

  it("up to as many parameters as there may be", () => {
    assert.lengthOf(message(`<13>1 - - a - - ${"[a]".repeat(512)}`).data, 512)
    assert.lengthOf(message(`<13>1 - - a - - [a${' b=""'.repeat(511)}]`).data[0]?.params ?? [], 511)
  })
})

describe("a message of RFC 3164", () => {
  const at = { timestamp: "Nov  4 20:55:57" }
  it.each([
    // The examples of the RFC, 5.4.
    [
      "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
      {
        facility: "auth",
        severity: "crit",
        timestamp: "Oct 11 22:14:15",
        host: "mymachine",
        app: "su",
        text: "'su root' failed for lonvick on /dev/pts/8"
      }
    ],
    ["<13>Use the BFG!", { text: "Use the BFG!" }],
    ["<13>Nov  4 20:55:57 su: without: a host", { ...at, app: "su", text: "without: a host" }],
    ["<13>Nov  4 20:55:57 vm su[18]: both", { ...at, host: "vm", app: "su", procid: "18", text: "both" }],
    ["<13>Nov  4 20:55:57 su[18]: no host", { ...at, app: "su", procid: "18", text: "no host" }],
    ["<13>Nov  4 20:55:57 vm just text", { ...at, host: "vm", text: "just text" }],
    ["<13>Nov  4 20:55:57 word", { ...at, text: "word" }],
    ["<13>Nov  4 20:55:57 ", at],
    ["<13>Nov  4 20:55:57", { text: "Nov  4 20:55:57" }],
    ["<13>Nov  4 20:55:57 - su: NIL", { ...at, app: "su", text: "NIL" }],
    ["<13>Nov  4 20:55:57.123456 vm a: b", { timestamp: "Nov  4 20:55:57.123456", host: "vm", app: "a", text: "b" }],
    [
      "<13>2026-11-24T20:55:57.449371+01:00 vm a: as rsyslog forwards",
      { timestamp: "2026-11-24T20:55:57.449371+01:00", host: "vm", app: "a", text: "as rsyslog forwards" }
    ],
    ["<13>a: b", { app: "a", text: "b" }],
    ["<13>a:", { app: "a" }],
    ["<13>a[x-1]: b", { app: "a", procid: "x-1", text: "b" }],
    ["<13>postfix/smtpd[1]: b", { app: "postfix/smtpd", procid: "1", text: "b" }],
    ["<13>http://example.org/", { text: "http://example.org/" }],
    ["<13>two words: b", { text: "two words: b" }],
    ["<13>a[b: c", { text: "a[b: c" }],
    ["<13>\u0007a: b", { text: "\u0007a: b" }],
    [`<13>${"a".repeat(129)}: b`, { text: `${"a".repeat(129)}: b` }],
    ["<13>", {}],
    ["<13>\0", {}],
    ["<013>octal", { text: "octal" }],
    [
      "<11>with a traceback\nTraceback (most recent call last):\n  1 / 0\n\0",
      {
        severity: "err",
        text: "with a traceback\nTraceback (most recent call last):\n  1 / 0"
      }
    ],
    ["<13>\ufeffmarked", { text: "marked" }]
  ])("%j", (input, expected) => {
    assert.deepStrictEqual(parts(input), expected)
  })
})

it.each([
  "",
  "text",
  "<",
  "<>",
  "<13",
  "13>",
  "<192>",
  "<1234>",
  "< 13>",
  "<-1>",
  "<1.5>",
  "<a>",
  " <13>a",
  "\0",
  "<١>"
])("without a priority it is no message: %j", (input) => {
  assert.deepStrictEqual(
    of(input),
    Result.fail({ _tag: "Malformed", offset: 0, reason: "it does not start with a priority from <0> to <191>" })
  )
})

describe("over a stream", () => {
  const texts = (...chunks: ReadonlyArray<string | Uint8Array>) => {
    const { error, messages } = decode(side, chunks)
    return [...messages.map(({ text }) => text), ...(error === undefined ? [] : [error])]
  }
  const malformed = (offset: number, reason: string) => ({ _tag: "Malformed", offset, reason })
  const noStart = "a message starts with its priority or with its length"

  it.each<readonly [string, string, ReadonlyArray<unknown>]>([
    ["a line each", "<13>a\n<13>b\r\n<13>c\n", ["a", "b", "c"]],
    ["its length before each", "5 <13>a8 <13>b\nc\n6 <13>dd", ["a", "b\nc", "dd"]],
    ["both, by turns", "<13>a\n5 <13>b<13>c\n7 <13>d\ne", ["a", "b", "c", "d\ne"]],
    ["a NUL after each, and newlines inside", "<13>a\0<13>b\nc\0<13>d\0", ["a", "b\nc", "d"]],
    ["a NUL after the first, which has several lines", "<13>a\nb\n12 c\0<13>d\ne\0", ["a", "b", "12 c", "d\ne"]],
    ["ends after lengths, and empty lines", "\n\n5 <13>a\n\0\r\n5 <13>b\n<13>c\n\n", ["a", "b", "c"]],
    ["a last line without its end", "<13>a\n<13>b", ["a", "b"]],
    ["a last line that goes on", "<13>a\n12", ["a", "12"]],
    ["nothing", "", []],
    ["lines that go on", "<11>a\n  at b\n7 <13>c\nd", ["a", "  at b", "c\nd"]],
    [
      "digits in lines that go on",
      "<11>a\n10 green bottles\n12345678901 <\n1 \n",
      ["a", "10 green bottles", "12345678901 <", "1 "]
    ],
    ["no syslog", "GET / HTTP/1.1\r\n", [malformed(0, noStart)]],
    ["no syslog after an empty line", "\nGET", [malformed(1, noStart)]],
    ["a length of what is no message", "5 hello", [malformed(0, noStart)]],
    ["a length that starts with 0", "05 <13>a", [malformed(0, noStart)]],
    ["a longer length than there is", "12345678901 <13>a", [malformed(0, noStart)]],
    ["what is no message after lengths", "5 <13>ahello\n", ["a", malformed(7, noStart)]],
    ["a wrong priority", "<192>a\n", [malformed(0, "it does not start with a priority from <0> to <191>")]],
    [
      "a wrong priority after a length",
      "<13>a\n6 <192>b",
      ["a", malformed(6, "it does not start with a priority from <0> to <191>")]
    ],
    [
      "XML, and numbers that are no priorities, in lines that go on",
      "<13>a\n<b/>\n<192>\n<>\n<1234>c\n<1",
      ["a", "<b/>", "<192>", "<>", "<1234>c", "<1"]
    ],
    [
      "an end inside a message",
      "<13>a\n9 <13>b",
      ["a", malformed(6, "the input ended inside a message (after 7 bytes of it)")]
    ],
    ["an end inside a length", "12", [malformed(0, "the input ended inside a message (after 2 bytes of it)")]]
  ])("%s", (_, input, expected) => {
    assert.deepStrictEqual(texts(input), expected)
    assert.deepStrictEqual(texts(...bytewise(input)), expected)
  })

  it("gives lines that go on a priority of their own", () => {
    const { messages } = decode(side, ["<11>app: a\n  at b\n"])
    assert.deepStrictEqual(
      messages.map(({ severity, text }) => [severity, text]),
      [
        ["err", "a"],
        ["notice", "  at b"]
      ]
    )
  })

  describe("a message that is too large", () => {
    const small = serverOf(Syslog.protocol({ maxFrameBytes: 20 }))
    it.each([
      ["its length says so", "20 <13>", { _tag: "FrameTooLarge", limitBytes: 20, offset: 0 }],
      ["it has no end", `<13>a\n<13>${"x".repeat(16)}`, { _tag: "FrameTooLarge", limitBytes: 20, offset: 6 }],
      ["it fits", `17 <13>${"x".repeat(13)}<13>${"x".repeat(15)}\n`, undefined],
      ["empty lines are none", "\n".repeat(100), undefined]
    ])("%s", (_, input, expected) => {
      assert.deepStrictEqual(decode(small, [input]).error, expected as never)
      assert.deepStrictEqual(decode(small, bytewise(input)).error, expected as never)
    })

    it("is none as a datagram, too", () => {
      assert.strictEqual(Result.isSuccess(small.datagram.decode(utf8("<13>".padEnd(20)))), true)
      assert.deepStrictEqual(
        small.datagram.decode(utf8("<13>".padEnd(21))),
        Result.fail({ _tag: "FrameTooLarge", limitBytes: 20, offset: 0 })
      )
    })
  })

  it.effect.prop(
    "reads any input the same in any chunks, and so many at a time",
    {
      input: pieces(
        ["<13>", "<13>1 - - a - - - ", "a", "\n", "\0", "\r", "5 <13>a", "9 ", "9", "<", " ", "<999>", "é"],
        14
      ),
      sizes
    },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const whole = decode(side, [input])
        assert.deepStrictEqual(decode(side, bytewise(input)), whole)
        for (const max of [1, 2, undefined]) {
          for (const ahead of [0, 2]) {
            assert.deepStrictEqual(decode(side, cut(input, sizes), { ...(max && { max }), ahead }), whole)
          }
        }
      })
  )
})

const words = (...alphabet: ReadonlyArray<string>) => Arbitrary.map(pieces(alphabet, 5), text)

const messages: Arbitrary.Arbitrary<Syslog.Message> = Arbitrary.map(
  Arbitrary.array(words("a", "1", ":", "[", "]", '"', "\\", " ", "é", "\n", "\0", "=", "-", "😀", "Nov  4 20:55:57 "), {
    minLength: 8,
    maxLength: 8
  }),
  ([host = "", app = "", procid = "", msgid = "", id = "", name = "", value = "", text = ""]) => ({
    ...base,
    rfc: text.length % 2 === 0 ? "5424" : "3164",
    facility: Syslog.facilities[host.length] as Syslog.Facility,
    severity: Syslog.severities[app.length % 8] as Syslog.Severity,
    timestamp: name.length % 2 === 0 ? undefined : "2026-11-24T20:55:57Z",
    host: host === "" ? undefined : host,
    app: app === "" ? undefined : app,
    procid: procid === "" ? undefined : procid,
    msgid: msgid === "" ? undefined : msgid,
    data: id === "" ? [] : [{ id, params: name === "" ? [] : [[name, value] as const] }],
    text
  })
)

describe("what a client writes", () => {
  it.effect.prop(
    "arrives as it was, over streams and as datagrams, or is refused",
    { sent: many(messages), sizes },
    ({ sent, sizes }) =>
      Effect.sync(() => {
        const wire: Array<string | Uint8Array> = []
        const expected: Array<Syslog.Message> = []
        for (const message of sent) {
          const encoded = protocol.client.encode(message)
          const datagram = protocol.client.datagram.encode(message)
          assert.strictEqual(encoded instanceof Protocol.Unencodable, datagram instanceof Protocol.Unencodable)
          if (encoded instanceof Protocol.Unencodable) continue
          wire.push(encoded)
          expected.push(message)
          assert.deepStrictEqual(of(datagram as Uint8Array), Result.succeed(message))
        }
        const { error, messages } = decode(side, cut(join(wire), sizes))
        assert.deepStrictEqual({ error, messages }, { error: undefined, messages: expected })
      })
  )

  const written = (message: Partial<Syslog.Message>) => {
    const encoded = protocol.client.encode({ ...base, ...message })
    return encoded instanceof Protocol.Unencodable ? encoded.problem : text(encoded as Uint8Array)
  }

  it.each<readonly [Partial<Syslog.Message>, string]>([
    [{ text: "a\nb" }, "7 <13>a\nb"],
    [{ app: "a", procid: "7", text: "b" }, "11 <13>a[7]: b"],
    [{ timestamp: "Nov  4 20:55:57", host: "vm", app: "a", text: "b" }, "27 <13>Nov  4 20:55:57 vm a: b"],
    [{ rfc, facility: "local7", severity: "debug" }, "18 <191>1 - - - - - -"],
    [
      { rfc, app: "a", data: [{ id: "x", params: [["y", 'a"]\\']] }], text: "b" },
      '33 <13>1 - - a - - [x y="a\\"\\]\\\\"] b'
    ],
    [{ text: "ends with a newline\n" }, "its text would not arrive as it is"],
    [{ text: "a: b" }, "its app would not arrive as it is"],
    [{ host: "vm", text: "without a time" }, "its host would not arrive as it is"],
    [{ msgid: "ID" }, "its msgid would not arrive as it is"],
    [{ rfc, host: "two words" }, "its host would not arrive as it is"],
    [{ rfc, data: [{ id: "x", params: [["a b", ""]] }] }, "its rfc would not arrive as it is"],
    [{ text: "\ud800" }, "it has a lone surrogate, which UTF-8 cannot express"],
    [{ facility: "none" as never }, "its facility or its severity has no number"]
  ])("%j is %s", (message, expected) => {
    assert.strictEqual(written(message), expected)
  })

  it("has a mark before a text that is not ASCII", () => {
    const marked = protocol.client.datagram.encode({ ...base, rfc, text: "é" }) as Uint8Array
    assert.deepStrictEqual(marked.slice(-5), Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0xa9))
  })
})

describe("hostile input", () => {
  const size = 60_000
  const evil = [
    '<13>1 - - a - - [x y="'.padEnd(size, "\\"),
    '<13>1 - - a - - [x y="'.padEnd(size, "]"),
    "<13>1 - - a - - ".padEnd(size, "["),
    "<13>1 - - a - - [".padEnd(size, " "),
    "<13>1 - - a - - [x ".padEnd(size, "y="),
    `<13>1 - - a - - ${'[x y="z"]'.repeat(6_600)}`,
    "<13>1 - ".padEnd(size, "h"),
    "<13>".padEnd(size, " "),
    "<13>1".padEnd(size, " "),
    "<13>Nov  4 20:55:57 ".padEnd(size, " "),
    "<13>Nov  4 20:55:57 ".padEnd(size, "a"),
    "<13>".padEnd(size, "a["),
    "<13>".padEnd(size, "a:"),
    "<13>".padEnd(size, "\n\0"),
    "<13>1 - - a - - - ".padEnd(size / 3, "\ufeff"),
    "<13>".padEnd(size / 2, "é")
  ]

  // Where it is the square of the size, one of them takes half a second.
  it("costs what any other input of its size costs", () => {
    const start = process.cpuUsage()
    for (let times = 0; times < 10; times++) {
      for (const input of evil) assert.isTrue(Result.isSuccess(of(input)))
    }
    assert.isBelow(cpuSince(start), 3_000)
  })

  it("is copied and looked at a constant number of times where it comes byte by byte", () => {
    const start = process.cpuUsage()
    for (const input of [
      `59999 ${evil[0]?.slice(0, 59_999)}`,
      `${evil[7]}\n`,
      `<13>a\n${"1".repeat(60_000)}\n`,
      "<13>a\n".repeat(5_000),
      "5 <13>a".repeat(5_000)
    ]) {
      let found = 0
      const bytes = bytewise(utf8(input))
      const total = copied(() => (found = decode(side, bytes).messages.length))
      assert.isAtLeast(found, 1)
      assert.isAtMost(total, bytes.length * 4)
      for (let times = 0; times < 2; times++) decode(side, bytes)
    }
    // Looked at from its start for each byte, it takes that for one of them.
    assert.isBelow(cpuSince(start), 3_000)
  })

  it("alternates its framing at no cost", () => {
    const input = utf8("5 <13>a<13>b\0".repeat(5_000))
    const start = process.cpuUsage()
    for (let times = 0; times < 10; times++) assert.lengthOf(decode(side, cut(input, [65_536])).messages, 10_000)
    assert.isBelow(cpuSince(start), 3_000)
  })
})

describe("when a message was said", () => {
  const local = (...at: readonly [number, number, number, number, number, number]) => new Date(...at).getTime()
  it.each([
    ["2026-11-24T20:55:57.449371+01:00", 0, Date.UTC(2026, 10, 24, 19, 55, 57, 449)],
    ["2026-13-24T20:55:57Z", 0, undefined],
    ["Nov  4 20:55:57", local(2026, 10, 4, 21, 0, 0), local(2026, 10, 4, 20, 55, 57)],
    ["Dec 31 23:59:59", local(2026, 0, 1, 0, 0, 1), local(2025, 11, 31, 23, 59, 59)],
    ["Jan  1 00:00:01", local(2025, 11, 31, 23, 59, 59), local(2026, 0, 1, 0, 0, 1)],
    [undefined, 0, undefined]
  ])("%s", (timestamp, receivedAt, expected) => {
    assert.strictEqual(Syslog.millisOf({ timestamp }, receivedAt), expected)
  })
})

it("says at the start what is wrong with its options", () => {
  assert.strictEqual(Syslog.protocol({ maxFrameBytes: 0 }).problem, "maxFrameBytes must be a positive integer, not 0")
})
