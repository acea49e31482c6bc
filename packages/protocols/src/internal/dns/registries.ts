/** The numbers of types, classes and response codes, by the names that people write (IANA's registries of DNS parameters). */

const types = named(
  "A 1 NS 2 CNAME 5 SOA 6 NULL 10 PTR 12 HINFO 13 MX 15 TXT 16 RP 17 AFSDB 18 SIG 24 KEY 25 AAAA 28 LOC 29 SRV 33 NAPTR 35 " +
    "KX 36 CERT 37 DNAME 39 OPT 41 APL 42 DS 43 SSHFP 44 IPSECKEY 45 RRSIG 46 NSEC 47 DNSKEY 48 DHCID 49 NSEC3 50 " +
    "NSEC3PARAM 51 TLSA 52 SMIMEA 53 HIP 55 CDS 59 CDNSKEY 60 OPENPGPKEY 61 CSYNC 62 ZONEMD 63 SVCB 64 HTTPS 65 SPF 99 " +
    "EUI48 108 EUI64 109 TKEY 249 TSIG 250 IXFR 251 AXFR 252 ANY 255 URI 256 CAA 257"
)
const classes = named("IN 1 CH 3 HS 4 NONE 254 ANY 255")
const codes = named(
  "NOERROR 0 FORMERR 1 SERVFAIL 2 NXDOMAIN 3 NOTIMP 4 REFUSED 5 YXDOMAIN 6 YXRRSET 7 NXRRSET 8 NOTAUTH 9 NOTZONE 10 " +
    "BADVERS 16 BADKEY 17 BADTIME 18 BADMODE 19 BADNAME 20 BADALG 21 BADTRUNC 22 BADCOOKIE 23"
)

interface Registry {
  readonly numbers: ReadonlyMap<string, number>
  readonly names: ReadonlyMap<number, string>
}

function named(list: string): Registry {
  const words = list.split(" ")
  const numbers = new Map<string, number>()
  for (let i = 0; i < words.length; i += 2) numbers.set(words[i]!, Number(words[i + 1]))
  return { numbers, names: new Map(Array.from(numbers, ([name, number]) => [number, name])) }
}

const nameIn = (registry: Registry, prefix: string, number: number): string =>
  registry.names.get(number) ?? `${prefix}${number}`

/** `undefined` where it is not known, and not written by its number. */
const numberIn = (registry: Registry, prefix: string, name: string, most: number): number | undefined => {
  const known = registry.numbers.get(name)
  if (known !== undefined) return known
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : ""
  const number = /^\d{1,5}$/.test(digits) ? Number(digits) : Infinity
  return number <= most ? number : undefined
}

/** Types and classes that have no name are written as RFC 3597 has it. */
export const typeName = (number: number): string => nameIn(types, "TYPE", number)
export const typeNumber = (name: string): number | undefined => numberIn(types, "TYPE", name, 65_535)
export const className = (number: number): string => nameIn(classes, "CLASS", number)
export const classNumber = (name: string): number | undefined => numberIn(classes, "CLASS", name, 65_535)
export const rcodeName = (number: number): string => nameIn(codes, "RCODE", number)
export const rcodeNumber = (name: string): number | undefined => numberIn(codes, "RCODE", name, 4_095)
