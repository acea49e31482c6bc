import { isUtf8 } from "node:buffer"

/** Bytes as text, and text as bytes. */

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** The text that bytes are in UTF-8, if they are. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  // oxlint-disable-next-line socketserver/no-try -- `TextDecoder` says that bytes are not UTF-8 only by throwing
  try {
    return fatal.decode(bytes)
  } catch {
    return undefined
  }
}

/** The same of one of many short pieces. They are asked first: what is thrown of a byte costs as much as thousands of them. */
export const shortTextOf = (bytes: Uint8Array): string | undefined => (isUtf8(bytes) ? textOf(bytes) : undefined)

/** The text of bytes of which nothing is known: UTF-8, or else a character for each byte. */
export const anyTextOf = (bytes: Uint8Array): string => shortTextOf(bytes) ?? latin1Of(bytes)

// By hand: what `TextDecoder` calls Latin-1 is another table, of Windows.
const latin1Of = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += piece) text += String.fromCharCode(...bytes.subarray(at, at + piece))
  return text
}

/** As many arguments as a call may have, and some to spare. */
const piece = 4_096

export const bytesOf = (text: string): Uint8Array => encoder.encode(text)
