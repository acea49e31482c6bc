/** Commands beside a simple reference, replies beside redis-parser, both in any chunks and there and back. */
import Parser from "redis-parser"
import type * as Codec from "../../core/src/Codec.ts"
import type { Random } from "../../core/src/internal/random.ts"
import { Resp } from "../src/index.ts"
import type { Target } from "./target.ts"

const protocol = Resp.protocol()
const server = protocol.server as unknown as Codec.Side<Resp.Command, never>
const { client } = protocol

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))
const text = (of: Uint8Array) => Buffer.from(of.buffer, of.byteOffset, of.length).toString("latin1")

const pieces = (input: Uint8Array, random: Random): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  const most = random.pick([1, 4, 64])
  for (let at = 0; at < input.length;) {
    const size = random.int(1, most)
    chunks.push(input.slice(at, at + size))
    at += size
  }
  return chunks
}

/** What is decoded, what is wrong, and how many bytes are left. */
const decoded = <Message>(side: Codec.Side<Message, never>, chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = side.decoder()
  const messages: Array<Message> = []
  for (const chunk of chunks) {
    const error = decoder.push(chunk, messages)
    if (error !== undefined) return { messages, error: JSON.stringify(error), rest: 0 }
  }
  return { messages, error: "", rest: decoder.restBytes }
}

const same = (what: string, a: unknown, b: unknown) => {
  const [one, other] = [shown(a), shown(b)]
  if (one !== other) throw new Error(`${what}: ${one.slice(0, 500)} is not ${other.slice(0, 500)}`)
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part instanceof Uint8Array ? text(part) : typeof part === "bigint" ? `${part}n` : part
  )

/** The words of a line as latin1, by regular expressions. */
const wordsOf = (line: string): ReadonlyArray<string> | undefined => {
  const words: Array<string> = []
  let at = 0
  for (;;) {
    while (at < line.length && /[ \t-\r\0]/.test(line[at]!)) at++
    if (at === line.length) return words
    const found = unquoted(line, at)
    if (found === undefined) return undefined
    words.push(found.word)
    at = found.end
  }
}

const unquoted = (line: string, start: number): { readonly word: string; readonly end: number } | undefined => {
  const plain = /[^ \t-\r\0"']*/y
  plain.lastIndex = start
  const before = plain.exec(line)![0]
  const at = start + before.length
  const quote = line[at]
  if (quote !== '"' && quote !== "'") return { word: before, end: at }
  const inside =
    quote === '"'
      ? /"((?:\\x[0-9a-fA-F]{2}|\\[^]|[^"\\]|\\$)*)"(?=[ \t-\r\0]|$)/y
      : /'((?:\\'|[^'\\]|\\(?!'))*)'(?=[ \t-\r\0]|$)/y
  inside.lastIndex = at
  const found = inside.exec(line)
  if (found === null) return undefined
  const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" }
  const value =
    quote === '"'
      ? found[1]!.replace(/\\(?:x([0-9a-fA-F]{2})|([^]))/g, (_, hex: string | undefined, other: string) =>
          hex === undefined ? (escapes[other] ?? other) : String.fromCharCode(parseInt(hex, 16))
        )
      : found[1]!.replaceAll("\\'", "'")
  return { word: before + value, end: at + found[0].length }
}

/** All commands of an input, from its start to its end, without a thought of speed. */
const reference = (
  input: string
): { readonly commands: ReadonlyArray<ReadonlyArray<string>>; readonly error: string } => {
  const commands: Array<ReadonlyArray<string>> = []
  let at = 0
  const number = (least: bigint, most: bigint): bigint | "more" | "wrong" => {
    const part = input.slice(at, at + 40)
    const digits = /^(?:0|-[1-9]?\d*|[1-9]\d*|)/.exec(part)![0]
    const after = part.slice(digits.length)
    const isOpen = after === "" || after === "\r"
    if (!isOpen && !after.startsWith("\r\n")) return "wrong"
    if (digits === "" || digits === "-") return after !== "" || (digits === "-" && least === 0n) ? "wrong" : "more"
    const value = BigInt(digits)
    if (value < least || value > most || digits.startsWith("-0")) return "wrong"
    if (isOpen) return "more"
    at += digits.length + 2
    return value
  }
  while (at < input.length) {
    if (input[at] !== "*") {
      const end = input.indexOf("\n", at)
      const line = (end === -1 ? input.slice(at) : input.slice(at, end)).replace(/\r$/, "")
      if (line.length > 65_536) return { commands, error: "too big inline request" }
      if (end === -1) return { commands, error: "" }
      const words = wordsOf(line)
      if (words === undefined) return { commands, error: "unbalanced quotes in request" }
      if (words.length > 0) commands.push(words)
      at = end + 1
      continue
    }
    at++
    const count = number(-9_223_372_036_854_775_807n, 1_048_576n)
    if (count === "wrong") return { commands, error: "invalid multibulk length" }
    if (count === "more") return { commands, error: "" }
    const words: Array<string> = []
    while (words.length < count) {
      if (at === input.length) return { commands, error: "" }
      if (input[at] !== "$") return { commands, error: "expected '$'" }
      at++
      const size = number(0n, 1_048_576n)
      if (size === "wrong") return { commands, error: "invalid bulk length" }
      if (size === "more" || at + Number(size) + 2 > input.length) return { commands, error: "" }
      const end = at + Number(size)
      if (input.slice(end, end + 2) !== "\r\n") return { commands, error: "invalid bulk length" }
      words.push(input.slice(at, end))
      at = end + 2
    }
    if (words.length > 0) commands.push(words)
  }
  return { commands, error: "" }
}

