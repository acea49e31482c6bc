/** Messages of DNS, drawn by seed: what the tests and `pnpm fuzz` share. */
import * as Dns from "@socketserver/protocols/Dns"
import type { Random } from "../../../core/src/internal/random.ts"

const label = (from: Random): string =>
  from.chance(0.15)
    ? Array.from({ length: from.int(1, 6) }, () => odd(from.int(0, 255))).join("")
    : from.pick(["www", "host", "example", "MAIL", "xn--bcher-kva", "_tcp", "a", "b".repeat(63)])

/** A byte of a label as it is written. */
const odd = (byte: number): string =>
  byte === 0x2e || byte === 0x5c
    ? `\\${String.fromCharCode(byte)}`
    : byte > 0x20 && byte < 0x7f
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, "0")}`

export const name = (from: Random): string =>
  from.chance(0.05) ? "." : Array.from({ length: from.int(1, 3) }, () => label(from)).join(".")

const bytes = (from: Random, most: number): Uint8Array =>
  Uint8Array.from({ length: from.int(0, most) }, () => from.int(0, 255))

/** What is not UTF-8, since that is text when it is read again. */
const noText = (from: Random): Uint8Array => Uint8Array.of(0xff, ...bytes(from, 20))

const datas: { readonly [type: string]: (from: Random) => unknown } = {
  A: (from) => Array.from({ length: 4 }, () => from.int(0, 255)).join("."),
  AAAA: (from) => from.pick(["2001:db8::1", "::", "::1", "fe80::1234:5678:9abc:def0", "1:2:3:4:5:6:7:8"]),
  CAA: (from) => ({
    flags: from.int(0, 255),
    tag: from.pick(["issue", "iodef", ""]),
    value: from.chance(0.2) ? noText(from) : "ça"
  }),
  CNAME: name,
  DNAME: name,
  DNSKEY: (from) => ({ flags: from.int(0, 65_535), algorithm: from.int(0, 255), key: bytes(from, 40) }),
  DS: (from) => ({
    keyTag: from.int(0, 65_535),
    algorithm: 8,
    digestType: 2,
    digest: Uint8Array.of(1, ...bytes(from, 40))
  }),
  MX: (from) => ({ preference: from.int(0, 65_535), exchange: name(from) }),
  NS: name,
  PTR: name,
  SOA: (from) => ({
    mname: name(from),
    rname: name(from),
    serial: from.next(),
    refresh: from.next(),
    retry: 0,
    expire: 1,
    minimum: from.int(0, 9)
  }),
  SRV: (from) => ({ priority: 1, weight: from.int(0, 65_535), port: 53, target: name(from) }),
  TLSA: (from) => ({ usage: 3, selector: 1, matchingType: 1, certificate: Uint8Array.of(1, ...bytes(from, 300)) }),
  TXT: (from) =>
    Array.from({ length: from.int(1, 4) }, () =>
      from.chance(0.3) ? noText(from) : from.pick(["", "text", "é".repeat(127)])
    ),
  HTTPS: (from) => bytes(from, 30),
  TYPE65280: (from) => bytes(from, 30)
}

export const record = (from: Random, owner = name(from)): Dns.Record => {
  const type = from.pick(Object.keys(datas))
  return {
    name: owner,
    type,
    class: from.chance(0.1) ? "CLASS17" : "IN",
    ttl: from.int(0, 0x7fff_ffff),
    data: datas[type]!(from)
  } as never
}

const records = (from: Random, owner: string): ReadonlyArray<Dns.Record> =>
  Array.from({ length: from.int(0, from.pick([0, 2, 8])) }, () =>
    from.chance(0.5) ? record(from, owner) : record(from)
  )

const edns = (from: Random): Dns.Edns | undefined =>
  from.chance(0.4)
    ? undefined
    : {
        version: from.chance(0.9) ? 0 : 1,
        udpBytes: from.pick([0, 512, 1_232, 4_096, 65_535]),
        dnssecOk: from.chance(0.5),
        options: Array.from({ length: from.int(0, 2) }, () => ({
          code: from.pick([3, 8, 10, 12, 15]),
          data: bytes(from, 16)
        }))
      }

export const query = (from: Random): Dns.Query => ({
  ...Dns.query(name(from), from.pick(["A", "AAAA", "TXT", "ANY", "TYPE65280"]), {
    id: from.int(0, 65_535),
    class: from.pick(["IN", "CH", "CLASS17"]),
    recursionDesired: from.chance(0.5)
  }),
  authenticData: from.chance(0.5),
  checkingDisabled: from.chance(0.5),
  edns: edns(from)
})

export const response = (from: Random): Dns.Response => {
  const { question, ...asked } = query(from)
  const answered = from.chance(0.9) ? question : undefined
  return {
    ...asked,
    rcode: from.pick(
      asked.edns === undefined ? ["NOERROR", "NXDOMAIN", "RCODE15"] : ["NOERROR", "BADVERS", "BADCOOKIE"]
    ),
    authoritative: from.chance(0.5),
    truncated: from.chance(0.1),
    recursionAvailable: from.chance(0.5),
    question: answered,
    answers: records(from, question.name),
    authorities: records(from, "example"),
    additionals: records(from, question.name)
  }
}
