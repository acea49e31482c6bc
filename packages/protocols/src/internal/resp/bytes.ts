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

/** A character for each byte. */
export const latin1 = (bytes: Uint8Array, from: number, to: number): string => latin1Slice.call(bytes, from, to)

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
