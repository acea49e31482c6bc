/** What holds for any bytes that a decoder of DNS gets: the tests' and `pnpm fuzz`' laws. */
import type * as Protocol from "@socketserver/core/Protocol"
import * as Dns from "@socketserver/protocols/Dns"
import * as Result from "effect/Result"
import * as dnsPacket from "dns-packet"
import { deepStrictEqual, ok, strictEqual } from "node:assert"
import type { Random } from "../../../core/src/internal/random.ts"
import { cut, read, serverOf } from "./reading.ts"

const protocol = Dns.protocol()
const server = serverOf(protocol)
const { client } = protocol

export const asBytes = (encoded: unknown): Uint8Array => {
  if (encoded instanceof Uint8Array) return encoded
  throw new Error(`it cannot be encoded: ${JSON.stringify(encoded)}`)
}

export const decodeRequest = (bytes: Uint8Array): Result.Result<Dns.Request, Protocol.DecodeError> =>
  server.datagram.decode(bytes)
export const decodeResponse = (bytes: Uint8Array): Result.Result<Dns.Response, Protocol.DecodeError> =>
  client.datagram.decode(bytes)
export const encodeRequest = (request: Dns.Request): Uint8Array => asBytes(client.datagram.encode(request))
export const encodeResponse = (response: Dns.Response): Uint8Array => asBytes(server.datagram.encode(response))

/** Whether dns-packet writes a name as we do. */
const isPlain = (name: string): boolean => /^[!-[\]-~]*$/.test(name)

/** The same by dns-packet, where that reads it: it knows nothing of bounds, and throws where data of records are not as it expects. */
const theirs = (bytes: Uint8Array) => Result.getOrUndefined(Result.try(() => dnsPacket.decode(Buffer.from(bytes))))

const typed = new Set("A AAAA CAA CNAME DNAME DNSKEY DS MX NS PTR SOA SRV TLSA TXT".split(" "))
const known = /^(?!TYPE|CLASS)/

/** Whatever arrives is a request or is refused, is what dns-packet takes it for, and comes back as it was. */
export const requestLaw = (input: Uint8Array): void => {
  const decoded = decodeRequest(input)
  if (Result.isFailure(decoded)) {
    strictEqual(decoded.failure._tag, "Malformed")
    const said = Dns.onUndecodable(decoded.failure, { payload: input, connection: undefined as never })
    strictEqual(said._tag, input.length >= 12 && input[2]! < 0x80 ? "Reply" : "Empty")
    if (said._tag !== "Reply") return
    const words = encodeResponse(said.value)
    strictEqual(words.length, 12)
    deepStrictEqual(
      [words[0], words[1], words[2]! & 0xf8, words[3]! & 15],
      [input[0], input[1], 0x80 | (input[2]! & 0x78), 1]
    )
    return
  }
  const request = decoded.success
  ok(input.length >= 12 && input[2]! < 0x80)
  if (request.opcode !== 0) return
  const { edns, question } = request
  ok(question !== undefined)
  deepStrictEqual(question.bytes, input.subarray(12, 12 + question.bytes.length))
  const asked = Dns.query(question.name, question.type, { class: question.class }).question.bytes
  // The text of a name says all of it.
  deepStrictEqual(Buffer.from(asked), Buffer.from(question.bytes))
  const same = decodeRequest(encodeRequest(request))
  deepStrictEqual(Result.getOrThrow(same), { ...request, question: { ...question, bytes: asked } })
  const other = theirs(input)
  if (other === undefined) return
  strictEqual(other.questions!.length, 1)
  if (isPlain(question.name)) strictEqual(other.questions![0]!.name, question.name)
  if (known.test(question.type) && !/UNKNOWN/.test(other.questions![0]!.type))
    strictEqual(other.questions![0]!.type, question.type)
  const opt = other.additionals!.find(({ type }) => type === "OPT") as dnsPacket.OptAnswer | undefined
  strictEqual(opt?.udpPayloadSize, edns?.udpBytes)
  strictEqual(opt?.flag_do, edns?.dnssecOk)
  deepStrictEqual(
    opt?.options.map(({ code }) => code),
    edns?.options.map(({ code }) => code)
  )
}

