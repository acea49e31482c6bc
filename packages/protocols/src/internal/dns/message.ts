import * as Result from "effect/Result"
import type * as Dns from "./model.ts"
import { Cursor } from "./cursor.ts"
import { parseName } from "./names.ts"
import { readData, writeData } from "./rdata.ts"
import { className, classNumber, rcodeName, rcodeNumber, typeName, typeNumber } from "./registries.ts"
import { maxMessageBytes, Writer } from "./writer.ts"

/** Messages (RFC 1035, 4.1), and what EDNS adds to them (RFC 6891). */

export const headerBytes = 12
const bit = { response: 0x8000, aa: 0x400, tc: 0x200, rd: 0x100, ra: 0x80, ad: 0x20, cd: 0x10 } as const
const opt = 41
const dnssecOk = 0x8000

/** Records beside the question of a request; no program sends more than a few. */
const maxRecords = 64

const has = (flags: number, mask: number): boolean => (flags & mask) !== 0

/**
 * Reads a request. All of it is walked, and nothing of it is made but the question
 * and what EDNS says: what else there may be (a TSIG, the SOA of an IXFR) has its
 * bounds, and no meaning here.
 */
export const decodeRequest = (bytes: Uint8Array): Result.Result<Dns.Request, string> => {
  if (bytes.length < headerBytes) return Result.fail("it is shorter than a header")
  const cursor = new Cursor(bytes, 0)
  const id = cursor.u16()
  const flags = cursor.u16()
  if (has(flags, bit.response)) return Result.fail("it is a response")
  const opcode = (flags >> 11) & 15
  const request = {
    id,
    opcode,
    recursionDesired: has(flags, bit.rd),
    authenticData: has(flags, bit.ad),
    checkingDisabled: has(flags, bit.cd)
  }
  // What follows the header has another form in some of them.
  if (opcode !== 0) return Result.succeed({ ...request, question: undefined, edns: undefined })
  const questions = cursor.u16()
  const others = cursor.u16() + cursor.u16()
  const additionals = cursor.u16()
  if (questions !== 1) return Result.fail(`it has ${questions} questions`)
  if (others + additionals > maxRecords) return Result.fail(`it has more than ${maxRecords} records`)
  const question = readQuestion(cursor)
  let edns: Dns.Edns | undefined
  for (let i = 0; i < others + additionals && cursor.problem === undefined; i++) {
    const { at } = cursor
    cursor.skipName()
    const isRoot = cursor.at === at + 1
    const type = cursor.u16()
    if (type === opt) {
      if (edns !== undefined || i < others || !isRoot) cursor.fail("it has an OPT record where there may be none")
      edns = readEdns(cursor)
      continue
    }
    cursor.take(6)
    cursor.take(cursor.u16())
  }
  if (cursor.at !== bytes.length) cursor.fail(`${bytes.length - cursor.at} bytes follow its end`)
  return cursor.problem === undefined ? Result.succeed({ ...request, question, edns }) : Result.fail(cursor.problem)
}

const readQuestion = (cursor: Cursor): Dns.Question => {
  const { at } = cursor
  const name = cursor.name(false)
  const type = typeName(cursor.u16())
  const klass = className(cursor.u16())
  return { name, type, class: klass, bytes: cursor.bytes.subarray(at, cursor.at) }
}

/** From the class on: what an OPT record has instead of one. */
const readEdns = (cursor: Cursor): Dns.Edns => {
  const udpBytes = cursor.u16()
  // The upper bits of the response code, which only a response has.
  cursor.u8()
  const version = cursor.u8()
  const flags = cursor.u16()
  const size = cursor.u16()
  const end = cursor.at + size
  if (end > cursor.end) cursor.fail("it is cut off")
  const options: Array<Dns.Option> = []
  while (cursor.at < end && cursor.problem === undefined) {
    const code = cursor.u16()
    const size = cursor.u16()
    if (cursor.at + size > end) cursor.fail("an option of its OPT record is cut off")
    options.push({ code, data: new Uint8Array(cursor.take(size)) })
  }
  return { version, udpBytes, dnssecOk: has(flags, dnssecOk), options }
}

