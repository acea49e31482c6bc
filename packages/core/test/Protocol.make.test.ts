import { assert, describe, it } from "@effect/vitest"
import { Outcome, Protocol } from "@socketserver/core"
import * as Effect from "effect/Effect"
import {
  bytewise,
  copied,
  cut,
  decode,
  join,
  line,
  many,
  pieces,
  serverOf,
  sizes,
  text,
  utf8
} from "./support/decoding.ts"

/** https://cr.yp.to/proto/netstrings.txt: "5:hello," */
const netstrings = (options?: Protocol.FramingOptions) =>
  Protocol.make<string>({
    name: "netstring",
    ...options,
    decode: (input) => {
      const colon = input.subarray(0, 6).indexOf(58)
      if (colon === -1)
        return input.length >= 6 ? Protocol.malformed("the length has more than 5 digits") : Protocol.more()
      const digits = text(input.subarray(0, colon))
      if (!/^(0|[1-9]\d*)$/.test(digits)) return Protocol.malformed(`"${digits}" is not a length`)
      const end = colon + 1 + Number(digits)
      if (input.length <= end) return Protocol.more(end + 1)
      if (input[end] !== 44) return Protocol.malformed("no comma at the end")
      return Protocol.frame(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(input.subarray(colon + 1, end)),
        end + 1
      )
    },
    encode: (text) => `${utf8(text).length}:${text},`
  })

/** Says of each step what it saw. */
const spying = (decode: Protocol.MessageFormat<string>["decode"], maxFrameBytes?: number) => {
  const steps: Array<readonly [input: string, seen: number]> = []
  const protocol = Protocol.make<string>({
    name: "spying",
    maxFrameBytes,
    decode: (input, seen) => {
      steps.push([text(input), seen])
      return decode(input, seen, undefined)
    },
    encode: (message) => message
  })
  return { steps, codec: serverOf(protocol) }
}

