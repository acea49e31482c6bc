import * as Result from "effect/Result"
import { codes, Fault } from "./values.ts"

/** From the bytes of a document to its text: by the charset of HTTP, its own declaration, or UTF-8. */
export const textOf = (bytes: Uint8Array, charset: string | undefined): Result.Result<string, Fault> => {
  const name = (charset ?? declared(bytes) ?? "utf-8").toLowerCase()
  if (name === "iso-8859-1" || name === "latin1") return Result.succeed(Buffer.from(bytes).toString("latin1"))
  if (!supported.has(name)) {
    return Result.fail(new Fault(codes.unsupportedEncoding, "a document is in UTF-8, UTF-16, ASCII or ISO 8859-1"))
  }
  return Result.try({
    try: () => new TextDecoder(name === "us-ascii" ? "utf-8" : name, { fatal: true }).decode(bytes),
    catch: () => new Fault(codes.invalidCharacter, "the document is not in the encoding that it says")
  })
}

const supported = new Set(["utf-8", "utf8", "us-ascii", "utf-16", "utf-16le", "utf-16be"])

/** What a document says of itself in its first line, or by its first bytes. */
const declared = (bytes: Uint8Array): string | undefined => {
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be"
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le"
  const start = Buffer.from(bytes.subarray(0, 200)).toString("latin1")
  return /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']/.exec(start)?.[1]
}

/** The charset that the type of a body names. */
export const charsetOf = (contentType: string | undefined): string | undefined =>
  /;\s*charset\s*=\s*"?([A-Za-z0-9._-]{1,40})/i.exec(contentType ?? "")?.[1]
