import * as Protocol from "@socketserver/core/Protocol"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { dialect, type Dialect, type Options } from "./dialect.ts"
import {
  maxFrameBytes,
  bytes,
  inText,
  texts,
  plainText,
  surrogate,
  line,
  bars,
  length4,
  net,
  jsonWords,
  jsons,
  notJson
} from "./samples.ts"

/** Every codec, over several framings. */

const Question = Schema.Struct({ word: Schema.String, n: Schema.FiniteFromString })
const Answer = Schema.Struct({ twice: Schema.FiniteFromString })

/** Where a request is read twice, or a reply written twice, it shows: nothing takes back what the other does. */
const oneWay: Protocol.Conversion<string, string> = {
  decode: (text) => (text === "" ? Result.fail("it is empty") : Result.succeed(`<${text.trim().toUpperCase()}>`)),
  encode: (text) => (text === "bad" ? Result.fail("it is bad") : Result.succeed(`(${text})`))
}

const shouted: Pick<Options<string, string>, "ask" | "wordOf" | "answer" | "samples" | "unencodable" | "isThorough"> = {
  ask: (word) => bytes(` ${word} `),
  wordOf: (message) => message.slice(1, -1).toLowerCase(),
  answer: (message) => message,
  samples: [
    { name: "a word", message: "<HELLO>", said: bytes("(<HELLO>)"), asked: bytes("  hello") },
    { name: "a reply that looks like a request", message: "<(<X>)>", said: bytes("(<(<X>)>)"), asked: bytes("(<x>) ") }
  ],
  unencodable: { message: "bad", problem: /it is bad/ },
  isThorough: true
}

export const codecs: ReadonlyArray<Dialect> = [
  dialect({
    ...plainText,
    name: "text over lengthPrefixed",
    protocol: Protocol.text(Protocol.lengthPrefixed({ maxFrameBytes })),
    frame: length4,
    samples: texts(4, inText("two lines", "two\r\nlines\r\n")),
    unencodable: surrogate
  }),
  dialect({
    ...plainText,
    name: "text over delimited",
    protocol: Protocol.text(Protocol.delimited("||", { maxFrameBytes })),
    frame: bars,
    samples: texts(2, inText("two lines", "two\r\nlines\r\n")),
    unencodable: { message: "a||b", problem: /cannot contain the delimiter/ }
  }),
  dialect({
    ...plainText,
    name: "text over netstring",
    protocol: Protocol.text(Protocol.netstring({ maxFrameBytes })),
    frame: net,
    samples: texts(6, inText("two lines", "two\r\nlines\r\n")),
    unencodable: surrogate
  }),
  dialect({
    ...jsonWords,
    name: "ndjson",
    protocol: Protocol.ndjson({ maxFrameBytes }),
    frame: line,
    cutOff: "request",
    samples: jsons(0),
    unencodable: notJson
  }),
  dialect({
    ...jsonWords,
    name: "json over lengthPrefixed",
    protocol: Protocol.json(Protocol.lengthPrefixed({ maxFrameBytes })),
    frame: length4,
    samples: jsons(4),
    unencodable: notJson
  }),
  dialect({
    name: "schema over json",
    protocol: Protocol.schema(Protocol.json(Protocol.lengthPrefixed({ maxFrameBytes })), {
      request: Question,
      response: Answer
    }),
    frame: length4,
    ask: (word) => bytes(`{"word":"${word}","n":"0"}`),
    wordOf: ({ word }) => word,
    answer: ({ n }) => ({ twice: 2 * n }),
    samples: [
      { name: "a number", message: { twice: 3 }, said: bytes('{"twice":"3"}'), asked: bytes('{"word":"","n":"1.50"}') },
      { name: "zero", message: { twice: 0 }, said: bytes('{"twice":"0"}'), asked: bytes('{"n":"0", "word":"€"}') }
    ],
    unencodable: { message: { twice: Number.NaN }, problem: /finite/i },
    isThorough: true
  }),
  dialect({
    ...shouted,
    name: "a codec that is no inverse over lengthPrefixed",
    protocol: Protocol.transform(Protocol.text(Protocol.lengthPrefixed({ maxFrameBytes })), {
      request: oneWay,
      response: oneWay
    }),
    frame: length4
  }),
  dialect({
    ...shouted,
    name: "a codec that is no inverse over lines",
    protocol: Protocol.transform(Protocol.lines({ maxFrameBytes }), { request: oneWay, response: oneWay }),
    frame: line,
    cutOff: "request"
  })
]
