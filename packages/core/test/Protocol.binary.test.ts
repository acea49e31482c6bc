import { assert, describe, it } from "@effect/vitest"
import { Outcome, Protocol } from "@socketserver/core"
import * as Effect from "effect/Effect"
import { bytewise, cut, decode, join, many, noise, pieces, serverOf, sizes, text, utf8 } from "./support/decoding.ts"

/** Bytes that make plausible headers: mostly zero, or small. */
const small = pieces(
  [Uint8Array.of(0), Uint8Array.of(0, 0, 0), Uint8Array.of(3), Uint8Array.of(9), Uint8Array.of(255), "ab"],
  40
)

type Bytes = Protocol.Protocol<Uint8Array, Uint8Array>

/** Messages that a protocol can express come back, on both sides and in any chunks. */
const roundTrips = (title: string, protocol: Bytes, message = noise) =>
  it.effect.prop(
    `decodes what it encoded, in any chunks: ${title}`,
    { sent: many(message), sizes },
    ({ sent, sizes }) =>
      Effect.sync(() => {
        for (const side of [serverOf(protocol), protocol.client]) {
          const wire: Array<string | Uint8Array> = []
          const expected: Array<Uint8Array> = []
          for (const message of sent) {
            const encoded = side.encode(message)
            if (encoded instanceof Protocol.Unencodable) continue
            wire.push(encoded)
            expected.push(message)
          }
          const { error, messages } = decode(side, cut(join(wire), sizes))
          assert.deepStrictEqual({ error, messages }, { error: undefined, messages: expected })
        }
      })
  )

/** What is decoded does not depend on how the input was cut, also where it is wrong. */
const anyChunks = (title: string, protocol: Bytes, input = noise) =>
  it.effect.prop(`decodes any input the same in any chunks: ${title}`, { input, sizes }, ({ input, sizes }) =>
    Effect.sync(() => {
      const codec = serverOf(protocol)
      const whole = decode(codec, [input])
      assert.deepStrictEqual(decode(codec, cut(input, sizes)), whole)
      assert.deepStrictEqual(decode(codec, bytewise(input)), whole)
    })
  )

const problem = (protocol: Bytes, message: string) => {
  const encoded = protocol.client.encode(utf8(message))
  return encoded instanceof Protocol.Unencodable
    ? encoded.problem
    : `sent as ${JSON.stringify(text(encoded as Uint8Array))}`
}

const texts = (decoded: { readonly messages: ReadonlyArray<Uint8Array>; readonly error: unknown }) => ({
  messages: decoded.messages.map(text),
  error: decoded.error
})

describe("Protocol.bytes", () => {
  it("makes each chunk a request, where it starts", () => {
    const decoded = decode(serverOf(Protocol.bytes()), ["ab", "c", "def"])
    assert.deepStrictEqual(texts(decoded), { messages: ["ab", "c", "def"], error: undefined })
    assert.deepStrictEqual(decoded.offsets, [0, 2, 3])
  })

  it.effect.prop("passes bytes on as they are", { input: noise, sizes }, ({ input, sizes }) =>
    Effect.sync(() => {
      for (const side of [serverOf(Protocol.bytes()), Protocol.bytes().client]) {
        const chunks = cut(input, sizes).map((chunk) => side.encode(chunk) as Uint8Array)
        assert.deepStrictEqual(join(decode(side, chunks).messages), input)
      }
    })
  )
})

