/**
 * Names as people write them, and as they are sent (RFC 1035, 3.1 and 5.1; RFC 4343).
 *
 * In text a dot inside a label is `\.`, a backslash `\\`, and a byte that is no
 * visible ASCII character `\` and its number in three digits. So any name that can
 * be sent can be written, and is the same when it is sent again.
 */

const [dot, backslash] = [0x2e, 0x5c]
const digitOf = (text: string, at: number): number => {
  const digit = text.charCodeAt(at) - 0x30
  return digit >= 0 && digit <= 9 ? digit : Number.NaN
}

export const maxNameBytes = 255
const maxLabelBytes = 63

/** The labels of a name as they are sent, or what is wrong with it. */
export const parseName = (text: string): Uint8Array | string => {
  if (text === ".") return Uint8Array.of(0)
  if (text === "") return "it is empty: the root is written as a dot"
  const bytes: Array<number> = [0]
  let start = 0
  const { length } = text
  for (let at = 0; at < length; at++) {
    let code = text.charCodeAt(at)
    if (code === dot) {
      if (bytes.length === start + 1) return "it has an empty label"
      if (at === length - 1) break
      start = bytes.length
      bytes.push(0)
      continue
    }
    if (code === backslash) {
      const number = digitOf(text, at + 1) * 100 + digitOf(text, at + 2) * 10 + digitOf(text, at + 3)
      if (Number.isNaN(number)) {
        code = text.charCodeAt(++at)
        if (Number.isNaN(code)) return "it ends with a backslash"
        if (!Number.isNaN(digitOf(text, at))) return "a backslash with a digit needs three of them"
      } else {
        if (number > 255) return `\\${number} is no byte`
        code = number
        at += 3
      }
    }
    if (code > 127 && text.charCodeAt(at) === code)
      return "it has characters beyond ASCII: write it in Punycode (xn--…)"
    bytes.push(code)
    const size = bytes.length - start - 1
    if (size > maxLabelBytes) return `a label has more than ${maxLabelBytes} bytes`
    bytes[start] = size
    if (bytes.length >= maxNameBytes) return `it has more than ${maxNameBytes} bytes`
  }
  bytes.push(0)
  return Uint8Array.from(bytes)
}

/** A label as text. */
export const labelText = (bytes: Uint8Array, from: number, to: number): string => {
  let text = ""
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    text +=
      byte === dot || byte === backslash
        ? `\\${String.fromCharCode(byte)}`
        : byte > 0x20 && byte < 0x7f
          ? String.fromCharCode(byte)
          : `\\${String(byte).padStart(3, "0")}`
  }
  return text
}
