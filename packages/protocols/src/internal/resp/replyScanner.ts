import type { Reply } from "../../Resp.ts"
import { empty, textOf } from "./bytes.ts"
import type { Scanner } from "./frames.ts"
import * as headers from "./header.ts"

/** What bounds a reply. */
export interface ReplyLimits {
  readonly maxDepth: number
  readonly maxElements: number
  readonly maxBulkBytes: number
  readonly maxInlineBytes: number
}

type Received = Reply<Uint8Array>

/** A value that has parts, of which some are still to come. */
interface Open {
  readonly type: number
  left: number
  readonly parts: Array<Received>
  /** The attributes, once they are there and what they belong to is not. */
  attributes: ReadonlyArray<readonly [Received, Received]> | undefined
}

const at = (character: string): number => character.charCodeAt(0)
const [star, tilde, greater, percent, bar] = [at("*"), at("~"), at(">"), at("%"), at("|")]
const [dollar, exclamation, equals] = [at("$"), at("!"), at("=")]
const carriageReturn = 13
const newline = 10

/** Replies of RESP2 and RESP3. Parts that are there are kept on a stack: however deep they lie, none is read twice. */
export class ReplyScanner implements Scanner<Received> {
  private readonly limits: ReplyLimits
  message: Received | undefined = undefined
  payload: Uint8Array = empty
  needed = 0
  problem = ""
  private readonly stack: Array<Open> = []
  /** Where the next value starts, and how much of its line has no end. */
  private at = 0
  private seen = 0
  private elements = 0

  constructor(limits: ReplyLimits) {
    this.limits = limits
  }

  scan(input: Uint8Array, from: number, to: number): number {
    for (;;) {
      const end = this.value(input, from + this.at, from, to)
      if (end <= 0) return end
      this.at = end - from
      if (this.message === undefined || !this.close()) continue
      this.at = 0
      this.elements = 0
      this.payload = input.subarray(from, end)
      return end
    }
  }

  /** Reads one value, or the head of one that has parts: then there is no message yet. */
  private value(input: Uint8Array, start: number, from: number, to: number): number {
    if (start >= to) return this.more(0)
    const type = input[start] as number
    switch (type) {
      case star:
      case tilde:
      case greater:
      case percent:
      case bar:
        return this.head(type, input, start, to)
      case dollar:
      case exclamation:
      case equals:
        return this.bulk(type, input, start, from, to)
      default:
        return this.line(type, input, start, to)
    }
  }

  private head(type: number, input: Uint8Array, start: number, to: number): number {
    const { maxDepth, maxElements } = this.limits
    const next = headers.header(input, start + 1, to, type === star ? -1 : 0, maxElements)
    if (next < 0) return this.wrong("a number of elements that is none, or too large")
    if (next === 0) return this.more(0)
    const count = headers.number
    if (count < 0) return this.found({ _tag: "Null", form: "array" }, next)
    const left = type === percent || type === bar ? count * 2 : count
    this.elements += left
    if (this.elements > maxElements) return this.wrong(`more than ${maxElements} elements`)
    if (left === 0 && type !== bar) return this.found(made(type, []), next)
    if (this.stack.length >= maxDepth) return this.wrong(`more than ${maxDepth} levels`)
    const attributes = left === 0 ? [] : undefined
    this.stack.push({ type, left: Math.max(left, 1), parts: [], attributes })
    this.message = undefined
    return next
  }

  private bulk(type: number, input: Uint8Array, start: number, from: number, to: number): number {
    const body = headers.header(input, start + 1, to, type === dollar ? -1 : 0, this.limits.maxBulkBytes)
    if (body < 0) return this.wrong("a length that is none, or too large")
    if (body === 0) return this.more(0)
    if (headers.number < 0) return this.found({ _tag: "Null", form: "bulk" }, body)
    const end = body + headers.number
    if (end + 2 > to) return this.more(end + 2 - from)
    if (input[end] !== carriageReturn || input[end + 1] !== newline)
      return this.wrong("no line end after a bulk string")
    if (type === dollar) return this.found({ _tag: "BulkString", value: input.slice(body, end) }, end + 2)
    if (type === exclamation) {
      return this.found({ _tag: "BulkError", value: textOf(input.subarray(body, end)) }, end + 2)
    }
    const format = textOf(input.subarray(body, body + 3))
    if (end - body < 4 || input[body + 3] !== at(":") || !letters.test(format)) {
      return this.wrong("a verbatim string without its format")
    }
    return this.found({ _tag: "VerbatimString", format, value: input.slice(body + 4, end) }, end + 2)
  }

