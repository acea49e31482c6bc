import type { Options, Sample, Word } from "./dialect.ts"

/** What is said in the dialects, and how it is framed. */

/** More than is copied at once on the way to a worker, and less than a datagram may have. */
export const maxFrameBytes = 8_192

export type Part = string | number | Uint8Array

export const bytes = (...parts: ReadonlyArray<Part>): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "number" ? [part] : [...(typeof part === "string" ? new TextEncoder().encode(part) : part)]
    )
  )

export const latin1 = (payload: Uint8Array): string => String.fromCharCode(...payload)

export const every = Uint8Array.from({ length: 256 }, (_, value) => value)

export const same = <Out>(name: string, message: Out, payload: Uint8Array): Sample<Out> => ({
  name,
  message,
  said: payload,
  asked: payload
})

export const inBytes = (name: string, ...parts: ReadonlyArray<Part>): Sample<Uint8Array> =>
  same(name, bytes(...parts), bytes(...parts))

export const inText = (name: string, text: string): Sample<string> => same(name, text, bytes(text))

export const hello = inBytes("a short message", "hello")
export const nothing = inBytes("an empty message")
export const anything = inBytes("every value of a byte", every)
export const largest = (overhead: number) => inBytes("the largest message", "x".repeat(maxFrameBytes - overhead))

export const texts = (overhead: number, ...more: ReadonlyArray<Sample<string>>): Options<string, string>["samples"] => [
  inText("a short message", "hello"),
  inText("an empty message", ""),
  inText("text of many alphabets, with what ends lines elsewhere", "ß€😀 a\rb\u0000c\u2028d\ufeff"),
  inText("a byte order mark", "\ufefftext"),
  inText("the largest message", "€".repeat(100) + "x".repeat(maxFrameBytes - overhead - 300)),
  ...more
]

export const plainBytes = {
  ask: (word: Word) => bytes(word),
  wordOf: latin1,
  answer: (message: Uint8Array) => message
}

export const plainText = {
  ask: (word: Word) => bytes(word),
  wordOf: (message: string) => message,
  answer: (message: string) => message
}

export const surrogate = { message: "\ud800", problem: /a lone surrogate/ }

// How a payload is framed: by hand, each as its own specification has it.
export const line = (payload: Uint8Array) => bytes(payload, "\n")
export const bars = (payload: Uint8Array) => bytes(payload, "||")
export const length2 = ({ length }: Uint8Array) => bytes(length >> 8, length & 255)
export const length4 = (payload: Uint8Array) => bytes(0, 0, length2(payload), payload)
export const net = (payload: Uint8Array) => bytes(`${payload.length}:`, payload, ",")
/** Two bytes of header, which are part of the message, before the length of what follows. */
export const headed = (payload: Uint8Array) =>
  bytes(payload.subarray(0, 2), length2(payload.subarray(2)), payload.subarray(2))

export const twoLines = { message: "two\nlines", problem: /a line cannot contain a newline/ }

export const jsonWords = {
  ask: (word: Word) => bytes(`"${word}"`),
  wordOf: String,
  answer: (message: unknown) => message
}

export const jsons: (overhead: number) => Options<unknown, unknown>["samples"] = (overhead) => [
  same("a string", "hello", bytes('"hello"')),
  same("an empty string", "", bytes('""')),
  same("null", null, bytes("null")),
  same("what JSON escapes", '\n\r\0"€😀', bytes('"\\n\\r\\u0000\\"€😀"')),
  // Other text for the same value: the reply is what a server writes, not what it was asked.
  {
    name: "an object",
    message: { a: [1, { b: "" }] },
    said: bytes('{"a":[1,{"b":""}]}'),
    asked: bytes('{ "a" : [1.0,{"\\u0062":""}]}')
  },
  same(
    "the largest value",
    "x".repeat(maxFrameBytes - overhead - 2),
    bytes(`"${"x".repeat(maxFrameBytes - overhead - 2)}"`)
  )
]

export const notJson = { message: Number.NaN as unknown, problem: /NaN/ }
