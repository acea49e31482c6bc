/** A zone of a file, and what is answered from it. */
import * as Dns from "@socketserver/protocols/Dns"
import { Data, Effect, Result, Schema } from "effect"
import { readFile } from "node:fs/promises"

/**
 * A file that is no zone.
 */
export class ZoneError extends Data.TaggedError("ZoneError")<{
  readonly file: string
  readonly problem: string
}> {
  override get message(): string {
    return `The zone ${this.file} cannot be served: ${this.problem}`
  }
}

/** `{ "ttl": 300, "records": [{ "name": "host.example", "type": "A", "data": "192.0.2.1" }, …] }` */
const File = Schema.fromJsonString(
  Schema.Struct({
    ttl: Schema.Int,
    records: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        type: Schema.String,
        ttl: Schema.optionalKey(Schema.Int),
        data: Schema.Unknown
      })
    )
  })
)

type Records = ReadonlyArray<Dns.Record>

export interface Zone {
  /** The name that all others are below. */
  readonly apex: string
  readonly soa: Dns.Record & { readonly type: "SOA" }
  /** Of each name its records by their type. A name that has only names below it has none. */
  readonly names: ReadonlyMap<string, ReadonlyMap<string, Records>>
}

export const read = (file: string): Effect.Effect<Zone, ZoneError> =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) => new ZoneError({ file, problem: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(
    Effect.flatMap((text) =>
      Effect.fromResult(Result.mapError(parse(text), (problem) => new ZoneError({ file, problem })))
    )
  )

export const parse = (text: string): Result.Result<Zone, string> =>
  Result.gen(function* () {
    const decoded = Schema.decodeUnknownResult(File)(text)
    const file = yield* Result.mapError(decoded, ({ message }) => message)
    const names = new Map<string, Map<string, Array<Dns.Record>>>()
    for (const { data, name, ttl = file.ttl, type } of file.records) {
      // What is no record is told by whoever writes it.
      const record = { name, type, ttl, data } as Dns.Record
      const problem = Dns.problemOf(record)
      if (problem !== undefined) return yield* Result.fail(`a record of ${JSON.stringify(name)}: ${problem}`)
      const key = yield* Dns.nameKey(name)
      const types = names.get(key) ?? new Map<string, Array<Dns.Record>>()
      names.set(key, types)
      types.set(type, [...(types.get(type) ?? []), record])
    }
    const all = [...names.values()].flatMap((types) => types.get("SOA") ?? [])
    const [soa] = all
    if (soa?.type !== "SOA" || all.length > 1) return yield* Result.fail(`it has ${all.length} SOA records, not one`)
    const apex = yield* Dns.nameKey(soa.name)
    for (const [name, types] of names) {
      if (!isBelow(name, apex)) return yield* Result.fail(`${name} is not below ${apex}`)
      if (types.has("CNAME") && (types.size > 1 || types.get("CNAME")!.length > 1)) {
        return yield* Result.fail(`${name} has more than its CNAME`)
      }
    }
    for (const name of names.keys()) {
      for (const above of parents(name)) if (isBelow(above, apex) && !names.has(above)) names.set(above, new Map())
    }
    return { apex, soa, names }
  })

const isBelow = (name: string, apex: string): boolean =>
  apex === "." || name === apex || (name.endsWith(`.${apex}`) && parents(name).includes(apex))

/** The names above one, from below. A dot that is escaped is no end of a label. */
const parents = (name: string): ReadonlyArray<string> =>
  Array.from(name.matchAll(/(?<!\\)(?:\\\\)*\./g), ({ 0: { length }, index }) => name.slice(index + length))

/** What is answered to a question. Nothing is looked up elsewhere. */
export const answer = (zone: Zone, { class: klass, name, type }: Dns.Question): Dns.Answer => {
  const { apex, names } = zone
  const answers: Array<Dns.Record> = []
  const seen = new Set<string>()
  let key = keyOf(name)
  if (klass !== "IN" || refused.has(type) || !isBelow(key, apex)) return { rcode: "REFUSED" }
  // What an alias names elsewhere others know, and one that names itself nobody.
  while (isBelow(key, apex) && !seen.has(key)) {
    const types = names.get(key)
    const found = types?.get(type)
    const [alias] = types?.get("CNAME") ?? []
    if (found !== undefined) {
      answers.push(...found)
      return { authoritative: true, answers, additionals: additionalsOf(zone, answers) }
    }
    if (alias?.type !== "CNAME") {
      const rcode = types === undefined ? "NXDOMAIN" : "NOERROR"
      return { rcode, authoritative: true, answers, authorities: [negative(zone)] }
    }
    answers.push(alias)
    seen.add(key)
    key = keyOf(alias.data)
  }
  return { authoritative: true, answers }
}

/** Names in questions and records have been read, or looked at. */
const keyOf = (name: string): string => Result.getOrThrow(Dns.nameKey(name))

/** ANY makes a flood of a trickle, and nobody but a secondary needs the whole zone. */
const refused = new Set(["ANY", "AXFR", "IXFR"])

/** The SOA beside an answer that there is none, which may be kept no longer than it says (RFC 2308, 5). */
const negative = ({ soa }: Zone): Dns.Record => ({ ...soa, ttl: Math.min(soa.ttl, soa.data.minimum) })

/** The addresses of servers that were named. */
const additionalsOf = (zone: Zone, records: Records): Records =>
  records.flatMap((record) => {
    const target = record.type === "NS" ? record.data : record.type === "MX" ? record.data.exchange : undefined
    const types = target === undefined ? undefined : zone.names.get(keyOf(target))
    return [...(types?.get("A") ?? []), ...(types?.get("AAAA") ?? [])]
  })
