import { Unencodable } from "@socketserver/core/Protocol"
import type { Pairs, Reply } from "../../Resp.ts"
import { bytesOf, join, sizeOf } from "./bytes.ts"

/** The one that most commands answer, already written. */
export const ok: Reply<never> = { _tag: "SimpleString", value: "OK" }

/** How replies are written, up to so many bytes. Text stays text as long as nothing else is among it: it costs least to join and to send. */
export const encoder =
  (most: number, maxDepth: number) =>
  (reply: Reply): string | Uint8Array | Unencodable => {
    switch (reply._tag) {
      case "BulkString":
        // What is asked for most, without a writer.
        return reply.value.length > most ? tooLarge(most) : bulk("$", reply.value)
      case "SimpleString":
        if (reply === ok) return "+OK\r\n"
        break
      case "Integer":
        if (typeof reply.value === "number" && Number.isSafeInteger(reply.value)) return `:${reply.value}\r\n`
        break
      case "Null":
        return nulls[reply.form]
    }
    const writer = new Writer(most, maxDepth)
    writer.add(reply, 0)
    return writer.written
  }

const nulls = { null: "_\r\n", bulk: "$-1\r\n", array: "*-1\r\n" } as const

const tooLarge = (most: number) => new Unencodable(`it has more than ${most} bytes (maxReplyBytes)`)

const notText = new Unencodable("it has a lone surrogate, which UTF-8 cannot express")

/** A string after its length, in bytes. */
const bulk = (type: "$" | "!" | "=", value: string | Uint8Array, head = ""): string | Uint8Array | Unencodable => {
  if (typeof value === "string") {
    const size = sizeOf(value)
    if (size !== value.length && !value.isWellFormed()) return notText
    return `${type}${size + head.length}\r\n${head}${value}\r\n`
  }
  const before = `${type}${value.length + head.length}\r\n${head}`
  const bytes = new Uint8Array(before.length + value.length + 2)
  for (let i = 0; i < before.length; i++) bytes[i] = before.charCodeAt(i)
  bytes.set(value, before.length)
  bytes[bytes.length - 2] = 13
  bytes[bytes.length - 1] = 10
  return bytes
}

class Writer {
  private readonly most: number
  private readonly maxDepth: number
  private text = ""
  private parts: Array<string | Uint8Array> | undefined = undefined
  private size = 0
  private problem: Unencodable | undefined = undefined

  constructor(most: number, maxDepth: number) {
    this.most = most
    this.maxDepth = maxDepth
  }

  get written(): string | Uint8Array | Unencodable {
    if (this.problem !== undefined) return this.problem
    if (this.parts === undefined) return this.text
    return join(this.text === "" ? this.parts : [...this.parts, this.text])
  }

  add(reply: Reply, depth: number): void {
    switch (reply._tag) {
      case "SimpleString":
        return this.line("+", reply.value)
      case "Error":
        // As Redis does: an error is said whatever it quotes.
        return this.line("-", reply.value.replaceAll(lineEnds, " "))
      case "Integer":
        return typeof reply.value === "bigint" || Number.isSafeInteger(reply.value)
          ? this.put(`:${reply.value}\r\n`)
          : this.refuse(`${reply.value} is no integer, or no exact one`)
      case "BulkString":
        return this.bulk("$", reply.value, "")
      case "BulkError":
        return this.bulk("!", reply.value, "")
      case "VerbatimString":
        return reply.format.length === 3 && sizeOf(reply.format) === 3
          ? this.bulk("=", reply.value, `${reply.format}:`)
          : this.refuse(`the format of a verbatim string has three letters`)
      case "Null":
        return this.put(nulls[reply.form])
      case "Boolean":
        return this.put(reply.value ? "#t\r\n" : "#f\r\n")
      case "Double":
        return this.put(`,${doubleText(reply.value)}\r\n`)
      case "BigNumber":
        return this.put(`(${reply.value}\r\n`)
      case "Array":
        return this.all("*", reply.value, depth)
      case "Set":
        return this.all("~", reply.value, depth)
      case "Push":
        return this.all(">", reply.value, depth)
      case "Map":
        return this.pairs("%", reply.value, depth)
      case "Attributed":
        this.pairs("|", reply.attributes, depth)
        return this.add(reply.value, depth)
      case "Several":
        for (const one of reply.value) this.add(one, depth)
        return
      default:
        return this.refuse("it is no reply")
    }
  }

  private all(type: string, values: ReadonlyArray<Reply>, depth: number): void {
    if (depth >= this.maxDepth) return this.refuse(`it has more than ${this.maxDepth} levels (maxDepth)`)
    this.put(`${type}${values.length}\r\n`)
    for (let i = 0; i < values.length && this.problem === undefined; i++) this.add(values[i] as Reply, depth + 1)
  }

  private pairs(type: string, pairs: Pairs, depth: number): void {
    if (depth >= this.maxDepth) return this.refuse(`it has more than ${this.maxDepth} levels (maxDepth)`)
    this.put(`${type}${pairs.length}\r\n`)
    for (let i = 0; i < pairs.length && this.problem === undefined; i++) {
      const [key, value] = pairs[i] as Pairs[number]
      this.add(key, depth + 1)
      this.add(value, depth + 1)
    }
  }

  private line(type: "+" | "-", text: string): void {
    if (text.includes("\r") || text.includes("\n")) return this.refuse("a simple string cannot contain a line end")
    if (!text.isWellFormed()) return this.refuse(notText.problem)
    this.put(`${type}${text}\r\n`)
  }

  private bulk(type: "$" | "!" | "=", value: string | Uint8Array, head: string): void {
    const written = bulk(type, value, head)
    if (written instanceof Unencodable) return this.refuse(written.problem)
    this.put(written)
  }

  private put(part: string | Uint8Array): void {
    this.size += part.length
    if (this.size > this.most) return this.refuse(tooLarge(this.most).problem)
    if (typeof part === "string") {
      this.text += part
      return
    }
    this.parts ??= []
    if (this.text !== "") this.parts.push(bytesOf(this.text))
    this.text = ""
    this.parts.push(part)
  }

  private refuse(problem: string): void {
    this.problem ??= new Unencodable(problem)
  }
}

const lineEnds = /[\r\n]/g

/** As Redis writes one. */
export const doubleText = (value: number): string => {
  if (value === Infinity) return "inf"
  if (value === -Infinity) return "-inf"
  return Number.isNaN(value) ? "nan" : Object.is(value, -0) ? "-0" : String(value)
}
