import { assert, describe, it } from "@effect/vitest"
import { Protocol } from "@socketserver/core"
import * as Effect from "effect/Effect"
import { bytewise, copied, cut, decode, join, serverOf, sizes, text, utf8 } from "./support/decoding.ts"

/** How far an array of integers has been read: `*2\r\n:1\r\n:23\r\n`, as Redis has it. */
interface Reading {
  readonly at: number
  readonly count: number | undefined
  readonly parts: Array<number>
}

const start = (): Reading => ({ at: 0, count: undefined, parts: [] })

/** Arrays whose steps count the bytes that they look at, with what a step leaves for the next. */
const counting = (left: (reading: Reading) => Reading | undefined) => {
  const work = { looked: 0, steps: 0 }
  const decode = (input: Uint8Array, _: number, state: Reading | undefined): Protocol.Step<Reading, Reading> => {
    work.steps++
    let { at, count, parts } = state ?? start()
    while (parts.length !== count) {
      const end = input.indexOf(10, at)
      work.looked += (end === -1 ? input.length : end + 1) - at
      if (end === -1) {
        const reading = left({ at, count, parts })
        return reading === undefined ? Protocol.more() : Protocol.more(undefined, reading)
      }
      const number = Number(text(input.subarray(at + 1, end - 1)))
      if (count === undefined) count = number
      else parts.push(number)
      at = end + 1
    }
    return Protocol.frame({ at, count, parts }, at)
  }
  const protocol = Protocol.make<Reading, Reading>({ name: "counting", decode, encode: () => "" })
  return { work, codec: serverOf(protocol) }
}

/** What is left is kept as it is, or forgotten. */
const carried = (reading: Reading): Reading => reading
const forgotten = () => undefined

const arrayOf = (parts: ReadonlyArray<number>): string =>
  `*${parts.length}\r\n${parts.map((part) => `:${part}\r\n`).join("")}`

const numbers = Array.from({ length: 300 }, (_, i) => i)
const array = utf8(arrayOf(numbers))
/** The most that a part has: a step may look at an unfinished one again, byte for byte. */
const longest = utf8(":299\r\n").length

describe("A message that arrives in pieces", () => {
  it("is not looked at from its start again where its steps carry a state", () => {
    const { codec, work } = counting(carried)
    const { error, messages } = decode(codec, bytewise(array))
    assert.isUndefined(error)
    assert.deepStrictEqual(
      messages.map(({ parts }) => parts),
      [numbers]
    )
    assert.strictEqual(work.steps, array.length)
    assert.isAtMost(work.looked, array.length * longest)
  })

  // The measure of the test above: without a state the same work is the square of the size.
  it("is looked at from its start by each step that carries none", () => {
    const { codec, work } = counting(forgotten)
    assert.lengthOf(decode(codec, bytewise(array)).messages, 1)
    assert.isAtLeast(work.looked, array.length ** 2 / 4)
  })

  it("leaves no state to the next message", () => {
    const { codec } = counting(carried)
    const sent = [[1, 23], [], [4], [567]]
    for (const input of [bytewise(sent.map(arrayOf).join("")), [sent.map(arrayOf).join("")]]) {
      const { messages } = decode(codec, input)
      assert.deepStrictEqual(
        messages.map(({ parts }) => parts),
        sent
      )
    }
  })

  it.effect.prop("is the same as in one piece, and is looked at as little", { sizes }, ({ sizes }) =>
    Effect.sync(() => {
      const { codec, work } = counting(carried)
      const some = numbers.slice(0, 50)
      const input = utf8(arrayOf(some).repeat(3))
      const { messages } = decode(codec, cut(input, sizes))
      assert.deepStrictEqual(
        messages.map(({ parts }) => parts),
        [some, some, some]
      )
      assert.isAtMost(work.looked, input.length * longest)
    })
  )

  it("carries a state where its payloads are asked for, too, and where a codec goes over it", () => {
    const seen: Array<number | undefined> = []
    const protocol = Protocol.text(
      Protocol.framing<{ readonly at: number }>({
        name: "until-dot",
        decode: (input, _, state) => {
          seen.push(state?.at)
          const at = input.indexOf(46, state?.at ?? 0)
          return at === -1
            ? Protocol.more(undefined, { at: input.length })
            : Protocol.frame(input.subarray(0, at), at + 1)
        },
        encode: (payload) => payload
      })
    )
    const decoder = serverOf(protocol).decoder()
    const messages: Array<string> = []
    const payloads: Array<Protocol.Payload> = []
    for (const piece of ["ab", "c.d", "e", "."]) decoder.push(utf8(piece), messages, payloads)
    assert.deepStrictEqual(messages, ["abc", "de"])
    assert.deepStrictEqual(seen, [undefined, 2, undefined, 1, 2])
    assert.deepStrictEqual(
      payloads.map((payload) => (typeof payload === "string" ? payload : text(payload))),
      ["abc", "de"]
    )
  })

  it.each([
    [
      "lengthPrefixed",
      Protocol.bytes(Protocol.lengthPrefixed()),
      join([Uint8Array.of(0, 0, 31, 252), "x".repeat(8_188)])
    ],
    ["netstring", Protocol.bytes(Protocol.netstring()), utf8(`8186:${"x".repeat(8_186)},`)],
    ["lines of bytes", Protocol.bytes(Protocol.lines()), utf8("x".repeat(8_191) + "\n")],
    ["fixed", Protocol.bytes(Protocol.fixed(8_192)), utf8("x".repeat(8_192))]
  ])("is copied a few times at most, for %s", (_, protocol, input) => {
    let messages: ReadonlyArray<unknown> = []
    const pieces = bytewise(input)
    assert.isBelow(
      copied(() => void ({ messages } = decode(serverOf(protocol), pieces))),
      8 * 8_192
    )
    assert.lengthOf(messages, 1)
  })
})