  private line(type: number, input: Uint8Array, start: number, to: number): number {
    const { maxInlineBytes } = this.limits
    // What is none is none at once: nobody waits for the end of its line.
    if (!lineTypes.has(type)) return this.wrong("a type that is none")
    // What is behind may be much, and has been there before.
    const found = (to < input.length ? input.subarray(0, to) : input).indexOf(newline, start + this.seen)
    const isWhole = found !== -1
    const end = isWhole ? found : to
    if (end - start > maxInlineBytes) return this.wrong(`a line of more than ${maxInlineBytes} bytes`)
    if (!isWhole) {
      this.seen = to - start
      return this.more(0)
    }
    this.seen = 0
    if (input[end - 1] !== carriageReturn) return this.wrong("a line that ends without a carriage return")
    const text = textOf(input.subarray(start + 1, Math.max(start + 1, end - 1)))
    if (text.includes("\r")) return this.wrong("a carriage return within a line")
    const value = ofLine(type, text)
    return typeof value === "string" ? this.wrong(value) : this.found(value, end + 1)
  }

  /** Puts the value that was found where it belongs; whether the whole reply is there. */
  private close(): boolean {
    const { stack } = this
    let value = this.message as Received
    for (let open = stack.at(-1); open !== undefined; open = stack.at(-1)) {
      if (open.attributes !== undefined) {
        value = { _tag: "Attributed", attributes: open.attributes, value }
        stack.pop()
        continue
      }
      open.parts.push(value)
      open.left--
      if (open.left > 0) return false
      if (open.type === bar) {
        open.attributes = pairs(open.parts)
        return false
      }
      value = made(open.type, open.parts)
      stack.pop()
    }
    this.message = value
    return true
  }

  private found(value: Received, end: number): number {
    this.message = value
    return end
  }

  private more(needed: number): number {
    this.needed = needed
    return 0
  }

  private wrong(problem: string): number {
    this.problem = `the reply has ${problem}`
    return -1
  }
}

const made = (type: number, parts: ReadonlyArray<Received>): Received => {
  switch (type) {
    case percent:
      return { _tag: "Map", value: pairs(parts) }
    case tilde:
      return { _tag: "Set", value: parts }
    case greater:
      return { _tag: "Push", value: parts }
    default:
      return { _tag: "Array", value: parts }
  }
}

const pairs = (parts: ReadonlyArray<Received>): ReadonlyArray<readonly [Received, Received]> =>
  Array.from({ length: parts.length / 2 }, (_, i) => [parts[2 * i] as Received, parts[2 * i + 1] as Received] as const)

const letters = /^[!-~]{3}$/
const integer = /^[+-]?\d{1,19}$/
const big = /^[+-]?\d+$/
const double = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** What a line says, or what is wrong with it. */
const ofLine = (type: number, text: string): Received | string => {
  switch (type) {
    case at("+"):
      return { _tag: "SimpleString", value: text }
    case at("-"):
      return { _tag: "Error", value: text }
    case at(":"): {
      if (!integer.test(text)) return "an integer that is none"
      const value = Number(text)
      if (Number.isSafeInteger(value)) return { _tag: "Integer", value: value === 0 ? 0 : value }
      const exact = BigInt(text)
      return BigInt.asIntN(64, exact) === exact ? { _tag: "Integer", value: exact } : "an integer beyond 64 bits"
    }
    case at("_"):
      return text === "" ? { _tag: "Null", form: "null" } : "a null that is none"
    case at("#"):
      if (text === "t") return { _tag: "Boolean", value: true }
      return text === "f" ? { _tag: "Boolean", value: false } : "a boolean that is none"
    case at(","): {
      if (text === "inf" || text === "+inf") return { _tag: "Double", value: Infinity }
      if (text === "-inf") return { _tag: "Double", value: -Infinity }
      if (text === "nan" || text === "-nan") return { _tag: "Double", value: NaN }
      return double.test(text) ? { _tag: "Double", value: Number(text) } : "a double that is none"
    }
    case at("("):
      // To read more digits takes the square of their number.
      if (text.length > 1_024) return "a number of more than 1024 digits"
      return big.test(text) ? { _tag: "BigNumber", value: BigInt(text) } : "a big number that is none"
    default:
      return "a type that is none"
  }
}

const lineTypes = new Set(["+", "-", ":", "_", "#", ",", "("].map(at))