/** Reads a response, its records included. */
export const decodeResponse = (bytes: Uint8Array): Result.Result<Dns.Response, string> => {
  if (bytes.length < headerBytes) return Result.fail("it is shorter than a header")
  const cursor = new Cursor(bytes, 0)
  const id = cursor.u16()
  const flags = cursor.u16()
  if (!has(flags, bit.response)) return Result.fail("it is no response")
  const counts = [cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16()] as const
  if (counts[0] > 1) return Result.fail(`it has ${counts[0]} questions`)
  const question = counts[0] === 0 ? undefined : readQuestion(cursor)
  let rcode = flags & 15
  let edns: Dns.Edns | undefined
  const section = (count: number): ReadonlyArray<Dns.Record> => {
    const records: Array<Dns.Record> = []
    for (let i = 0; i < count && cursor.problem === undefined; i++) {
      const name = cursor.name()
      const type = cursor.u16()
      if (type === opt) {
        if (edns !== undefined || name !== ".") cursor.fail("it has an OPT record where there may be none")
        rcode |= (cursor.bytes[cursor.at + 2] ?? 0) << 4
        edns = readEdns(cursor)
      } else records.push(readRecord(name, typeName(type), cursor))
    }
    return records
  }
  const answers = section(counts[1])
  const authorities = section(counts[2])
  const additionals = section(counts[3])
  if (cursor.at !== bytes.length) cursor.fail(`${bytes.length - cursor.at} bytes follow its end`)
  if (cursor.problem !== undefined) return Result.fail(cursor.problem)
  return Result.succeed({
    id,
    opcode: (flags >> 11) & 15,
    rcode: rcodeName(rcode),
    authoritative: has(flags, bit.aa),
    truncated: has(flags, bit.tc),
    recursionDesired: has(flags, bit.rd),
    recursionAvailable: has(flags, bit.ra),
    authenticData: has(flags, bit.ad),
    checkingDisabled: has(flags, bit.cd),
    question,
    answers,
    authorities,
    additionals,
    edns
  })
}

const readRecord = (name: string, type: string, cursor: Cursor): Dns.Record => {
  const klass = className(cursor.u16())
  const ttl = cursor.u32()
  // One with the highest bit set is none (RFC 2181, 8).
  const size = cursor.u16()
  const end = cursor.at + size
  const whole = cursor.end
  if (end > whole) cursor.fail("the data of a record is cut off")
  else cursor.end = end
  const data = readData(type, cursor)
  if (cursor.at !== cursor.end) cursor.fail(`the data of a record is longer than a ${type}`)
  cursor.end = whole
  return { name, type, class: klass, ttl: ttl > 0x7fff_ffff ? 0 : ttl, data } as Dns.Record
}

const writer = new Writer()

/** What was written, or why it cannot be. */
const written = (most = maxMessageBytes): Result.Result<Uint8Array, string> => {
  if (writer.problem !== undefined) return Result.fail(writer.problem)
  if (writer.at > most) return Result.fail(`it has ${writer.at} bytes without a record, and ${most} are the most`)
  return Result.succeed(writer.message)
}

export const encodeRequest = (request: Dns.Request): Result.Result<Uint8Array, string> => {
  const { authenticData, checkingDisabled, edns, id, opcode, question, recursionDesired } = request
  writer.reset()
  writer.number(id, 16, "id")
  const flags =
    (opcode << 11) | (recursionDesired ? bit.rd : 0) | (authenticData ? bit.ad : 0) | (checkingDisabled ? bit.cd : 0)
  writer.number(flags, 16, "opcode")
  writer.u16(question === undefined ? 0 : 1)
  writer.u32(0)
  writer.u16(edns === undefined ? 0 : 1)
  if (question !== undefined) writeQuestion(question)
  if (edns !== undefined) writeEdns(edns, 0)
  return written()
}

const writeQuestion = (question: Dns.Question): void => {
  if (question.bytes.length > 0) return writer.bytes(question.bytes)
  const bytes = questionBytes(question)
  if (typeof bytes === "string") writer.fail(bytes)
  else writer.bytes(bytes)
}

