/** JSON as the codec reads it: the same as `JSON.parse`, whatever was read before. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import type * as Json from "../src/internal/json.ts"
import type * as JsonNames from "../src/internal/jsonNames.ts"
import { pieces } from "./support/decoding.ts"

const { parse } = await vi.importActual<typeof Json>("../src/internal/json.ts")
const jsonNames = await vi.importActual<typeof JsonNames>("../src/internal/jsonNames.ts")

const word = Arbitrary.map(
  pieces(['"', "\\", "a", "n", "u0022", "\n", "é", " ", ":", "{", "", "__proto__"], 4),
  (bytes) => new TextDecoder().decode(bytes)
)
const scalar = Arbitrary.map(word, (text) => ({ "": null, a: 1, n: -0.5e-7, ":": true })[text] ?? text)
const of = (value: Arbitrary.Arbitrary<unknown>) =>
  Arbitrary.map(Arbitrary.array(Arbitrary.all([word, value]), { maxLength: 4 }), (properties) =>
    properties.length % 2 === 0 ? Object.fromEntries(properties) : properties
  )
const value = of(of(scalar))

describe("json", () => {
  it("reads an escaped name as it is, whatever names came before", () => {
    for (const [before, text, name] of [
      ['{"p":1,"\\\\":2}', '{"p":1,"\\"":2}', '"'],
      ['{"q":1,"\\\\\\"":2}', '{"q":1,"\\"a":2}', '"a'],
      ['{"r":1,"\\\\":2}', '{"r":1,"\\n":2}', "\n"],
      ['{"s":1,"\\\\":2}', '{"s":1,"\\u0041":2}', "A"],
      ['{"t":1,"x\\\\":2}', '{"t":1,"x\\t" \r\n\t:2}', "x\t"]
    ] as const) {
      parse(before)
      assert.deepStrictEqual(Object.keys(parse(text) as object)[1], name)
    }
  })

  it("is not asked for more than a part of what has no escaped names", () => {
    assert.isFalse(jsonNames.hasEscapes('{"a":["\\"b\\"",":","\\\\"],"c":"\\u0022:"}'))
    assert.isTrue(jsonNames.hasEscapes('{"a":["\\"b\\""],"\\u0063" : 1}'))
  })

  it("has a property named __proto__, as JSON.parse does", () => {
    const read = parse('{"__proto__":{"a":1},"\\n":2}') as object
    assert.strictEqual(Object.getPrototypeOf(read), Object.prototype)
    assert.deepStrictEqual(Object.keys(read), ["__proto__", "\n"])
  })

  it("keeps the last of two properties with one name, where the first is", () => {
    assert.strictEqual(JSON.stringify(parse('{"\\n":1,"b":2,"\\u000a":[3]}')), '{"\\n":[3],"b":2}')
  })

  it("reads a megabyte of escapes and 10,000 brackets", () => {
    const text = `{"\\n":${"[".repeat(10_000)}"${'\\"'.repeat(500_000)}"${"]".repeat(10_000)}}`
    let at = (parse(text) as Record<string, unknown>)["\n"]
    for (let i = 0; i < 10_000; i++) at = (at as ReadonlyArray<unknown>)[0]
    assert.strictEqual(at, '"'.repeat(500_000))
  })

  it.effect.prop(
    "reads what was written, with any space",
    { all: Arbitrary.array(value, { maxLength: 6 }) },
    ({ all }) =>
      Effect.sync(() => {
        for (const space of [undefined, 1, "\t"]) {
          const texts = all.map((one) => JSON.stringify(one, undefined, space))
          const expected = all.map((one) => JSON.stringify(one))
          assert.deepStrictEqual(
            texts.map((text) => JSON.stringify(parse(text))),
            expected
          )
          assert.deepStrictEqual(
            texts.map((text) => JSON.stringify(jsonNames.parse(text))),
            expected
          )
        }
      })
  )
})
