import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as jsonSchemas from "../internal/jsonSchemas.ts"
import * as jsonText from "../internal/json.ts"
import * as jsonWeight from "../internal/jsonWeight.ts"
import { build, framed } from "../internal/protocols.ts"
import * as sides from "../internal/sides.ts"
import { Unencodable } from "../internal/unencodable.ts"
import type { Framing, Side } from "../Codec.ts"
import type { Framed, Protocol } from "../Protocol.ts"
import { type LinesOptions, lines } from "./framings.ts"

/** The part of `Protocol` that gives payloads their types. */

/**
 * UTF-8 text over a framing.
 *
 * **Gotchas**
 *
 * Bytes that are not UTF-8 are `Malformed`, and so is text that UTF-8 cannot
 * express (a lone surrogate) when it is written: its request ends as `Failed`.
 *
 * @category protocols
 * @since 0.1.0
 */
export const text = (of: Framed<string> | Framed<Uint8Array>): Framed<string> =>
  framed(`text(${of.name})`, of.framing, "text", of.problem)

/**
 * A JSON value for each payload of a framing.
 *
 * **When to use**
 *
 * With {@link schema}, which gives the values their types.
 *
 * **Gotchas**
 *
 * What JSON would leave out or change is not written: `NaN`, a `Date`, a `Map`,
 * a function. Such a response ends its request as `Failed`. A property that is
 * `undefined` is the same as none, and -0 is 0.
 *
 * **Example** (JSON after its length)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 *
 * const messages = Protocol.json(Protocol.lengthPrefixed({ lengthBytes: 2 }))
 *
 * messages.client.encode({ a: 1 }) // => Uint8Array.of(0, 7, ...new TextEncoder().encode('{"a":1}'))
 * ```
 *
 * @category protocols
 * @since 0.1.0
 */
export const json = (of: Framed<string> | Framed<Uint8Array>): Protocol<unknown, unknown> => {
  const side = jsonSide(of.framing, jsonText.parse)
  return build({ name: `json(${of.name})`, problem: of.problem, server: side, client: side })
}

const jsonSide = (framing: Framing, read: (text: string) => unknown): Side<unknown, unknown> => {
  const side = (write: (value: unknown) => string | Unencodable) =>
    sides.mapped(framing.text, read, write, undefined, jsonWeight.weightOf)
  const anything = side((value) => jsonText.format(value))
  writing.set(anything, side)
  return anything
}

/** The same side of JSON with another way to write values. */
const writing = new WeakMap<object, (write: (value: unknown) => string | Unencodable) => Side<unknown, unknown>>()

/** The side of a protocol that a schema writes to. */
const below = <Read, Write>(side: Side<Read, Write>, written: Schema.Top): Side<Read, Write> =>
  (writing.get(side)?.(jsonSchemas.formatOf(written)) as Side<Read, Write> | undefined) ?? side

/**
 * A JSON value a line (newline-delimited JSON): {@link json} over {@link lines}.
 * Empty lines, which keep a connection alive, are passed over.
 *
 * @category protocols
 * @since 0.1.0
 */
export const ndjson = (options?: LinesOptions): Protocol<unknown, unknown> => {
  const { framing, problem } = lines(options)
  // What keeps a connection alive is no message.
  const side = jsonSide(framing, (line) => (line === "" ? sides.nothing : jsonText.parse(line)))
  return build({ name: "ndjson", problem, server: side, client: side })
}

/**
 * A two-way conversion of messages; a `Failure` says what is wrong.
 *
 * @category models
 * @since 0.1.0
 */
export interface Conversion<From, To> {
  readonly decode: (from: From) => Result.Result<To, string>
  readonly encode: (to: To) => Result.Result<From, string>
}

/**
 * Converts the requests and responses of a protocol.
 *
 * @see {@link schema} to convert with a `Schema`
 * @category combinators
 * @since 0.1.0
 */
