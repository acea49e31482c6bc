/** Bytes and text, as RESP has them. Node's `Buffer` does natively what would be a loop here. */

const utf8 = new TextEncoder()
const asText = new TextDecoder("utf-8", { ignoreBOM: true })

export const empty = new Uint8Array(0)

/** Text as UTF-8. */
export const bytesOf = (text: string): Uint8Array => utf8.encode(text)

/** UTF-8 as text; what is none of it is shown as U+FFFD. */
export const textOf = (bytes: Uint8Array): string => asText.decode(bytes)

const { latin1Slice } = Buffer.prototype as unknown as {
  readonly latin1Slice: (this: Uint8Array, from: number, to: number) => string
}

/** A character for each byte. A call of native code costs more than to make a short text here: most words are short. */
export const latin1 = (bytes: Uint8Array, from: number, to: number): string => {
  const size = to - from
  if (size <= 8) return upToEight(bytes, from, size)
  return size <= 16
    ? upToEight(bytes, from, 8) + upToEight(bytes, from + 8, size - 8)
    : latin1Slice.call(bytes, from, to)
}

const of = String.fromCharCode

const upToEight = (b: Uint8Array, i: number, size: number): string => {
  switch (size) {
    case 0:
      return ""
    case 1:
      return of(b[i]!)
    case 2:
      return of(b[i]!, b[i + 1]!)
    case 3:
      return of(b[i]!, b[i + 1]!, b[i + 2]!)
    case 4:
      return of(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!)
    case 5:
      return of(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!, b[i + 4]!)
    case 6:
      return of(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!, b[i + 4]!, b[i + 5]!)
    case 7:
      return of(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!, b[i + 4]!, b[i + 5]!, b[i + 6]!)
    default:
      return of(b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!, b[i + 4]!, b[i + 5]!, b[i + 6]!, b[i + 7]!)
  }
}

/** The bytes of such characters. */
export const bytesOfLatin1 = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** How many bytes text has as UTF-8. */
export const sizeOf = (text: string): number => {
  const { length } = text
  // A call of native code costs more than to look at a short text.
  if (length > 24) return Buffer.byteLength(text)
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 127) return Buffer.byteLength(text)
  return length
}

/** Whether text has a byte for each character. */
export const isAscii = (text: string): boolean => {
  const { length } = text
  if (length > 24) return Buffer.byteLength(text) === length
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

/** Joins parts; a string stands for its UTF-8. */
export const join = (parts: ReadonlyArray<string | Uint8Array>): Uint8Array => {
  const all = parts.map((part) => (typeof part === "string" ? utf8.encode(part) : part))
  let size = 0
  for (const part of all) size += part.length
  const joined = new Uint8Array(size)
  let at = 0
  for (const part of all) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
