/** Any codec over any framing: over bytes in any chunks, over datagrams, and to a worker and back. */
import { assert, describe, it } from "@effect/vitest"
import * as Protocol from "@socketserver/core/Protocol"
import type * as Codec from "@socketserver/core/Codec"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { bytewise, cut, decode, join, line, many, noise, serverOf, sizes, utf8 } from "./support/decoding.ts"

type Framed = Protocol.Framed<string> | Protocol.Framed<Uint8Array>

/** Frames between a start and an end byte, both escaped within. */
const stuffed = Protocol.framing<{ readonly escaped: boolean; readonly body: ReadonlyArray<number> }>({
  name: "stuffed",
  decode: (input, seen, state) => {
    if (input[0] !== 2) return Protocol.malformed("a frame starts with STX")
    const body = [...(state?.body ?? [])]
    let escaped = state?.escaped ?? false
    for (let i = Math.max(1, seen); i < input.length; i++) {
      const byte = input[i] as number
      if (!escaped && byte === 3) return Protocol.frame(Uint8Array.from(body), i + 1)
      if (!escaped && byte === 27) escaped = true
      else {
        body.push(byte)
        escaped = false
      }
    }
    return Protocol.more(undefined, { escaped, body })
  },
  encode: (payload) => Uint8Array.of(2, ...[...payload].flatMap((b) => (b === 3 || b === 27 ? [27, b] : [b])), 3)
})

const framings: ReadonlyArray<{ readonly name: string; readonly of: Framed; readonly header?: number }> = [
  { name: "lines", of: Protocol.lines() },
  { name: "lines ended by CRLF", of: Protocol.lines({ terminator: "\r\n" }) },
  { name: "delimited by a byte", of: Protocol.delimited("\0") },
  { name: "delimited by several", of: Protocol.delimited("aab") },
  { name: "lengthPrefixed", of: Protocol.lengthPrefixed() },
  { name: "a length of one byte", of: Protocol.lengthPrefixed({ lengthBytes: 1 }) },
  {
    name: "a little-endian length of two bytes that counts itself",
    of: Protocol.lengthPrefixed({ lengthBytes: 2, endian: "little", lengthAdjustment: -2 })
  },
  { name: "a length of eight bytes", of: Protocol.lengthPrefixed({ lengthBytes: 8 }) },
  { name: "a length after a header", of: Protocol.lengthPrefixed({ lengthBytes: 2, lengthOffset: 2 }), header: 2 },
  { name: "fixed", of: Protocol.fixed(4) },
  { name: "netstring", of: Protocol.netstring() },
  { name: "framing", of: stuffed }
]

const value: Arbitrary.Arbitrary<unknown> = Arbitrary.map(
  Arbitrary.array(line, { maxLength: 4 }),
  ([first, second, ...others]) =>
    first === undefined
      ? null
      : second === undefined
        ? first
        : { [first]: second, "\n": others, n: others.length, b: true }
)

const Item = Schema.Struct({ name: Schema.String, at: Schema.DateFromString })
const item = Arbitrary.map(line, (name) => ({ name, at: new Date(name.length * 86_400_000) }))

const codecs: ReadonlyArray<{
  readonly name: string
  readonly over: (framing: Framed) => Protocol.Protocol<any, any>
  readonly message: Arbitrary.Arbitrary<unknown>
  readonly four?: unknown
}> = [
  { name: "bytes", over: Protocol.bytes, message: noise, four: Uint8Array.of(7, 0, 255, 7) },
  { name: "text", over: Protocol.text, message: line, four: "€~" },
  { name: "json", over: Protocol.json, message: value, four: "é" },
  {
    name: "schema",
    over: (framing) =>
      Protocol.schema(Protocol.json(framing) as Protocol.Protocol<any, any>, { request: Item, response: Item }),
    message: item
  }
]

const each = <A, B>(as: ReadonlyArray<A>, bs: ReadonlyArray<B>) => as.flatMap((a) => bs.map((b) => [a, b] as const))

/** Many runs in all: each pair of a codec and a framing has its share. */
const share = { arbitrary: { runs: 25 } }

const bytesOf = (payload: Protocol.Payload | Protocol.Unencodable): Uint8Array => {
  if (payload instanceof Protocol.Unencodable) throw new Error(payload.problem)
  return typeof payload === "string" ? utf8(payload) : payload
}