export const transform = <In, Out, In2, Out2>(
  self: Protocol<In, Out>,
  options: { readonly request: Conversion<In, In2>; readonly response: Conversion<Out, Out2> }
): Protocol<In2, Out2> => {
  const { request, response } = options
  return converted(self, { request: unpacked(request), response: unpacked(response) })
}

/** A conversion as messages pass through it: nothing is made for each of them. */
interface Passing<From, To> {
  readonly read: (from: From) => To | sides.Undecodable
  readonly write: (to: To) => From | Unencodable
}

const unpacked = <From, To>({ decode, encode }: Conversion<From, To>): Passing<From, To> => ({
  read: (from) => {
    const result = decode(from)
    return Result.isSuccess(result) ? result.success : new sides.Undecodable(result.failure)
  },
  write: (to) => {
    const result = encode(to)
    return Result.isSuccess(result) ? result.success : new Unencodable(result.failure)
  }
})

const converted = <In, Out, In2, Out2>(
  self: Protocol<In, Out>,
  { request, response }: { readonly request: Passing<In, In2>; readonly response: Passing<Out, Out2> },
  { client, server }: Pick<Protocol<In, Out>, "client" | "server"> = self
): Protocol<In2, Out2> =>
  build({
    name: self.name,
    kind: self.kind,
    // Its ids are those of the messages that it had.
    problem: self.correlation === undefined ? self.problem : "give its messages their types first, and correlate those",
    server: sides.mapped(server as Side<In, never> as Side<In, Out>, request.read, response.write),
    client: sides.mapped(client, response.read, request.write)
  })

/**
 * Gives a protocol's messages the types of two schemas, in both directions.
 *
 * **Details**
 *
 * A request that does not fit ends as `Malformed` with the schema's message and
 * its place in the input. A response that does not fit ends as `Failed`.
 *
 * **Example** (Typing newline-delimited JSON)
 *
 * ```ts
 * import { Protocol } from "@socketserver/core"
 * import { Schema } from "effect"
 *
 * const calculator = Protocol.schema(Protocol.ndjson(), {
 *   request: Schema.Struct({ add: Schema.Array(Schema.Finite) }),
 *   response: Schema.Struct({ sum: Schema.Finite })
 * })
 *
 * calculator.client.encode({ add: [1, 2] }) // => '{"add":[1,2]}\n'
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const schema = <In, Out, In2, EncodedIn extends In, Out2, EncodedOut extends Out>(
  self: Protocol<In, Out>,
  options: {
    readonly request: Schema.Codec<In2, EncodedIn>
    readonly response: Schema.Codec<Out2, EncodedOut>
  }
): Protocol<In2, Out2> =>
  converted(
    self,
    { request: parsed<In, In2>(options.request), response: parsed<Out, Out2>(options.response) },
    { server: below(self.server, options.response), client: below(self.client, options.request) }
  )

const formatter = SchemaIssue.makeFormatterDefault()

/** What a schema says of a value that does not fit it, in one line, for logs. */
const problemOf = (cause: Cause.Cause<SchemaIssue.Issue>): string => {
  const issue = cause.reasons.find(Cause.isFailReason)?.error
  // A defect of a schema is no answer to whoever sent the value.
  if (issue === undefined) throw Cause.squash(cause)
  return formatter(issue).replaceAll(/\s+/g, " ")
}

/** An `Exit` is what a parser makes. */
const parsed = <From, To>(schema: Schema.Codec<To, From>): Passing<From, To> => {
  const decode = SchemaParser.decodeUnknownExit(schema)
  const encode = SchemaParser.encodeUnknownExit(schema)
  return {
    read: (from) => {
      const exit = decode(from)
      return exit._tag === "Success" ? exit.value : new sides.Undecodable(problemOf(exit.cause))
    },
    write: (to) => {
      const exit = encode(to)
      return exit._tag === "Success" ? (exit.value as From) : new Unencodable(problemOf(exit.cause))
    }
  }
}
