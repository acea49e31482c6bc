import { codes, Fault, type Value } from "./values.ts"

/** What the text of a scalar element stands for, and the other way round. Each takes linear time. */

const wrong = (element: string, what: string): Fault => new Fault(codes.notXmlRpc, `<${element}> holds no ${what}`)

export const scalarOf = (element: string, text: string): Value | Fault => {
  switch (element) {
    case "i4":
    case "int": {
      // "-0" is no integer of its own.
      const value = /^\s*[+-]?\d{1,20}\s*$/.test(text) ? Number(text) + 0 : NaN
      return value >= -(2 ** 31) && value < 2 ** 31 ? { _tag: "Int", value } : wrong(element, "integer of 32 bits")
    }
    case "i8":
    case "ex:i8": {
      const digits = text.trim()
      if (!/^[+-]?\d{1,30}$/.test(digits)) return wrong(element, "integer")
      const value = BigInt(digits.startsWith("+") ? digits.slice(1) : digits)
      return BigInt.asIntN(64, value) === value ? { _tag: "I8", value } : wrong(element, "integer of 64 bits")
    }
    case "boolean": {
      const digit = text.trim()
      return digit === "0" || digit === "1" ? { _tag: "Boolean", value: digit === "1" } : wrong(element, "0 or 1")
    }
    case "double": {
      const value = isDecimal(text.trim()) ? Number(text) : NaN
      return Number.isFinite(value) ? { _tag: "Double", value } : wrong(element, "number")
    }
    case "string":
      return { _tag: "String", value: text }
    case "base64":
      return isBase64(text)
        ? { _tag: "Base64", value: new Uint8Array(Buffer.from(text, "base64")) }
        : wrong(element, "base64")
    case "dateTime.iso8601": {
      const value = text.trim()
      return isDateTime(value) ? { _tag: "DateTime", value } : wrong(element, "time such as 19980717T14:08:55")
    }
    case "nil":
    case "ex:nil":
      return text.trim() === "" ? { _tag: "Nil" } : wrong(element, "text, as it should be empty,")
    default:
      return new Fault(codes.notXmlRpc, "there is no such type of value")
  }
}

const isDecimal = (text: string): boolean =>
  text.length <= 1_100 && /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$/.test(text)

// Without its end: two parts that may be blank would be tried against each other.
const isBase64 = (text: string): boolean => /^[A-Za-z0-9+/\s]*={0,2}$/.test(text.trimEnd())

export const isDateTime = (text: string): boolean =>
  /^\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$/.test(text)

/** A number without an exponent, which XML-RPC does not know. */
export const decimal = (value: number): string => {
  const text = String(value)
  const [, sign = "", whole = "", fraction = "", exponent = ""] = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text) ?? []
  if (exponent === "") return Object.is(value, -0) ? "-0.0" : text.includes(".") ? text : `${text}.0`
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`
  return `${sign}${digits.padEnd(point, "0")}.0`
}