for (const framing of framings) {
  for (const codec of codecs) {
    describe(`${codec.name} over ${framing.name}`, () => {
      const protocol = codec.over(framing.of)
      // Four bytes long, for what has one size only.
      const some = Arbitrary.map(many(codec.message), (all) => (codec.four === undefined ? all : [...all, codec.four]))
      const sides = [serverOf(protocol), protocol.client] as ReadonlyArray<Codec.Side<unknown, unknown>>

      it.effect.prop(
        "arrives as it was or is refused, in any chunks",
        { all: some, sizes },
        ({ all, sizes }) =>
          Effect.sync(() => {
            for (const side of sides) {
              // What does not fit a framing is refused, and nothing of it leaves.
              const sent = all.filter((message) => !(side.encode(message) instanceof Protocol.Unencodable))
              const input = join(sent.map((message) => bytesOf(side.encode(message))))
              for (const chunks of [[input], cut(input, sizes), bytewise(input)]) {
                const { error, messages } = decode(side, chunks)
                assert.deepStrictEqual({ error, messages }, { error: undefined, messages: sent })
              }
            }
          }),
        share
      )

      it.effect.prop(
        "is the same bytes where it was encoded elsewhere",
        { all: some },
        ({ all }) =>
          Effect.sync(() => {
            for (const [side, message] of each(sides, all)) {
              const whole = side.encode(message)
              const payload = side.payload.encode(message)
              if (payload instanceof Protocol.Unencodable) {
                assert.instanceOf(whole, Protocol.Unencodable)
                continue
              }
              // A worker sends bytes.
              for (const crossed of [payload, bytesOf(payload)]) {
                const framed = side.frame(crossed)
                const datagram = side.datagram.frame(crossed)
                if (whole instanceof Protocol.Unencodable) {
                  assert.instanceOf(framed, Protocol.Unencodable)
                  continue
                }
                assert.deepStrictEqual(bytesOf(framed), bytesOf(whole))
                assert.deepStrictEqual(bytesOf(datagram), bytesOf(side.datagram.encode(message)))
                assert.deepStrictEqual(side.payload.decode(crossed), Result.succeed(message))
              }
            }
          }),
        share
      )

      it.effect.prop(
        "gives a worker what was received",
        { all: some, sizes },
        ({ all, sizes }) =>
          Effect.sync(() => {
            for (const side of sides) {
              const sent = all.filter((message) => !(side.encode(message) instanceof Protocol.Unencodable))
              const decoder = side.decoder()
              const messages: Array<unknown> = []
              const payloads: Array<Protocol.Payload> = []
              for (const chunk of cut(join(sent.map((message) => bytesOf(side.encode(message)))), sizes)) {
                assert.isUndefined(decoder.push(chunk.slice(), messages, payloads))
              }
              assert.deepStrictEqual(messages, sent)
              const crossing = side.plain ? (messages as Array<Protocol.Payload>) : payloads
              assert.deepStrictEqual(
                crossing.map((payload) => side.payload.decode(payload)),
                sent.map(Result.succeed)
              )
            }
          }),
        share
      )

      it.effect.prop(
        "is one datagram, or is refused where it is refused in a stream",
        { all: some },
        ({ all }) =>
          Effect.sync(() => {
            for (const [side, message] of each(sides, all)) {
              const datagram = side.datagram.encode(message)
              assert.strictEqual(
                datagram instanceof Protocol.Unencodable,
                side.encode(message) instanceof Protocol.Unencodable && !framing.name.includes("length of one")
              )
              if (datagram instanceof Protocol.Unencodable) continue
              assert.deepStrictEqual(side.datagram.decode(bytesOf(datagram)), Result.succeed(message))
              assert.deepStrictEqual(
                Result.map(side.datagram.unframe(bytesOf(datagram)), (payload) => [...payload]),
                Result.succeed([...bytesOf(side.payload.encode(message))])
              )
            }
          }),
        share
      )
    })
  }

  describe(framing.name, () => {
    const { of } = framing
    const side = Protocol.bytes(of).client
    const header = new Uint8Array(framing.header ?? 0)
    const smallest = of.name === "fixed" ? new Uint8Array(4) : header

    it("carries an empty message, unless it has one size only", () => {
      const encoded = bytesOf(side.encode(smallest))
      assert.deepStrictEqual(decode(side, [encoded]).messages, [smallest])
      assert.deepStrictEqual(decode(side, bytewise(join([encoded, encoded]))).messages, [smallest, smallest])
      assert.deepStrictEqual(side.datagram.decode(bytesOf(side.datagram.encode(smallest))), Result.succeed(smallest))
    })
  })
}

const limited: ReadonlyArray<{ readonly name: string; readonly of: Framed; readonly largest: number }> = [
  { name: "lines", of: Protocol.lines({ maxFrameBytes: 20 }), largest: 20 },
  { name: "delimited", of: Protocol.delimited("ab", { maxFrameBytes: 20 }), largest: 18 },
  { name: "lengthPrefixed", of: Protocol.lengthPrefixed({ maxFrameBytes: 20 }), largest: 16 },
  { name: "netstring", of: Protocol.netstring({ maxFrameBytes: 20 }), largest: 16 },
  { name: "fixed", of: Protocol.fixed(20), largest: 20 }
]

describe("the largest message", () => {
  it.each(limited)("passes over $name, in any form, and what is larger does not", ({ largest, of }) => {
    for (const side of [Protocol.bytes(of).client, serverOf(Protocol.bytes(of))]) {
      const message = new Uint8Array(largest).fill(120)
      for (const chunked of [(input: Uint8Array) => [input], bytewise]) {
        assert.deepStrictEqual(decode(side, chunked(bytesOf(side.encode(message)))).messages, [message])
      }
      assert.deepStrictEqual(side.datagram.decode(message), Result.succeed(message))
      const larger = new Uint8Array(largest + 1).fill(120)
      const datagram = side.datagram.decode(larger)
      assert.strictEqual(Result.isFailure(datagram) && datagram.failure._tag, "FrameTooLarge")
      if (of.name === "fixed") continue
      for (const chunked of [(input: Uint8Array) => [input], bytewise]) {
        assert.strictEqual(decode(side, chunked(bytesOf(side.encode(larger)))).error?._tag, "FrameTooLarge")
      }
    }
  })
})
