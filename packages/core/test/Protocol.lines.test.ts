import { assert, describe, it } from "@effect/vitest"
import { Outcome, Protocol } from "@socketserver/core"
import * as Effect from "effect/Effect"
import { bytewise, copied, cut, decode, join, line, many, pieces, serverOf, sizes, utf8 } from "./support/decoding.ts"

const lines = serverOf(Protocol.lines())

describe("Protocol.lines", () => {
  for (const terminator of ["\n", "\r\n"] as const) {
    for (const unterminated of ["emit", "malformed"] as const) {
      const protocol = Protocol.lines({ terminator, unterminated })
      const name = JSON.stringify({ terminator, unterminated })
      it.effect.prop(
        `decodes what it encoded, in any chunks: ${name}`,
        { sent: many(line), sizes },
        ({ sent, sizes }) =>
          Effect.sync(() => {
            // A line that cannot be told from another must not be sent: see "refuses to send".
            const encodable = sent.filter((line) => !line.endsWith("\r"))
            for (const side of [serverOf(protocol), protocol.client]) {
              const input = join(encodable.map((line) => side.encode(line) as string))
              const { error, messages } = decode(side, cut(input, sizes))
              assert.deepStrictEqual({ error, messages }, { error: undefined, messages: encodable })
            }
          })
      )
    }
  }

  const faulty = ["a", "é", "😀", "\n", "\n", "\r", "\r\n", "bcd", Uint8Array.of(0xff), Uint8Array.of(0xc3)]
  for (const options of [{}, { maxFrameBytes: 4 }, { maxFrameBytes: 1 }, { unterminated: "malformed" as const }]) {
    it.effect.prop(
      `decodes any input the same in any chunks: ${JSON.stringify(options)}`,
      { input: pieces(faulty, 20), sizes },
      ({ input, sizes }) =>
        Effect.sync(() => {
          const codec = serverOf(Protocol.lines(options))
          const whole = decode(codec, [input])
          assert.deepStrictEqual(decode(codec, cut(input, sizes)), whole)
          assert.deepStrictEqual(decode(codec, bytewise(input)), whole)
        })
    )
  }

  it("keeps a character whole whose bytes come in pieces", () => {
    assert.deepStrictEqual(decode(lines, bytewise("€😀\né\n")).messages, ["€😀", "é"])
  })

  it("reads both line ends, also one that is split", () => {
    assert.deepStrictEqual(decode(lines, ["a\r", "\nb", "\n", "c\r\n"]).messages, ["a", "b", "c"])
  })

  it("keeps a carriage return that ends no line", () => {
    assert.deepStrictEqual(decode(lines, ["a\rb\n", "\rc\r\n"]).messages, ["a\rb", "\rc"])
  })

  it("refuses a line that ends with a carriage return before its own end, which could not be sent back", () => {
    for (const input of [["fine\nab\r\r\n"], bytewise("fine\nab\r\r\n"), ["fine\nab\r\r"]]) {
      const { error, messages } = decode(lines, input)
      assert.deepStrictEqual(messages, ["fine"])
      assert.deepStrictEqual(error, Outcome.malformed(5, "the line ends with a carriage return before its own end"))
    }
    for (const terminator of ["\n", "\r\n"] as const) {
      assert.instanceOf(Protocol.lines({ terminator }).client.encode("ab\r"), Protocol.Unencodable)
    }
  })

  it("reads empty lines as requests", () => {
    assert.deepStrictEqual(decode(lines, ["\n\r\n\n", "\n"]).messages, ["", "", "", ""])
  })

  it("keeps a byte order mark", () => {
    assert.deepStrictEqual(decode(lines, ["\ufeffa\n"]).messages, ["\ufeffa"])
  })

  it("waits for less than a line, takes exactly one, and keeps what is more", () => {
    const decoder = lines.decoder()
    const out: Array<string> = []
    const push = (chunk: string) => {
      out.length = 0
      assert.isUndefined(decoder.push(utf8(chunk), out))
      return [...out]
    }
    assert.deepStrictEqual(push("ab"), [])
    assert.deepStrictEqual(push("c\n"), ["abc"])
    assert.deepStrictEqual(push("d\ne\nf"), ["d", "e"])
    assert.deepStrictEqual(push("g\n"), ["fg"])
  })

  it("knows where each line starts", () => {
    const input = "a\r\n\né€\nlast"
    assert.deepStrictEqual(decode(lines, [input]).offsets, [0, 3, 4, 10])
    assert.deepStrictEqual(decode(lines, bytewise(input)).offsets, [0, 3, 4, 10])
  })

  describe("at the end of the input", () => {
    it("emits an unterminated line by default, as Python does", () => {
      assert.deepStrictEqual(decode(lines, ["a\nb"]), { messages: ["a", "b"], error: undefined, offsets: [0, 2] })
    })

    it("refuses an unterminated line on request, and says where and how long it is", () => {
      assert.deepStrictEqual(decode(serverOf(Protocol.lines({ unterminated: "malformed" })), ["a\nbcd"]), {
        messages: ["a"],
        error: Outcome.malformed(2, "the input ended inside a line (3 bytes without a newline)"),
        offsets: [0]
      })
    })

    it("has nothing to say when the last line is complete", () => {
      for (const unterminated of ["emit", "malformed"] as const) {
        assert.deepStrictEqual(decode(serverOf(Protocol.lines({ unterminated })), ["a\n"]).messages, ["a"])
        assert.deepStrictEqual(decode(serverOf(Protocol.lines({ unterminated })), []).messages, [])
      }
    })

    it("refuses a last line that is cut inside a character", () => {
      assert.deepStrictEqual(decode(lines, ["ok\na", utf8("€").subarray(0, 2)]), {
        messages: ["ok"],
        error: Outcome.malformed(3, "the line is not valid UTF-8"),
        offsets: [0]
      })
    })
  })

  it("names the line that is not UTF-8, and lets those before it stand", () => {
    const input = join(["one\n", "zwei é\r\n", "\n", Uint8Array.of(97, 0xff), "\nlater\n"])
    const expected = {
      messages: ["one", "zwei é", ""],
      error: Outcome.malformed(4 + 9 + 1, "the line is not valid UTF-8"),
      offsets: [0, 4, 13]
    }
    assert.deepStrictEqual(decode(lines, [input]), expected)
    assert.deepStrictEqual(decode(lines, bytewise(input)), expected)
  })

  describe("the limit", () => {
    const limited = serverOf(Protocol.lines({ maxFrameBytes: 6 }))

    it("lets a line of exactly that many bytes pass, in any chunks", () => {
      for (const input of ["€€\n€€\n", "123456\n\n€123\n123456"]) {
        const expected = input.split("\n").filter((line, i, all) => line !== "" || i < all.length - 1)
        assert.deepStrictEqual(decode(limited, [input]).messages, expected)
        assert.deepStrictEqual(decode(limited, bytewise(input)).messages, expected)
      }
    })

    it("refuses a line of one byte more, and says where it starts", () => {
      for (const input of ["ab\n1234567\ncd\n", "ab\n€€a\n", "ab\n1234567"]) {
        const expected = { messages: ["ab"], error: Outcome.frameTooLarge(6, 3), offsets: [0] }
        assert.deepStrictEqual(decode(limited, [input]), expected)
        assert.deepStrictEqual(decode(limited, bytewise(input)), expected)
      }
    })

    it("refuses a line before its end has come", () => {
      assert.deepStrictEqual(decode(limited, ["ab\n123", "4567"], { open: true }).error, Outcome.frameTooLarge(6, 3))
    })

    it("does not count the line's end, of either form", () => {
      for (const input of ["123456\n123456\n", "123456\r\n123456\r\n"]) {
        const expected = { messages: ["123456", "123456"], error: undefined }
        for (const chunks of [[input], bytewise(input)]) {
          const { error, messages } = decode(limited, chunks)
          assert.deepStrictEqual({ error, messages }, expected)
        }
      }
    })

    it("is 64 KiB unless it is given", () => {
      const line = "x".repeat(Protocol.defaultMaxFrameBytes)
      assert.deepStrictEqual(decode(lines, [`${line}\n`]).messages, [line])
      assert.deepStrictEqual(decode(lines, [`${line}x\n`]).error, Outcome.frameTooLarge(65_536, 0))
    })

    it("is a positive integer", () => {
      for (const maxFrameBytes of [0, -1, 1.5, NaN, Infinity]) {
        const { problem } = Protocol.lines({ maxFrameBytes })
        assert.strictEqual(problem, `maxFrameBytes must be a positive integer, not ${maxFrameBytes}`)
      }
    })
  })

  it("copies little of a line that comes byte by byte", () => {
    const input = bytewise("x".repeat(65_535) + "\n")
    assert.isBelow(
      copied(() => void decode(lines, input)),
      8 * 65_536
    )
  })

  describe("refuses to send", () => {
    const problem = (line: string, options?: Protocol.LinesOptions) => {
      const encoded = Protocol.lines(options).client.encode(line)
      return encoded instanceof Protocol.Unencodable ? encoded.problem : `sent as ${JSON.stringify(encoded)}`
    }

    it("a line with a newline in it", () => {
      const says = "a line cannot contain a newline or end with a carriage return"
      assert.strictEqual(problem("ab\ncd"), says)
      assert.strictEqual(problem("ab\n", { terminator: "\r\n" }), says)
    })

    // "a\r" + "\n" is read as "a": the message would change on the way without anyone being told.
    it("a line whose last character would be read as part of the line's end", () => {
      assert.notMatch(problem("ab\r"), /^sent as/)
    })
  })
})