/** A question as it is sent, or why it cannot be. */
export const questionBytes = (question: Omit<Dns.Question, "bytes">): Uint8Array | string => {
  const name = parseName(question.name)
  const [type, klass] = [typeNumber(question.type), classNumber(question.class)]
  if (typeof name === "string") return `the name of the question cannot be written: ${name}`
  if (type === undefined) return `${JSON.stringify(question.type)} is no type of record`
  if (klass === undefined) return `${JSON.stringify(question.class)} is no class`
  return Uint8Array.of(...name, type >> 8, type & 255, klass >> 8, klass & 255)
}

const writeEdns = ({ dnssecOk: wants, options, udpBytes, version }: Dns.Edns, rcode: number): void => {
  writer.u8(0)
  writer.u16(opt)
  writer.number(udpBytes, 16, "udpBytes")
  writer.u8(rcode >> 4)
  writer.number(version, 8, "version")
  writer.u16(wants ? dnssecOk : 0)
  writer.number(optionsBytes(options), 16, "the length of the options")
  for (const { code, data } of options) {
    writer.number(code, 16, "the code of an option")
    writer.number(data.length, 16, "the length of an option")
    writer.bytes(data)
  }
}

const optionsBytes = (options: ReadonlyArray<Dns.Option>): number =>
  options.reduce((sum, { data }) => sum + 4 + data.length, 0)

/**
 * Writes a response into no more than `maxBytes`: whole records as long as they
 * fit, and always what EDNS says. Where an answer or an authority is left out it is
 * truncated (TC); where additional records are, it is not (RFC 2181, 9).
 */
export const encodeResponse = (response: Dns.Response): Result.Result<Uint8Array, string> => {
  const { edns, question } = response
  const rcode = rcodeNumber(response.rcode)
  if (rcode === undefined || (rcode > 15 && edns === undefined)) {
    return Result.fail(
      `the code ${JSON.stringify(response.rcode)} cannot be written${rcode === undefined ? "" : " without EDNS"}`
    )
  }
  const reserved = edns === undefined ? 0 : 11 + optionsBytes(edns.options)
  const maxBytes = Math.min(response.maxBytes ?? maxMessageBytes, maxMessageBytes)
  const most = maxBytes - reserved
  writer.reset()
  writer.at = headerBytes
  if (question !== undefined) {
    writeQuestion(question)
    writer.knows(question.name, headerBytes)
  }
  const answers = writeRecords(response.answers, most)
  const authorities = answers < response.answers.length ? 0 : writeRecords(response.authorities, most)
  const isCut = answers < response.answers.length || authorities < response.authorities.length
  const additionals = isCut ? 0 : writeRecords(response.additionals, most)
  if (edns !== undefined) writeEdns(edns, rcode)
  const end = writer.at
  writer.at = 0
  writer.number(response.id, 16, "id")
  writer.u16(
    bit.response |
      (response.opcode << 11) |
      (response.authoritative ? bit.aa : 0) |
      (isCut || response.truncated ? bit.tc : 0) |
      (response.recursionDesired ? bit.rd : 0) |
      (response.recursionAvailable ? bit.ra : 0) |
      (response.authenticData ? bit.ad : 0) |
      (response.checkingDisabled ? bit.cd : 0) |
      (rcode & 15)
  )
  writer.u16(question === undefined ? 0 : 1)
  writer.u16(answers)
  writer.u16(authorities)
  writer.u16(additionals + (edns === undefined ? 0 : 1))
  writer.at = end
  return written(maxBytes)
}

/** How many of them fit. */
const writeRecords = (records: ReadonlyArray<Dns.Record>, most: number): number => {
  let count = 0
  for (const record of records) {
    const { at } = writer
    writeRecord(record)
    if (writer.at > most) {
      writer.at = at
      return count
    }
    count++
  }
  return count
}

const writeRecord = ({ class: klass = "IN", data, name, ttl, type }: Dns.Record): void => {
  writer.name(name, true)
  const [typeOf, classOf] = [typeNumber(type), classNumber(klass)]
  if (typeOf === undefined) return writer.fail(`${JSON.stringify(type)} is no type of record`)
  if (classOf === undefined) return writer.fail(`${JSON.stringify(klass)} is no class`)
  writer.u16(typeOf)
  writer.u16(classOf)
  writer.number(ttl, 31, "ttl")
  writeData(type, data, writer)
}

/** Why a record cannot be written. */
export const recordProblem = (record: Dns.Record): string | undefined => {
  writer.reset()
  writeRecord(record)
  return writer.problem
}
