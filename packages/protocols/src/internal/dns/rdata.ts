import { Buffer, isUtf8 } from "node:buffer"
import { createRequire } from "node:module"
import { isIPv4, isIPv6 } from "node:net"
import * as Result from "effect/Result"
import type { Record } from "./model.ts"
import type { Cursor } from "./cursor.ts"
import type { Writer } from "./writer.ts"

/**
 * The data of records.
 *
 * Names in it are read and written by ourselves, since labels with dots and bytes
 * beyond ASCII do not come through dns-packet as they are; so are texts, whose
 * lengths it wraps at 256 bytes. It has the rest.
 */

type Data = Record["data"]
interface Fields {
  readonly [field: string]: string | number | Uint8Array
}

/** A field of a format: a name, which may be compressed where that is allowed (RFC 3597, 4), or a number. */
type Field = "compressible" | "name" | 16 | 32

const names: { readonly [type: string]: Field } = {
  NS: "compressible",
  CNAME: "compressible",
  PTR: "compressible",
  DNAME: "name"
}

const formats: { readonly [type: string]: { readonly [field: string]: Field } } = {
  MX: { preference: 16, exchange: "compressible" },
  SRV: { priority: 16, weight: 16, port: 16, target: "name" },
  SOA: {
    mname: "compressible",
    rname: "compressible",
    serial: 32,
    refresh: 32,
    retry: 32,
    expire: 32,
    minimum: 32
  }
}

/** What dns-packet reads and writes: a length, and the data. Its types leave this out. */
interface RData {
  readonly encode: ((data: unknown, buffer: Buffer, offset: number) => void) & { readonly bytes: number }
  readonly decode: ((buffer: Buffer, offset: number) => unknown) & { readonly bytes: number }
}
let dnsPacket: { readonly record: (type: string) => RData } | undefined

/** Loads dns-packet, or says why that cannot be: whoever uses another protocol of this package need not have it. */
export const missing = (): string | undefined => {
  if (dnsPacket !== undefined) return undefined
  const loaded = Result.try(() => createRequire(import.meta.url)("dns-packet") as typeof dnsPacket)
  if (Result.isSuccess(loaded)) dnsPacket = loaded.success
  else return "the package dns-packet reads and writes its records, and cannot be loaded; npm install dns-packet@5.6"
  return undefined
}

/** Nothing, where it is missing. */
const recordOf = (type: string): RData | undefined => {
  missing()
  return dnsPacket?.record(type)
}

const theirs = new Set(["A", "AAAA", "DNSKEY", "DS", "TLSA"])

const isAddress: { readonly [type: string]: (text: string) => boolean } = {
  A: isIPv4,
  AAAA: (text) => isIPv6(text) && !text.includes("%")
}

/** Reads the data of a record, which are all bytes of the cursor from its place on. */
export const readData = (type: string, cursor: Cursor): Data => {
  if (names[type] !== undefined) return cursor.name()
  const format = formats[type]
  if (format !== undefined) return readFields(format, cursor) as never
  if (type === "TXT") return readTexts(cursor)
  if (type === "CAA") return readCaa(cursor) as never
  if (!theirs.has(type)) return new Uint8Array(cursor.take(cursor.end - cursor.at))
  return readTheirs(type, cursor)
}

const readFields = (format: { readonly [field: string]: Field }, cursor: Cursor): Fields => {
  const fields: { [field: string]: string | number } = {}
  for (const [name, field] of Object.entries(format)) {
    fields[name] = field === 16 ? cursor.u16() : field === 32 ? cursor.u32() : cursor.name()
  }
  return fields
}

/** Text where it is some. */
const textOf = (bytes: Uint8Array): string | Uint8Array => (isUtf8(bytes) ? utf8.decode(bytes) : new Uint8Array(bytes))

const readTexts = (cursor: Cursor): ReadonlyArray<string | Uint8Array> => {
  const texts: Array<string | Uint8Array> = []
  do texts.push(textOf(cursor.take(cursor.u8())))
  while (cursor.at < cursor.end)
  return texts
}

const readCaa = (cursor: Cursor): Fields => {
  const flags = cursor.u8()
  const tag = textOf(cursor.take(cursor.u8()))
  if (typeof tag !== "string") cursor.fail("the tag of a CAA record is no text")
  return { flags, tag, value: textOf(cursor.take(cursor.end - cursor.at)) }
}

