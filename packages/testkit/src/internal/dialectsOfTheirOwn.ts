import * as Protocol from "@socketserver/core/Protocol"
import * as Schema from "effect/Schema"
import { dialect, type Dialect, type Sample, type Word } from "./dialect.ts"
import { maxFrameBytes, bytes, latin1, every, same, length4, jsonWords, jsons, notJson } from "./samples.ts"

/** Messages that are found in bytes by hand, and those that overtake each other. */

/** Text in parentheses, which may have parentheses inside. A step goes on where the last one has stopped. */
const nested: Protocol.MessageFormat<string, { readonly at: number; readonly depth: number }> = {
  decode: (input, _, state) => {
    let { at, depth } = state ?? { at: 0, depth: 0 }
    for (; at < input.length; at++) {
      if (input[at] === 40) depth++
      else if (input[at] === 41) depth--
      if (depth === 0) break
    }
    if (at === 0) return Protocol.malformed("it does not start with a parenthesis")
    if (at === input.length) return Protocol.more(undefined, { at, depth })
    return Protocol.frame(latin1(input.subarray(1, at)), at + 1)
  },
  encode: (text) => {
    let depth = 0
    for (const letter of text) {
      if (letter === "(") depth++
      else if (letter === ")" && --depth < 0) break
    }
    return depth === 0
      ? Uint8Array.from(`(${text})`, (letter) => letter.charCodeAt(0))
      : new Protocol.Unencodable("it has a parenthesis without another")
  }
}

const inParentheses = (name: string, text: string): Sample<string> =>
  same(
    name,
    text,
    Uint8Array.from(`(${text})`, (letter) => letter.charCodeAt(0))
  )

/** A number in digits as the request, as many bytes as the reply: no client could be made of it. */
const serverOnly = Protocol.make<number, Uint8Array>({
  name: "dots",
  maxFrameBytes,
  request: {
    decode: (input, seenBytes) => {
      const at = input.indexOf(59, seenBytes)
      return at === -1 ? Protocol.more() : Protocol.frame(Number(latin1(input.subarray(0, at))), at + 1)
    }
  },
  response: {
    encode: (dots) => {
      if (dots.length === 3) throw new RangeError("three is too many")
      return bytes(dots, "!")
    }
  }
})

const words: ReadonlyArray<Word> = ["stream", "push", "bad", "badstream", "badpush", "hold"]

const dots = (name: string, count: number): Sample<Uint8Array> => ({
  name,
  message: new Uint8Array(count),
  said: bytes(new Uint8Array(count), "!"),
  asked: bytes(`${count};`)
})

const Message = Schema.Struct({ id: Schema.Int, body: Schema.String })

type Message = typeof Message.Type

const message = (name: string, id: number, body: string): Sample<Message> =>
  same(name, { id, body }, bytes(`{"id":${id},"body":"${body}"}`))

export const others: ReadonlyArray<Dialect> = [
  dialect({
    name: "make, with the state of a step",
    protocol: Protocol.make({ ...nested, name: "nested", maxFrameBytes }),
    // The payload is the whole frame.
    frame: (payload) => payload,
    ask: (word) => bytes(`(${word})`),
    wordOf: (text) => text,
    answer: (text) => text,
    samples: [
      inParentheses("a short message", "hello"),
      inParentheses("an empty message", ""),
      inParentheses("a nested message", "a(b()(c))d"),
      inParentheses("every value but the parentheses", latin1(every.filter((value) => value !== 40 && value !== 41))),
      inParentheses("the largest message", `${"()".repeat(100)}${"x".repeat(maxFrameBytes - 202)}`)
    ],
    unencodable: { message: "a)b(", problem: /a parenthesis without another/ }
  }),
  dialect({
    name: "make, for a server alone",
    protocol: serverOnly,
    frame: (payload) => payload,
    // Numbers below 0 are words.
    ask: (word) => bytes(`-${1 + words.indexOf(word)};`),
    wordOf: (count) => words[-count - 1] ?? "",
    answer: (count) => new Uint8Array(count),
    samples: [dots("one", 1), dots("none", 0), dots("many", maxFrameBytes - 1)],
    unencodable: { message: new Uint8Array(3), problem: /the encoder threw: three is too many/ },
    isThorough: true
  }),
  dialect({
    name: "a framing of its own",
    protocol: Protocol.json(
      Protocol.framing({
        name: "stx-etx",
        maxFrameBytes,
        decode: (input, seenBytes) => {
          if (input[0] !== 2) return Protocol.malformed("a frame starts with STX")
          const at = input.indexOf(3, seenBytes)
          return at === -1 ? Protocol.more() : Protocol.frame(input.subarray(1, at), at + 1)
        },
        encode: (payload) => bytes(2, payload, 3)
      })
    ),
    ...jsonWords,
    frame: (payload) => bytes(2, payload, 3),
    datagram: (payload) => bytes(2, payload, 3),
    samples: jsons(2),
    unencodable: notJson
  }),
  dialect<Message, Message>({
    name: "correlated",
    protocol: Protocol.correlated(
      Protocol.schema(Protocol.json(Protocol.lengthPrefixed({ maxFrameBytes })), {
        request: Message,
        response: Message
      }),
      { id: ({ id }) => id }
    ),
    frame: length4,
    ask: (word) => bytes(`{"id":0,"body":"${word}"}`),
    wordOf: ({ body }) => body,
    answer: (message) => message,
    samples: [
      message("a message", 1, "hello"),
      message("an empty message", 2, ""),
      message("a large message", 3, "x".repeat(8_000))
    ],
    unencodable: { message: { id: 0.5, body: "" }, problem: /integer/i },
    overtakes: true
  })
]
