/** JSON that a schema has made is looked at only where the schema does not vouch for it. What would not arrive is refused all the same. */
import { assert, describe, it } from "@effect/vitest"
import { Protocol } from "@socketserver/core"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite, at: Schema.optionalKey(Schema.DateFromString) }) {}

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  value: Schema.Number,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

/** Whatever it is given. */
const Anything = Schema.Unknown.pipe(
  Schema.decodeTo(Schema.Unknown, { decode: SchemaGetter.passthrough(), encode: SchemaGetter.passthrough() })
)

const written = (schema: Schema.Codec<unknown, unknown>, value: unknown) => {
  const protocol = Protocol.schema(Protocol.ndjson(), { request: Schema.Null, response: schema })
  return (protocol.server as unknown as Protocol.Protocol<unknown, unknown>["client"]).encode(value)
}

class Celsius {
  readonly degrees: number
  constructor(degrees: number) {
    this.degrees = degrees
  }
  toJSON() {
    return `${this.degrees} °C`
  }
}

const arrives: ReadonlyArray<{ of: string; schema: Schema.Codec<any, any>; value: unknown; expected: unknown }> = (
  [
    ["a struct", Schema.Struct({ a: Schema.Finite, b: Schema.String }), { a: 1, b: "x" }],
    ["a number", Schema.Number, 1.5],
    ["numbers", Schema.Array(Schema.Number), [1, 2.5, -3]],
    ["a tuple", Schema.Tuple([Schema.Int, Schema.Boolean, Schema.Null]), [1, true, null]],
    ["a record", Schema.Record(Schema.String, Schema.Finite), { a: 1, "": 2 }],
    ["a literal", Schema.Literals(["a", 1, true]), 1],
    ["an optional property", Schema.Struct({ a: Schema.optional(Schema.Number) }), { a: undefined }, {}],
    ["a property that may be undefined", Schema.Struct({ a: Schema.UndefinedOr(Schema.Number) }), { a: 2 }],
    ["a class", Point, new Point({ x: 1, at: new Date(0) }), { x: 1, at: "1970-01-01T00:00:00.000Z" }],
    ["a tree", Tree, { value: 1, children: [{ value: 2, children: [] }] }],
    ["anything", Anything, { a: [1, "2", null] }],
    // It makes a struct of its own of it.
    [
      "a struct, of an object that has toJSON",
      Schema.Struct({ degrees: Schema.Finite }),
      new Celsius(5),
      { degrees: 5 }
    ],
    ["more than its schema names", Schema.Struct({ a: Schema.Int }), { a: 1, b: () => {} }, { a: 1 }],
    ["a property named toJSON", Schema.Struct({ toJSON: Schema.String }), { toJSON: "x" }],
    ["halves of characters", Schema.Struct({ a: Schema.String }), { a: "\ud800" }]
  ] as ReadonlyArray<readonly [string, Schema.Codec<any, any>, unknown, unknown?]>
).map(([of, schema, value, expected = value]) => ({ of, schema, value, expected }))

const refused: ReadonlyArray<readonly [string, Schema.Codec<any, any>, unknown, RegExp]> = [
  ["NaN", Schema.Number, NaN, /NaN is not a JSON value$/],
  ["NaN in a struct", Schema.Struct({ a: Schema.Finite, b: Schema.Number }), { a: 1, b: NaN }, /NaN .*at b\)/],
  ["NaN in an optional property", Schema.Struct({ a: Schema.optional(Schema.Number) }), { a: NaN }, /at a\)/],
  ["Infinity among numbers", Schema.Array(Schema.Number), [1, Infinity], /Infinity .*at \[1\]\)/],
  ["NaN in structs in an array", Schema.Array(Schema.Struct({ a: Schema.Number })), [{ a: 1 }, { a: NaN }], /\[1\]\.a/],
  ["NaN in a record", Schema.Record(Schema.String, Schema.Number), { x: NaN }, /at x\)/],
  ["NaN in a union", Schema.Union([Schema.String, Schema.Number]), NaN, /NaN/],
  ["NaN in a tuple", Schema.Tuple([Schema.Number, Schema.String]), [NaN, "a"], /\[0\]/],
  ["NaN after others", Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.Number]), ["a", 1, NaN], /\[2\]/],
  ["NaN in a tree", Tree, { value: 1, children: [{ value: NaN, children: [] }] }, /children\[0\]\.value/],
  ["nothing in an array", Schema.Array(Schema.UndefinedOr(Schema.String)), [undefined], /undefined .*\[0\]/],
  ["nothing", Schema.Undefined, undefined, /undefined is not a JSON value/],
  ["a Date of no schema", Schema.Struct({ a: Schema.Unknown }), { a: new Date(0) }, /a Date/],
  ["anything that has toJSON", Anything, new Celsius(1), /a Celsius/],
  ["a map of no schema", Schema.Struct({}), new Map([[1, 2]]), /a Map/],
  ["a bigint", Schema.Struct({ a: Schema.BigInt }), { a: 1n }, /BigInt/i],
  ["a literal bigint", Schema.Literal(1n), 1n, /BigInt/i],
  ["a function", Schema.Struct({ a: Schema.Any }), { a: () => {} }, /function/]
]

describe("Protocol.schema over JSON", () => {
  it.each(arrives)("writes $of as it is", ({ expected, schema, value }) => {
    const line = written(schema, value)
    assert(typeof line === "string", line instanceof Protocol.Unencodable ? line.problem : "bytes")
    assert.deepStrictEqual(JSON.parse(line), expected)
  })

  it.each(refused)("refuses %s", (_, schema, value, problem) => {
    const line = written(schema, value)
    assert(line instanceof Protocol.Unencodable, `sent as ${line}`)
    assert.match(line.problem, problem)
  })

  it("holds for what clients send", () => {
    const { client } = Protocol.schema(Protocol.ndjson(), { request: Schema.Number, response: Schema.Null })
    assert(client.encode(NaN) instanceof Protocol.Unencodable)
    assert.strictEqual(client.encode(1), "1\n")
  })

  it("holds for payloads, which go to workers and in datagrams", () => {
    const { client } = Protocol.schema(Protocol.ndjson(), { request: Schema.Number, response: Schema.Null })
    assert(client.payload.encode(NaN) instanceof Protocol.Unencodable)
    assert(client.datagram.encode(NaN) instanceof Protocol.Unencodable)
  })
})