const readTheirs = (type: string, cursor: Cursor): Data => {
  const { at, bytes, end } = cursor
  const size = end - at
  // It would read past the data, into the next record or beyond the message.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, end)
  const theirs = recordOf(type)
  const data = Result.try(() => {
    if (theirs === undefined) throw new Error(missing())
    const { decode } = theirs
    const read = decode(buffer, at - 2)
    if (decode.bytes !== size + 2) throw new Error("its length is wrong")
    return typeof read === "string" ? read : withCopies(read as Fields)
  })
  cursor.at = end
  if (Result.isSuccess(data)) return data.success as Data
  cursor.fail(`the data of a record is no ${type}`)
  return new Uint8Array(0)
}

/** What dns-packet reads is views of what arrived. */
const withCopies = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Uint8Array ? Uint8Array.from(value) : value])
  )

/** Writes the data of a record, its length before it. */
export const writeData = (type: string, data: Data, writer: Writer): void => {
  if (theirs.has(type)) return writeTheirs(type, data, writer)
  const { at } = writer
  writer.at += 2
  const name = names[type]
  const format = formats[type]
  if (name !== undefined) writeField("its data", name, data, writer)
  else if (format !== undefined && isFields(data)) {
    for (const [key, field] of Object.entries(format)) writeField(key, field, data[key], writer)
  } else if (type === "TXT") writeTexts(data, writer)
  else if (type === "CAA" && isFields(data)) writeCaa(data, writer)
  else if (data instanceof Uint8Array) writer.bytes(data)
  else writer.fail(`the data of a record is no ${type}`)
  const size = writer.at - at - 2
  if (size > 65_535) writer.fail("the data of a record has more than 65535 bytes")
  const end = writer.at
  writer.at = at
  writer.u16(size)
  writer.at = end
}

const isFields = (data: unknown): data is Fields & Data => typeof data === "object" && data !== null

const writeField = (key: string, field: Field, value: unknown, writer: Writer): void => {
  if (field === "name" || field === "compressible") {
    if (typeof value !== "string") return writer.fail(`${key} is no name`)
    return writer.name(value, field === "compressible")
  }
  writer.number(value as number, field, key)
}

const writeTexts = (data: unknown, writer: Writer): void => {
  const texts: ReadonlyArray<unknown> = Array.isArray(data) ? data : [data]
  if (texts.length === 0) return writer.fail("a TXT record has at least one text")
  for (const text of texts) {
    writeText(text, writer)
    if (writer.problem !== undefined) return
  }
}

const writeText = (text: unknown, writer: Writer): void => {
  const bytes = bytesOf(text)
  if (bytes === undefined) return writer.fail("a text is neither bytes nor a well-formed string")
  if (bytes.length > 255) return writer.fail(`a text has ${bytes.length} bytes, and 255 are the most`)
  writer.u8(bytes.length)
  writer.bytes(bytes)
}

const bytesOf = (text: unknown): Uint8Array | undefined => {
  if (typeof text === "string") return text.isWellFormed() ? utf8Bytes.encode(text) : undefined
  return text instanceof Uint8Array ? text : undefined
}

const writeCaa = ({ flags, tag, value }: Fields, writer: Writer): void => {
  if (typeof tag !== "string") return writer.fail("the tag of a CAA record is no text")
  writer.number(flags as number, 8, "flags")
  writeText(tag, writer)
  const bytes = bytesOf(value)
  if (bytes === undefined) return writer.fail("the value of a CAA record is no text")
  writer.bytes(bytes)
}

const writeTheirs = (type: string, data: Data, writer: Writer): void => {
  const { at, buffer } = writer
  const address = isAddress[type]
  const fits = address === undefined ? isFields(data) && isWhole(data) : typeof data === "string" && address(data)
  if (!fits) return writer.fail(`the data of a record is no ${type}`)
  const theirs = recordOf(type)
  if (theirs === undefined) return writer.fail(missing() ?? "")
  const { decode, encode } = theirs
  const written = Result.try(() => {
    encode(isFields(data) ? withBuffers(data) : data, buffer, at)
    decode(buffer.subarray(0, at + encode.bytes), at)
    return encode.bytes === decode.bytes && buffer.readUInt16BE(at) === encode.bytes - 2
  })
  if (!(Result.isSuccess(written) && written.success)) return writer.fail(`the data of a record is no ${type}`)
  writer.at += encode.bytes
}

/** It cuts fractions off. */
const isWhole = (fields: Fields): boolean =>
  Object.values(fields).every((value) => typeof value !== "number" || Number.isInteger(value))

/** A copy, since dns-packet writes into what it is given. */
const withBuffers = (fields: Fields): Fields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.length) : value
    ])
  )

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const utf8Bytes = new TextEncoder()
