import { decimal, isDateTime } from "./scalars.ts"
import { codes, Fault, type Value } from "./values.ts"

/** The documents that answer: what XML cannot express is a fault instead. */

export const writeResponse = (value: Value): string => {
  const parts: Array<string> = []
  const problem = write(value, parts)
  return problem === undefined
    ? `${start}<params><param>${parts.join("")}</param></params></methodResponse>\n`
    : writeFault(problem)
}

export const writeFault = (fault: Fault): string => `${start}<fault>${textOfFault(fault)}</fault></methodResponse>\n`

/** A fault as a value, as it stands in a document, and in the answer of several calls. */
export const valueOfFault = ({ code, text }: Fault): Value => ({
  _tag: "Struct",
  value: new Map<string, Value>([
    ["faultCode", { _tag: "Int", value: code }],
    ["faultString", { _tag: "String", value: text }]
  ])
})

const textOfFault = ({ code, text }: Fault): string => {
  const parts: Array<string> = []
  write(
    valueOfFault(new Fault(code, unwritable.test(text) ? text.replaceAll(new RegExp(unwritable, "gu"), "?") : text)),
    parts
  )
  return parts.join("")
}

const start = '<?xml version="1.0"?>\n<methodResponse>'

/** Everything that XML 1.0 has no way to write: control characters, lone surrogates, two that are no characters. */
// oxlint-disable-next-line eslint/no-control-regex -- they are what is looked for
const unwritable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;" }

const escaped = (text: string): string => text.replaceAll(/[&<>\r]/g, (character) => escapes[character] as string)

const write = (value: Value, parts: Array<string>): Fault | undefined => {
  switch (value._tag) {
    case "String":
      return writeText(value.value, "<value><string>", "</string></value>", parts)
    case "Array": {
      parts.push("<value><array><data>")
      for (const item of value.value) {
        const problem = write(item, parts)
        if (problem !== undefined) return problem
      }
      parts.push("</data></array></value>")
      return undefined
    }
    case "Struct": {
      parts.push("<value><struct>")
      for (const [name, member] of value.value) {
        parts.push("<member>")
        const problem = writeText(name, "<name>", "</name>", parts) ?? write(member, parts)
        if (problem !== undefined) return problem
        parts.push("</member>")
      }
      parts.push("</struct></value>")
      return undefined
    }
    default:
      if (!isWritable(value))
        return new Fault(codes.internalError, "the answer has a value that XML-RPC cannot express")
      parts.push("<value>", scalar(value), "</value>")
      return undefined
  }
}

const writeText = (text: string, before: string, after: string, parts: Array<string>): Fault | undefined => {
  if (unwritable.test(text)) return new Fault(codes.internalError, "the answer has characters that XML cannot express")
  parts.push(before, escaped(text), after)
  return undefined
}

type Scalar = Exclude<Value, { readonly _tag: "String" | "Array" | "Struct" }>

/** What was read is. What a handler has made may not be. */
const isWritable = (value: Scalar): boolean => {
  switch (value._tag) {
    case "Int":
      return (value.value | 0) === value.value
    case "I8":
      return BigInt.asIntN(64, value.value) === value.value
    case "Double":
      return Number.isFinite(value.value)
    case "DateTime":
      return isDateTime(value.value)
    default:
      return true
  }
}

const scalar = (value: Scalar): string => {
  switch (value._tag) {
    case "Int":
      return `<int>${value.value}</int>`
    case "I8":
      return `<i8>${value.value}</i8>`
    case "Boolean":
      return `<boolean>${value.value ? 1 : 0}</boolean>`
    case "Double":
      return `<double>${decimal(value.value)}</double>`
    case "Base64":
      return `<base64>${Buffer.from(value.value).toString("base64")}</base64>`
    case "DateTime":
      return `<dateTime.iso8601>${value.value}</dateTime.iso8601>`
    case "Nil":
      return "<nil/>"
  }
}