describe("Protocol.delimited", () => {
  const letters = (mark: string) => pieces(["a", "é", ...mark, mark.slice(0, -1), Uint8Array.of(0)], 8)
  for (const mark of [";", "\r\n", "--=", "\n\n", "abab", "€"]) {
    const protocol = Protocol.delimited(mark)
    roundTrips(JSON.stringify(mark), protocol, letters(mark))
    anyChunks(JSON.stringify(mark), protocol, pieces(["a", mark, ...mark, mark.slice(0, -1)], 20))
    anyChunks(`${JSON.stringify(mark)}, limited`, Protocol.delimited(mark, { maxFrameBytes: 5 }), letters(mark))
  }
  roundTrips(
    "bytes",
    Protocol.delimited(Uint8Array.of(0, 255, 0)),
    pieces([Uint8Array.of(0), Uint8Array.of(255), "a"], 9)
  )

  const protocol = Protocol.delimited("\r\n")
  const codec = serverOf(protocol)

  it("finds a delimiter that is split, also after a false start", () => {
    assert.deepStrictEqual(texts(decode(codec, ["a\r", "\nb\r", "\r", "\n"])).messages, ["a", "b\r"])
  })

  it("reads empty messages", () => {
    assert.deepStrictEqual(texts(decode(codec, ["\r\n\r", "\n"])).messages, ["", ""])
  })

  it("refuses what follows the last delimiter at the end", () => {
    const error = Outcome.malformed(4, "the input ended inside a frame (after 3 bytes of it)")
    assert.deepStrictEqual(texts(decode(codec, ["ab\r\ncd\r"])), { messages: ["ab"], error })
    assert.deepStrictEqual(texts(decode(codec, bytewise("ab\r\ncd\r"))), { messages: ["ab"], error })
  })

  it("counts the delimiter towards the limit: exactly that many bytes pass, one more does not", () => {
    const limited = serverOf(Protocol.delimited("\r\n", { maxFrameBytes: 6 }))
    for (const chunked of [(input: string) => [input], bytewise]) {
      assert.deepStrictEqual(texts(decode(limited, chunked("abcd\r\nefgh\r\n"))).messages, ["abcd", "efgh"])
      assert.deepStrictEqual(texts(decode(limited, chunked("abcd\r\nefghi\r\n"))), {
        messages: ["abcd"],
        error: Outcome.frameTooLarge(6, 6)
      })
      assert.deepStrictEqual(decode(limited, chunked("abcdef"), { open: true }).error, Outcome.frameTooLarge(6, 0))
    }
  })

  it("needs a delimiter", () => {
    assert.strictEqual(Protocol.delimited("").problem, "the delimiter is empty; give it one byte at least")
  })

  it("refuses to send the delimiter within a message, and says where it is", () => {
    assert.strictEqual(problem(protocol, "ab\r\ncd"), "a message cannot contain the delimiter (byte 2)")
  })

  // "a\n" + "\n\n" is read as "a", and its last "\n" becomes the first byte of the next message.
  it("refuses to send a message whose end would begin a delimiter", () => {
    assert.notMatch(problem(Protocol.delimited("\n\n"), "a\n"), /^sent as/)
  })
})