/** Whatever arrives is a response or is refused, is what dns-packet takes it for, and can be sent again. */
export const responseLaw = (input: Uint8Array, from: Random): void => {
  const decoded = decodeResponse(input)
  if (Result.isFailure(decoded)) return strictEqual(decoded.failure._tag, "Malformed")
  const response = decoded.success
  const again = server.datagram.encode(response)
  // What was compressed in a way that we do not use may be longer than a message.
  if (!(again instanceof Uint8Array))
    return ok(/65535/.test((again as { readonly reason?: string }).reason ?? ""), JSON.stringify(again))
  const same = Result.getOrThrow(decodeResponse(again))
  if (!same.truncated || response.truncated) deepStrictEqual(plain(same), plain(response))
  truncationLaw(response, from.int(12, again.length + 12))
  const other = theirs(input)
  const all = [...response.answers, ...response.authorities, ...response.additionals]
  if (other === undefined) {
    // Of what we read as bytes, and of options, dns-packet wants more.
    return ok(response.edns !== undefined || all.some(({ type }) => !typed.has(type)), "dns-packet reads it not")
  }
  const others = [...other.answers!, ...other.authorities!, ...other.additionals!].filter(({ type }) => type !== "OPT")
  strictEqual(others.length, all.length)
  for (const [i, record] of all.entries()) sameRecord(record, others[i] as dnsPacket.BaseAnswer<string, never>)
}

/** Bytes are compared as bytes, whatever holds them. */
const plain = <A>(value: A): A => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex") as never
  if (Array.isArray(value)) return value.map(plain) as never
  if (typeof value !== "object" || value === null) return value
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)])) as never
}

const sameRecord = (ours: Dns.Record, other: dnsPacket.BaseAnswer<string, unknown>): void => {
  if (isPlain(ours.name)) strictEqual(other.name, ours.name)
  strictEqual(other.ttl! > 0x7fff_ffff ? 0 : other.ttl, ours.ttl)
  if (!typed.has(ours.type)) return
  strictEqual(other.type, ours.type)
  const data = other.data as never
  if (ours.type === "TXT") {
    const texts = typeof ours.data === "string" ? [ours.data] : ours.data
    return deepStrictEqual(
      texts.map((text) => Buffer.from(text)),
      data
    )
  }
  if (typeof ours.data === "string") return isPlain(ours.data) ? strictEqual(data, ours.data) : undefined
  for (const [field, value] of Object.entries(ours.data)) {
    const its = data[field] as unknown
    if (value instanceof Uint8Array) {
      if (typeof its !== "string") deepStrictEqual(Buffer.from(value), its)
    } else if (typeof value === "number" || isPlain(value as string)) {
      // It escapes the dots of a mail address by itself.
      strictEqual(field === "rname" ? String(its).replaceAll("\\", "") : its, value)
    }
  }
}

/** In a smaller message stand whole records of the larger one, in their order, and what EDNS says. */
export const truncationLaw = (response: Dns.Response, maxBytes: number): void => {
  const encoded = server.datagram.encode({ ...response, maxBytes })
  const least = encodeResponse({ ...response, answers: [], authorities: [], additionals: [] }).length
  if (maxBytes < least) return ok(!(encoded instanceof Uint8Array))
  const bytes = asBytes(encoded)
  ok(bytes.length <= maxBytes, `${bytes.length} bytes are more than ${maxBytes}`)
  const cutOff = Result.getOrThrow(decodeResponse(bytes))
  deepStrictEqual(cutOff.edns && plain(cutOff).edns, response.edns && plain(response).edns)
  let full = true
  for (const section of ["answers", "authorities", "additionals"] as const) {
    const [some, all] = [plain(cutOff)[section], plain(response)[section]]
    const expected = all.slice(0, some.length)
    deepStrictEqual(
      some,
      expected.map((record) => ({ class: "IN", ...record }))
    )
    if (!full) strictEqual(some.length, 0)
    if (some.length < all.length) full = false
    if (section !== "additionals") strictEqual(cutOff.truncated || full, true)
  }
  if (cutOff.truncated && !response.truncated)
    ok(cutOff.answers.length + cutOff.authorities.length < response.answers.length + response.authorities.length)
}

/** Over TCP it is the same however it comes. */
export const piecesLaw = (inputs: ReadonlyArray<Uint8Array>, from: Random): void => {
  const stream = Buffer.concat(inputs.flatMap((input) => [Uint8Array.of(input.length >> 8, input.length & 255), input]))
  const whole = read(server, [stream])
  const sizes = Array.from({ length: from.int(1, 4) }, () => from.int(1, from.pick([1, 3, 40])))
  deepStrictEqual(plain(read(server, cut(stream, sizes))), plain(whole))
}