describe("Protocol.make", () => {
  const netstring = netstrings()

  it.effect.prop("decodes what it encoded, in any chunks", { sent: many(line), sizes }, ({ sent, sizes }) =>
    Effect.sync(() => {
      for (const side of [serverOf(netstring), netstring.client]) {
        const input = join(sent.map((message) => side.encode(message) as string))
        const { error, messages } = decode(side, cut(input, sizes))
        assert.deepStrictEqual({ error, messages }, { error: undefined, messages: sent })
      }
    })
  )

  it.effect.prop(
    "decodes any input the same in any chunks",
    { input: pieces(["0:,", "3:abc,", "2:é,", "1", "12", ":", ",", "x"], 12), sizes },
    ({ input, sizes }) =>
      Effect.sync(() => {
        const codec = serverOf(netstrings({ maxFrameBytes: 64 }))
        const whole = decode(codec, [input])
        assert.deepStrictEqual(decode(codec, cut(input, sizes)), whole)
        assert.deepStrictEqual(decode(codec, bytewise(input)), whole)
      })
  )

  it("passes the decoder's own reason on, with the place of the frame, and lets earlier messages stand", () => {
    for (const chunks of [["2:é,3:abcd,1:x,"], bytewise("2:é,3:abcd,1:x,")]) {
      assert.deepStrictEqual(decode(serverOf(netstring), chunks), {
        messages: ["é"],
        error: Outcome.malformed(5, "no comma at the end"),
        offsets: [0]
      })
    }
  })

  it("refuses a frame that the end of the input cuts short", () => {
    assert.deepStrictEqual(
      decode(serverOf(netstring), ["1:a,3:ab"]).error,
      Outcome.malformed(4, "the input ended inside a frame (after 4 bytes of it)")
    )
  })

  it("reads requests and responses in formats of their own", () => {
    const digit = (of: string): Protocol.MessageFormat<number> => ({
      decode: (input) => Protocol.frame(text(input.subarray(0, 1)).charCodeAt(0) - of.charCodeAt(0), 1),
      encode: (n) => String.fromCharCode(of.charCodeAt(0) + n)
    })
    const protocol = Protocol.make<number, number>({ name: "digits", request: digit("0"), response: digit("a") })
    assert.deepStrictEqual(decode(serverOf(protocol), ["012"]).messages, [0, 1, 2])
    assert.strictEqual(serverOf(protocol).encode(2), "c")
    assert.strictEqual(protocol.client.encode(2), "2")
    assert.deepStrictEqual(decode(protocol.client, ["cba"]).messages, [2, 1, 0])
  })

  describe("steps", () => {
    const three: Protocol.MessageFormat<string>["decode"] = (input) =>
      input.length < 3 ? Protocol.more(3) : Protocol.frame(text(input.subarray(0, 3)), 3)

    it("see the input from the start of a frame on, once for each frame and once for the rest", () => {
      const { codec, steps } = spying(three)
      decode(codec, ["abcdefg", "hijk"])
      assert.deepStrictEqual(steps, [
        ["abcdefg", 0],
        ["defg", 0],
        ["g", 0],
        ["ghijk", 1],
        ["jk", 0]
      ])
    })

    it("are not asked again before what they need is there", () => {
      const { codec, steps } = spying((input) =>
        input.length < 60_000 ? Protocol.more(60_000) : Protocol.frame("", 60_000)
      )
      assert.deepStrictEqual(decode(codec, bytewise("x".repeat(60_000))).messages, [""])
      assert.strictEqual(steps.length, 2)
    })

    it("are asked once for each chunk when they cannot say what they need, and learn what they have seen", () => {
      const { codec, steps } = spying((input, seen) => {
        const at = input.indexOf(10, seen)
        return at === -1 ? Protocol.more() : Protocol.frame("", at + 1)
      })
      decode(codec, [..."abc", "\nd", "e\n"])
      assert.deepStrictEqual(
        steps.map(([input, seen]) => [input.length, seen]),
        [
          [1, 0],
          [2, 1],
          [3, 2],
          [5, 3],
          [1, 0],
          [3, 1]
        ]
      )
    })

    it("are not called for an empty chunk", () => {
      const { codec, steps } = spying(three)
      assert.deepStrictEqual(decode(codec, ["", "abc", ""]), { messages: ["abc"], error: undefined, offsets: [0] })
      assert.strictEqual(steps.length, 1)
    })
  })

  // A frame of n bytes that comes byte by byte must not cost n² bytes of copying: that is 2 GiB for one of 64 KiB.
  it.each([
    ["a decoder that cannot say what it needs", Protocol.more()],
    ["a decoder that needs one byte more", undefined]
  ])("copies little of a frame that comes byte by byte, for %s", (_, more) => {
    const { codec, steps } = spying((input) =>
      input.length < 8_192 ? (more ?? Protocol.more(input.length + 1)) : Protocol.frame("", 8_192)
    )
    const input = bytewise("x".repeat(8_192))
    assert.isBelow(
      copied(() => void decode(codec, input)),
      8 * 8_192
    )
    assert.strictEqual(steps.length, 8_192)
  })

  it("copies little of a delimited message that comes byte by byte", () => {
    const input = bytewise("x".repeat(8_191) + ";")
    assert.isBelow(
      copied(() => void decode(serverOf(Protocol.delimited(";")), input)),
      8 * 8_192
    )
  })

  describe("the limit", () => {
    const limited = serverOf(netstrings({ maxFrameBytes: 8 }))

    it("counts the whole frame: exactly that many bytes pass, one more does not", () => {
      for (const chunked of [(input: string) => [input], bytewise]) {
        assert.deepStrictEqual(decode(limited, chunked("5:abcde,5:abcde,")).messages, ["abcde", "abcde"])
        assert.deepStrictEqual(decode(limited, chunked("5:abcde,6:abcdef,")), {
          messages: ["abcde"],
          error: Outcome.frameTooLarge(8, 8),
          offsets: [0]
        })
      }
    })

    // What a step may see must not depend on how much happened to arrive at once.
    it("says the same of a faulty frame over the limit, whether it comes whole or in pieces", () => {
      const input = "1:a,10:abcdefghij!"
      const expected = { messages: ["a"], error: Outcome.frameTooLarge(8, 4), offsets: [0] }
      assert.deepStrictEqual(decode(limited, bytewise(input)), expected)
      assert.deepStrictEqual(decode(limited, [input]), expected)
    })

    it("refuses what is announced and too large, before it comes", () => {
      const { codec, steps } = spying(() => Protocol.more(9), 8)
      assert.deepStrictEqual(decode(codec, ["a"], { open: true }).error, Outcome.frameTooLarge(8, 0))
      assert.strictEqual(steps.length, 1)
    })

    it("holds for a decoder that never finds a frame, whatever it says that it needs", () => {
      for (const needed of [undefined, 0, 1, -5, NaN]) {
        const { codec } = spying(() => Protocol.more(needed), 8)
        const error = decode(codec, bytewise("x".repeat(100)), { open: true }).error
        assert.deepStrictEqual(error, Outcome.frameTooLarge(8, 0), `needed: ${needed}`)
      }
    })
  })

  it("refuses the frame of a decoder that claims a size that cannot be", () => {
    for (const size of [0, -1, 4, 1.5, NaN]) {
      const { codec } = spying((input) => (input[0] === 33 ? Protocol.frame("!", size) : Protocol.frame("ok", 1)))
      assert.deepStrictEqual(decode(codec, ["a!b"], { open: true }), {
        messages: ["ok"],
        error: Outcome.malformed(1, `the decoder claims a frame of ${size} of 2 bytes`),
        offsets: [0]
      })
    }
  })

  it("refuses the frame of a decoder that claims more than the limit", () => {
    const { codec } = spying(() => Protocol.frame("", 9), 8)
    assert.deepStrictEqual(decode(codec, ["abc"], { open: true }).error, Outcome.frameTooLarge(8, 0))
  })

  it("gives frames memory that later input does not change", () => {
    const protocol = Protocol.make<Uint8Array>({
      name: "two",
      decode: (input) => (input.length < 2 ? Protocol.more(2) : Protocol.frame(input.subarray(0, 2), 2)),
      encode: (message) => message
    })
    const { messages } = decode(serverOf(protocol), ["a", "b", "c", "defg", "h", "i"], { open: true })
    assert.deepStrictEqual(messages.map(text), ["ab", "cd", "ef", "gh"])
  })
})
