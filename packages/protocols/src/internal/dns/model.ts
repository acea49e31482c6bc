/** What DNS' messages are: `Dns` has these as its own. */

/**
 * What is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Question {
  /**
   * As it was asked, in upper and lower case, without a dot at its end; the root is
   * `"."`. A dot inside a label is `\.`, a byte that is no visible ASCII character
   * `\` and three digits. `nameKey` makes names comparable.
   */
  readonly name: string
  /** `"A"`, `"MX"`; what has no name here is `"TYPE65280"`. */
  readonly type: string
  /** Nearly always `"IN"`; what has no name is `"CLASS17"`. */
  readonly class: string
  /** As it stands in the message: a response repeats these bytes. None in a query of your own: they are made of the rest. */
  readonly bytes: Uint8Array
}

/**
 * What a client asks. Where the opcode is 0 there is exactly one question.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  /** What the response has to repeat. */
  readonly id: number
  /** 0 is a query; 4 a NOTIFY, 5 an UPDATE, whose contents are not read. */
  readonly opcode: number
  readonly recursionDesired: boolean
  readonly authenticData: boolean
  readonly checkingDisabled: boolean
  readonly question: Question | undefined
  readonly edns: Edns | undefined
}

/**
 * A request that asks something.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query extends Request {
  readonly question: Question
}

/**
 * What EDNS adds to a message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Edns {
  /** 0 is the only one that there is. */
  readonly version: number
  /** The largest datagram that the sender can take, in bytes. */
  readonly udpBytes: number
  /** Whether DNSSEC's records are wanted (DO). */
  readonly dnssecOk: boolean
  /** In their order: cookies (10), a client's subnet (8). */
  readonly options: ReadonlyArray<Option>
}

/**
 * An option of EDNS, whose data is not looked into.
 *
 * @category models
 * @since 0.1.0
 */
export interface Option {
  readonly code: number
  readonly data: Uint8Array
}

interface RecordOf<Type extends string, Data> {
  /** As in {@link Question}. */
  readonly name: string
  readonly type: Type
  /** Default: `"IN"`. */
  readonly class?: string | undefined
  /** How long it may be kept, in seconds. */
  readonly ttl: number
  readonly data: Data
}

/**
 * A record. Of types that are not among these the data are bytes, and the name is
 * that of the registry (`"HTTPS"`) or `"TYPE65280"`.
 *
 * **Details**
 *
 * Names are written as in {@link Question}, addresses as text. A TXT record has one
 * text or several, of 255 bytes at most each; those that are not UTF-8 are bytes.
 *
 * @category models
 * @since 0.1.0
 */
export type Record =
  | RecordOf<"A" | "AAAA" | "CNAME" | "DNAME" | "NS" | "PTR", string>
  | RecordOf<"CAA", { readonly flags: number; readonly tag: string; readonly value: string | Uint8Array }>
  | RecordOf<
      "DS",
      { readonly keyTag: number; readonly algorithm: number; readonly digestType: number; readonly digest: Uint8Array }
    >
  | RecordOf<"DNSKEY", { readonly flags: number; readonly algorithm: number; readonly key: Uint8Array }>
  | RecordOf<"MX", { readonly preference: number; readonly exchange: string }>
  | RecordOf<
      "SOA",
      {
        readonly mname: string
        readonly rname: string
        readonly serial: number
        readonly refresh: number
        readonly retry: number
        readonly expire: number
        readonly minimum: number
      }
    >
  | RecordOf<
      "SRV",
      { readonly priority: number; readonly weight: number; readonly port: number; readonly target: string }
    >
  | RecordOf<
      "TLSA",
      {
        readonly usage: number
        readonly selector: number
        readonly matchingType: number
        readonly certificate: Uint8Array
      }
    >
  | RecordOf<"TXT", string | ReadonlyArray<string | Uint8Array>>
  | RecordOf<OpaqueType, Uint8Array>

/**
 * Types of records whose data are bytes here.
 *
 * @category models
 * @since 0.1.0
 */
export type OpaqueType =
  | `TYPE${number}`
  | "AFSDB"
  | "APL"
  | "CDNSKEY"
  | "CDS"
  | "CERT"
  | "CSYNC"
  | "DHCID"
  | "EUI48"
  | "EUI64"
  | "HINFO"
  | "HIP"
  | "HTTPS"
  | "IPSECKEY"
  | "KEY"
  | "KX"
  | "LOC"
  | "NAPTR"
  | "NSEC"
  | "NSEC3"
  | "NSEC3PARAM"
  | "NULL"
  | "OPENPGPKEY"
  | "RP"
  | "RRSIG"
  | "SIG"
  | "SMIMEA"
  | "SPF"
  | "SSHFP"
  | "SVCB"
  | "TKEY"
  | "TSIG"
  | "URI"
  | "ZONEMD"

/**
 * What a server answers: everything but what follows from the question. A field
 * that is left out is none, and `rcode` is `"NOERROR"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** `"NXDOMAIN"`, `"REFUSED"`, `"SERVFAIL"` …; above 15, as `"BADCOOKIE"`, only to who speaks EDNS. */
  readonly rcode?: string | undefined
  /** Whether this server is the one that knows (AA). */
  readonly authoritative?: boolean | undefined
  /** Whether this server looks up what it does not know (RA). */
  readonly recursionAvailable?: boolean | undefined
  /** Whether all of it was verified by DNSSEC (AD). */
  readonly authenticData?: boolean | undefined
  readonly answers?: ReadonlyArray<Record> | undefined
  readonly authorities?: ReadonlyArray<Record> | undefined
  readonly additionals?: ReadonlyArray<Record> | undefined
  /** Options of EDNS, for who speaks it. */
  readonly options?: ReadonlyArray<Option> | undefined
}

/**
 * A whole response, as it is written, and as a client reads it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Response {
  readonly id: number
  readonly opcode: number
  readonly rcode: string
  readonly authoritative: boolean
  /** Whether something was left out, so that the client asks again over TCP (TC). What does not fit into `maxBytes` sets it, too. */
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly authenticData: boolean
  readonly checkingDisabled: boolean
  readonly question: Question | undefined
  readonly answers: ReadonlyArray<Record>
  readonly authorities: ReadonlyArray<Record>
  readonly additionals: ReadonlyArray<Record>
  readonly edns: Edns | undefined
  /** Only for what is written: no more than that, by whole records. Default: 65,535, the most that can be sent over TCP. */
  readonly maxBytes?: number | undefined
}
