import { assert, describe, it } from "@effect/vitest"
import { MemoryServer } from "@socketserver/core"
import * as Dns from "@socketserver/protocols/Dns"
import { ConfigProvider, Effect, Layer, Result } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Names, NamesLive } from "./server.ts"
import { parse } from "./zone.ts"

const served = (zone?: string) =>
  Layer.provideMerge(NamesLive, MemoryServer.layer(Names)).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(zone === undefined ? {} : { ZONE: zone })))
  )

interface Told {
  readonly rcode: string
  readonly aa: boolean
  readonly answers: ReadonlyArray<string>
  readonly authorities: ReadonlyArray<string>
  readonly additionals: ReadonlyArray<string>
}

/** What is answered: its code, whether by who knows, and the records of each section in a word. */
const told = (name: string, type: string, options?: Dns.QueryOptions) =>
  Effect.gen(function* () {
    const client = yield* Names.client
    const answer = yield* client.send(Dns.query(name, type, { recursionDesired: true, ...options }))
    const words = (records: ReadonlyArray<Dns.Record>) => records.map(({ name, type }) => `${name} ${type}`)
    assert.isFalse(answer.recursionAvailable)
    return {
      rcode: answer.rcode,
      aa: answer.authoritative,
      answers: words(answer.answers),
      authorities: words(answer.authorities),
      additionals: words(answer.additionals)
    } satisfies Told
  }).pipe(Effect.scoped, Effect.provide(served()))

const found: Told = { rcode: "NOERROR", aa: true, answers: [], authorities: [], additionals: [] }
const none = { ...found, authorities: ["example SOA"] }
const refused = { ...found, rcode: "REFUSED", aa: false }

describe("examples/dns", () => {
  it.effect.each([
    ["host.example", "A", { ...found, answers: ["host.example A"] }],
    ["HOST.Example", "AAAA", { ...found, answers: ["host.example AAAA"] }],
    ["www.example", "A", { ...found, answers: ["www.example CNAME", "host.example A"] }],
    ["www.example", "CNAME", { ...found, answers: ["www.example CNAME"] }],
    ["www.example", "MX", { ...none, answers: ["www.example CNAME"] }],
    ["big.example", "TXT", { ...found, answers: Array.from({ length: 16 }, () => "big.example TXT") }],
    ["example", "SOA", { ...found, answers: ["example SOA"] }],
    ["example", "NS", { ...found, answers: ["example NS"], additionals: ["ns.example A", "ns.example AAAA"] }],
    ["example", "MX", { ...found, answers: ["example MX"], additionals: ["mail.example A"] }],
    ["host.example", "MX", none],
    ["host.example", "TYPE65280", none],
    ["example", "A", none],
    ["nothing.example", "A", { ...none, rcode: "NXDOMAIN" }],
    ["a.host.example", "A", { ...none, rcode: "NXDOMAIN" }],
    ["hostexample", "A", refused],
    ["host.example.org", "A", refused],
    ["host\\.example", "A", refused],
    [".", "NS", refused],
    ["host.example", "ANY", refused],
    ["example", "AXFR", refused]
  ] satisfies ReadonlyArray<readonly [string, string, Told]>)("answers %s %s", ([name, type, expected]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* told(name, type), expected)
    })
  )

  it.effect("refuses other classes than the Internet's", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* told("host.example", "A", { class: "CH" }), refused)
    })
  )

  it.effect("has the addresses that its header says, and a set of 4 KB", () =>
    Effect.gen(function* () {
      const client = yield* Names.client
      const data = (name: string, type: string) =>
        Effect.map(client.send(Dns.query(name, type)), ({ answers }) => answers.map(({ data }) => data))
      assert.deepStrictEqual(yield* data("host.example", "A"), ["192.0.2.1"])
      assert.deepStrictEqual(yield* data("host.example", "AAAA"), ["2001:db8::1"])
      assert.strictEqual((yield* data("big.example", "TXT")).flat().join("").length, 4_000)
      const { authorities } = yield* client.send(Dns.query("nothing.example", "A"))
      assert.strictEqual(authorities[0]?.ttl, 60, "no longer than its SOA says")
    }).pipe(Effect.scoped, Effect.provide(served()))
  )

  const zone = (...records: ReadonlyArray<object>) => JSON.stringify({ ttl: 60, records: [soa, ...records] })
  const soa = {
    name: "zone",
    type: "SOA",
    data: { mname: "ns.zone", rname: "a.zone", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 }
  }
  const a = (name: string) => ({ name, type: "A", data: "192.0.2.1" })

  it.each<[string, string, RegExp]>([
    ["no JSON", "{", /JSON/],
    ["no records", "{}", /ttl|records/],
    ["no SOA", JSON.stringify({ ttl: 60, records: [a("zone")] }), /^it has 0 SOA records, not one$/],
    ["two SOA", zone(soa), /^it has 2 SOA records, not one$/],
    ["a name elsewhere", zone(a("other")), /^other is not below zone$/],
    ["a name that is none", zone(a("a..zone")), /^a record of "a\.\.zone": a name cannot be written/],
    [
      "an address that is none",
      zone({ ...a("a.zone"), data: "192.0.2.300" }),
      /^a record of "a\.zone": the data of a record is no A$/
    ],
    ["a type that is none", zone({ ...a("a.zone"), type: "AAA" }), /^a record of "a\.zone": "AAA" is no type/],
    [
      "more beside a CNAME",
      zone(a("a.zone"), { name: "A.zone", type: "CNAME", data: "b.zone" }),
      /^a\.zone has more than its CNAME$/
    ]
  ])("does not take a zone with %s", (_, text, problem) => {
    const zone = parse(text)
    assert.match(Result.isFailure(zone) ? zone.failure : "", problem)
  })

  it.effect("follows no alias in a circle, and knows names that have only others below them", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "zone-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const file = join(folder, "zone.json")
      const alias = (name: string, data: string) => ({ name, type: "CNAME", data })
      writeFileSync(
        file,
        zone(alias("a.zone", "b.zone"), alias("b.zone", "a.zone"), alias("c.zone", "other.org"), a("x.y.zone"))
      )
      yield* Effect.gen(function* () {
        const client = yield* Names.client
        const ask = (name: string) => client.send(Dns.query(name, "A"))
        assert.deepStrictEqual(
          (yield* ask("a.zone")).answers.map(({ data }) => data),
          ["b.zone", "a.zone"]
        )
        assert.deepStrictEqual(
          (yield* ask("c.zone")).answers.map(({ data }) => data),
          ["other.org"]
        )
        const { authorities, rcode } = yield* ask("y.zone")
        assert.deepStrictEqual([rcode, authorities.length], ["NOERROR", 1])
      }).pipe(Effect.scoped, Effect.provide(served(file)))
    }).pipe(Effect.scoped)
  )

  it.effect("fails at the start without its zone", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(served("/nowhere/zone.json"))))
      assert.strictEqual((error as { readonly _tag?: string })._tag, "ZoneError")
      assert.match(String((error as Error).message), /^The zone \/nowhere\/zone\.json cannot be served: ENOENT/)
    })
  )
})
