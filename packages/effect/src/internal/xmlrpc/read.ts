import * as Result from "effect/Result"
import type { SaxesParser } from "saxes"
import { scalarOf } from "./scalars.ts"
import { type Bounds, codes, Fault, type Value } from "./values.ts"

/** A call of a method. */
export interface Call {
  readonly method: string
  readonly params: ReadonlyArray<Value>
}

/** What reads XML: saxes, which whoever serves XML-RPC loads. */
export type Parser = typeof SaxesParser

/** Reads the document of a call. What is wrong with it is a fault, whatever it is. */
export const readCall = (Parser: Parser, text: string, bounds: Bounds): Result.Result<Call, Fault> => {
  const parser = new Parser({ xmlns: false, position: false })
  const reader = new Reader(bounds)
  parser.on("error", () => {
    throw new Fault(codes.notWellFormed, "the document is not well formed")
  })
  parser.on("doctype", () => {
    throw new Fault(codes.notXmlRpc, "a document type is not taken")
  })
  parser.on("opentag", ({ name }) => reader.open(name))
  parser.on("closetag", ({ name }) => reader.close(name))
  parser.on("text", (text) => reader.text(text))
  parser.on("cdata", (text) => reader.text(text))
  const read = Result.try({
    try: () => void parser.write(text).close(),
    catch: (thrown) =>
      thrown instanceof Fault ? thrown : new Fault(codes.notWellFormed, "the document cannot be read")
  })
  return Result.flatMap(read, () => reader.call())
}

/** An element that is open, and what has come of it. */
interface Open {
  readonly name: string
  text: string
  /** Of a value, an array, or a struct. */
  readonly values: Array<Value>
  /** Of a struct, or of a member of one. */
  readonly members: Map<string, Value> | undefined
  memberName: string | undefined
  elements: number
}

/** Which elements an element may have. The others hold text. */
const children: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": ["methodCall"],
  methodCall: ["methodName", "params"],
  params: ["param"],
  param: ["value"],
  array: ["data"],
  data: ["value"],
  struct: ["member"],
  member: ["name", "value"]
}

const scalars = new Set([
  "i4",
  "int",
  "i8",
  "ex:i8",
  "boolean",
  "double",
  "string",
  "base64",
  "dateTime.iso8601",
  "nil",
  "ex:nil"
])

const isBlank = (text: string): boolean => !/\S/.test(text)

/** Makes the values of what is read, by a stack of those that are open. */
class Reader {
  private readonly bounds: Bounds
  private readonly stack: Array<Open> = [opened("")]
  private depth = 0
  private values = 0
  private method: string | undefined = undefined
  private params: ReadonlyArray<Value> | undefined = undefined

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  private get top(): Open {
    return this.stack[this.stack.length - 1] as Open
  }

  open(name: string): void {
    const { top } = this
    const isKnown =
      top.name === "value"
        ? scalars.has(name) || name === "array" || name === "struct"
        : children[top.name]?.includes(name) === true
    if (!isKnown) throw new Fault(codes.notXmlRpc, `an element stands where it cannot, in ${labelOf(top.name)}`)
    const single = top.name === "value" || top.name === "param" || top.name === "array" || top.name === ""
    if (single && top.elements > 0) throw new Fault(codes.notXmlRpc, `${labelOf(top.name)} has more than one element`)
    if (!isBlank(top.text)) throw new Fault(codes.notXmlRpc, `${labelOf(top.name)} has text beside an element`)
    top.text = ""
    top.elements++
    if (name === "value") {
      if (++this.values > this.bounds.maxValues) throw tooMany(`more than ${this.bounds.maxValues} values`)
      if (++this.depth > this.bounds.maxDepth) throw tooMany(`values deeper than ${this.bounds.maxDepth}`)
    }
    this.stack.push(opened(name))
  }

  text(text: string): void {
    this.top.text += text
  }

  close(name: string): void {
    const open = this.stack.pop() as Open
    const { top } = this
    if (name in children && !isBlank(open.text)) throw new Fault(codes.notXmlRpc, `${labelOf(name)} has text`)
    switch (name) {
      case "methodName":
        if (this.method !== undefined) throw new Fault(codes.notXmlRpc, "a call has one method")
        this.method = open.text.trim()
        return
      case "params":
        if (this.params !== undefined) throw new Fault(codes.notXmlRpc, "a call has its parameters once")
        this.params = open.values
        return
      case "param":
      case "data":
        if (name === "param" && open.values.length !== 1) throw new Fault(codes.notXmlRpc, "a parameter is one value")
        top.values.push(...(name === "param" ? open.values : []))
        if (name === "data") for (const value of open.values) top.values.push(value)
        return
      case "value": {
        this.depth--
        if (open.elements > 0 && !isBlank(open.text))
          throw new Fault(codes.notXmlRpc, "<value> has text beside an element")
        top.values.push(open.elements === 0 ? { _tag: "String", value: open.text } : (open.values[0] as Value))
        return
      }
      case "name":
        top.memberName = open.text
        return
      case "member":
        if (open.memberName === undefined || open.values.length !== 1) {
          throw new Fault(codes.notXmlRpc, "a member is a name and a value")
        }
        top.members?.set(open.memberName, open.values[0] as Value)
        return
      case "array":
        top.values.push({ _tag: "Array", value: open.values })
        return
      case "struct":
        top.values.push({ _tag: "Struct", value: open.members ?? new Map() })
        return
      case "methodCall":
        return
      default: {
        const scalar = scalarOf(name, open.text)
        if (scalar._tag === "Fault") throw scalar
        top.values.push(scalar)
      }
    }
  }

  call(): Result.Result<Call, Fault> {
    const { method, params = [] } = this
    return method === undefined || method === ""
      ? Result.fail(new Fault(codes.notXmlRpc, "it is no call of a method"))
      : Result.succeed({ method, params })
  }
}

const opened = (name: string): Open => ({
  name,
  text: "",
  values: [],
  members: name === "struct" ? new Map() : undefined,
  memberName: undefined,
  elements: 0
})

const labelOf = (name: string): string => (name === "" ? "a document" : `<${name}>`)

const tooMany = (what: string): Fault => new Fault(codes.notXmlRpc, `the call has ${what}`)