describe("Protocol.lengthPrefixed", () => {
  for (const lengthBytes of [1, 2, 4, 8] as const) {
    for (const endian of ["big", "little"] as const) {
      const variants = [
        {},
        { lengthOffset: 2 },
        { lengthAdjustment: -lengthBytes },
        { lengthOffset: 1, lengthAdjustment: 3 }
      ]
      for (const variant of variants) {
        const options = { lengthBytes, endian, ...variant }
        roundTrips(JSON.stringify(options), Protocol.lengthPrefixed(options))
        anyChunks(JSON.stringify(options), Protocol.lengthPrefixed({ ...options, maxFrameBytes: 40 }), small)
      }
    }
  }

  it("writes the length in its width and byte order", () => {
    const bytes = (options: Protocol.LengthPrefixedOptions) => [
      ...(Protocol.lengthPrefixed(options).client.encode(utf8("ab")) as Uint8Array)
    ]
    assert.deepStrictEqual(bytes({}), [0, 0, 0, 2, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 1 }), [2, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 2, endian: "little" }), [2, 0, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 8 }), [0, 0, 0, 0, 0, 0, 0, 2, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 8, endian: "little" }), [2, 0, 0, 0, 0, 0, 0, 0, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 2, lengthAdjustment: -2 }), [0, 4, 97, 98])
    assert.deepStrictEqual(bytes({ lengthBytes: 2, lengthOffset: 1 }), [97, 0, 1, 98])
  })

  const framed = (length: number, body: string) => join([Uint8Array.of(length >> 8, length & 255), body])
  const two = serverOf(Protocol.lengthPrefixed({ lengthBytes: 2, maxFrameBytes: 6 }))

  it("waits for less than a frame, takes exactly one, and keeps what is more", () => {
    const chunks = [
      Uint8Array.of(0),
      Uint8Array.of(2),
      "ab",
      join([framed(0, ""), framed(1, "c"), Uint8Array.of(0, 2)]),
      "de"
    ]
    const decoded = decode(two, chunks)
    assert.deepStrictEqual(texts(decoded), { messages: ["ab", "", "c", "de"], error: undefined })
    assert.deepStrictEqual(decoded.offsets, [0, 4, 6, 9])
  })

  it("counts the header towards the limit: exactly that many bytes pass, one more does not", () => {
    for (const chunked of [(input: Uint8Array) => [input], bytewise]) {
      assert.deepStrictEqual(texts(decode(two, chunked(framed(4, "abcd")))).messages, ["abcd"])
      assert.deepStrictEqual(texts(decode(two, chunked(join([framed(1, "a"), framed(5, "abcde")])))), {
        messages: ["a"],
        error: Outcome.frameTooLarge(6, 3)
      })
    }
  })

  it("refuses an announced frame that is too large as soon as its header is there", () => {
    const decoder = two.decoder()
    assert.isUndefined(decoder.push(Uint8Array.of(255), []))
    assert.deepStrictEqual(decoder.push(Uint8Array.of(255), []), Outcome.frameTooLarge(6, 0))
  })

  it("refuses a length of eight bytes beyond what a number can hold", () => {
    const eight = serverOf(Protocol.lengthPrefixed({ lengthBytes: 8 }))
    for (const header of [
      [255, 255, 255, 255, 255, 255, 255, 255],
      [0, 32, 0, 0, 0, 0, 0, 1],
      [0, 0, 0, 1, 0, 0, 0, 1]
    ]) {
      const input = join(["\0\0\0\0\0\0\0\x01a", Uint8Array.from(header)])
      assert.deepStrictEqual(texts(decode(eight, [input], { open: true })), {
        messages: ["a"],
        error: Outcome.frameTooLarge(65_536, 9)
      })
    }
  })

  it("refuses a length that its adjustment makes negative", () => {
    const self = serverOf(Protocol.lengthPrefixed({ lengthBytes: 2, lengthAdjustment: -2 }))
    const input = join([framed(3, "a"), framed(2, ""), framed(1, "a")])
    assert.deepStrictEqual(texts(decode(self, [input])), {
      messages: ["a", ""],
      error: Outcome.malformed(5, "the length field says 1, which leaves -1 bytes")
    })
  })

  it("keeps the header before the length field in the message", () => {
    const tagged = serverOf(Protocol.lengthPrefixed({ lengthBytes: 2, lengthOffset: 2 }))
    assert.deepStrictEqual(texts(decode(tagged, bytewise("T1\0\x03abcT2\0\0"))).messages, ["T1abc", "T2"])
  })

  it("refuses a frame that the end of the input cuts short, in its header or after", () => {
    for (const [rest, size] of [
      ["\0", 1],
      ["\0\x03", 2],
      ["\0\x03ab", 4]
    ] as const) {
      assert.deepStrictEqual(texts(decode(two, ["\0\x01a", rest])), {
        messages: ["a"],
        error: Outcome.malformed(3, `the input ended inside a frame (after ${size} bytes of it)`)
      })
    }
  })

  it("refuses to send what its length field cannot say", () => {
    assert.strictEqual(
      problem(Protocol.lengthPrefixed({ lengthBytes: 1 }), "x".repeat(256)),
      "256 does not fit a length field of 1 bytes"
    )
    assert.notMatch(problem(Protocol.lengthPrefixed({ lengthBytes: 1 }), ""), /does not fit/)
    assert.strictEqual(
      problem(Protocol.lengthPrefixed({ lengthBytes: 1, lengthAdjustment: 3 }), "ab"),
      "-1 does not fit a length field of 1 bytes"
    )
    assert.strictEqual(
      problem(Protocol.lengthPrefixed({ lengthOffset: 3 }), "ab"),
      "a message starts with 3 bytes of header, this has 2"
    )
  })
})

describe("Protocol.fixed", () => {
  roundTrips("3 bytes", Protocol.fixed(3))
  anyChunks("3 bytes", Protocol.fixed(3))
  const three = serverOf(Protocol.fixed(3))

  it("cuts the input into messages of one size", () => {
    assert.deepStrictEqual(texts(decode(three, ["ab", "cdefg", "hi"])).messages, ["abc", "def", "ghi"])
  })

  it("refuses a shorter last message", () => {
    const error = Outcome.malformed(3, "the input ended inside a frame (after 2 bytes of it)")
    assert.deepStrictEqual(texts(decode(three, ["abcde"])), { messages: ["abc"], error })
  })

  it("refuses to send a message of another size", () => {
    assert.strictEqual(problem(Protocol.fixed(3), "abcd"), "a message has 3 bytes, not 4")
    assert.strictEqual(problem(Protocol.fixed(3), ""), "a message has 3 bytes, not 0")
  })

  it("has a positive size", () => {
    for (const size of [0, -1, 0.5, NaN]) {
      assert.strictEqual(Protocol.fixed(size).problem, `the size must be a positive integer, not ${size}`)
    }
  })
})