const commands = (input: Uint8Array, random: Random) => {
  const whole = decoded(server, [input])
  const wordsOfAll = whole.messages.map(({ words }) => words.map(text))
  const parts = decoded(server, pieces(input, random))
  same(
    "in pieces",
    { ...parts, messages: parts.messages.map(({ words }) => words.map(text)) },
    { ...whole, messages: wordsOfAll }
  )
  const expected = reference(text(input))
  same("the reference", expected.commands, wordsOfAll)
  const error = /Protocol error: (?<what>expected '\$'|[a-z ]+)/.exec(whole.error)?.groups?.["what"] ?? ""
  same("the fault", expected.error, error)
  for (const command of whole.messages) {
    const again = decoded(server, [protocol.client.encode(command) as Uint8Array])
    same(
      "there and back",
      again.messages.map(({ words }) => words.map(text)),
      [command.words.map(text)]
    )
  }
}

const encode = protocol.server.encode as (reply: Resp.Reply) => string | Uint8Array

const replies = (input: Uint8Array, random: Random) => {
  const whole = decoded(client, [input])
  same("a reply in pieces", decoded(client, pieces(input, random)), whole)
  for (const reply of whole.messages) {
    const written = encode(reply)
    const chunk = typeof written === "string" ? new TextEncoder().encode(written) : written
    same("a reply there and back", decoded(client, [chunk]).messages, [reply])
  }
  // What RESP2 has no word for, and integers that redis-parser does not read exactly, are not its to judge.
  if (whole.error !== "" || !whole.messages.every(isOld)) return
  if (/:(?:[+]|-?0\d|-0)/.test(text(input))) return
  const theirs: Array<unknown> = []
  const parser = new Parser({
    returnBuffers: true,
    returnReply: (reply) => void theirs.push(reply),
    returnError: (error) => void theirs.push(error),
    returnFatalError: (error) => {
      throw error
    }
  })
  // It is sure of what is not whole yet where ours waits for its end.
  parser.execute(Buffer.from(input.subarray(0, input.length - whole.rest)))
  same("redis-parser", theirs.map(asText), whole.messages.map(asText))
}

const isOld = (reply: Resp.Reply): boolean => {
  switch (reply._tag) {
    case "Array":
      return reply.value.every(isOld)
    case "Integer":
      return typeof reply.value === "number"
    case "Null":
      return reply.form !== "null"
    default:
      return ["SimpleString", "Error", "BulkString"].includes(reply._tag)
  }
}

/** As text, from either. */
const asText = (value: unknown): unknown => {
  if (value instanceof Error) return value.message
  if (value instanceof Uint8Array) return new TextDecoder().decode(value)
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== "object" || value === null) return value
  const reply = value as Resp.Reply
  return reply._tag === "Error" ? reply.value : asText(Resp.plain(reply))
}

export const target: Target = {
  name: "resp",
  seeds: [
    "*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$3\r\nAda\r\n*2\r\n$3\r\nGET\r\n$4\r\nname\r\n",
    "*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n\r\nPING\r\n",
    `SET "a b\\x41\\n" 'c \\' d' e"f"\r\nGET a\n  \r\n`,
    "*2\r\n$12\r\n\r\n$1\r\n*2\r\n\0\xff\r\n$0\r\n\r\n",
    "+OK\r\n-ERR no\r\n:1000\r\n:-1\r\n$3\r\nabc\r\n$-1\r\n*-1\r\n*3\r\n:1\r\n*1\r\n$0\r\n\r\n+a\r\n",
    "%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n#t\r\n#f\r\n>2\r\n+message\r\n$1\r\na\r\n_\r\n",
    "|1\r\n+ttl\r\n:5\r\n,1.5e3\r\n,-inf\r\n(1234567890123456789012\r\n=8\r\ntxt:some\r\n!5\r\nERR x\r\n:9223372036854775807\r\n"
  ].map(bytes),
  check: (input, random) => {
    commands(input, random)
    replies(input, random)
  }
}
